//! The named inputs and outputs of a model or a guest.

use super::{Element, Fault, ShapeError, Spec, Tensor};
use std::{collections::HashMap, fmt};

/// One axis of a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// Exactly this.
    Fixed(usize),
    /// Any, and the same wherever the name recurs.
    Named(String),
    /// Any.
    Any,
}

impl Extent {
    /// Whether an axis of this extent fits.
    pub fn admits(&self, extent: usize) -> bool {
        match self {
            Self::Fixed(fixed) => *fixed == extent,
            Self::Named(_) | Self::Any => true,
        }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(extent) => write!(f, "{extent}"),
            Self::Named(name) => f.write_str(name),
            Self::Any => f.write_str("?"),
        }
    }
}

/// One named input or output. `None` means that any fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub element: Option<Element>,
    /// Extents, outermost first; `None` when even the number of axes is open.
    pub shape: Option<Vec<Extent>>,
    /// Whether a request may leave it out.
    pub optional: bool,
}

impl Port {
    /// A port for tensors of one spec.
    pub fn exactly(name: &str, spec: &Spec) -> Self {
        let shape = spec.shape.extents().iter().map(|&extent| Extent::Fixed(extent)).collect();
        Self { name: name.into(), element: Some(spec.element), shape: Some(shape), optional: false }
    }

    /// Zeros that fit; `open` says how long an axis is that may be of any length. `Unsupported` where the port does not
    /// say what it takes.
    pub fn zeros(&self, open: impl Fn(&Extent) -> usize) -> Result<Tensor, Fault> {
        let unknown = || Fault::Unsupported(format!("`{self}` does not say what it takes"));
        let extent = |extent: &Extent| if let Extent::Fixed(fixed) = extent { *fixed } else { open(extent) };
        let extents: Vec<usize> = self.shape.as_ref().ok_or_else(unknown)?.iter().map(extent).collect();
        let invalid = |error: ShapeError| Fault::Invalid(error.to_string());
        let spec = Spec::new(self.element.ok_or_else(unknown)?, extents).map_err(invalid)?;
        // A byte string of nothing is four bytes of length.
        let bytes = spec.bytes().unwrap_or(4 * spec.shape.elements());
        Tensor::host(spec, vec![0; bytes]).map_err(invalid)
    }

    /// Whether a tensor of this spec may be put here.
    pub fn admits(&self, spec: &Spec) -> bool {
        self.element.is_none_or(|element| element == spec.element)
            && self.shape.as_ref().is_none_or(|shape| {
                let extents = spec.shape.extents();
                shape.len() == extents.len() && shape.iter().zip(extents).all(|(axis, &extent)| axis.admits(extent))
            })
    }
}

impl Port {
    /// Opens the declared extents that were found to be others, `None` among those found being one that varies; and the
    /// whole shape where another number of axes was found.
    pub fn doubt(&mut self, found: &[Option<usize>]) {
        let differ = |extent: &Extent, found| matches!(extent, Extent::Fixed(extent) if Some(*extent) != found);
        let declared = self.shape.take().filter(|declared| declared.len() == found.len());
        let pairs = declared.map(|declared| declared.into_iter().zip(found));
        let held = |(extent, &found): (Extent, &_)| if differ(&extent, found) { Extent::Any } else { extent };
        self.shape = pairs.map(|pairs| pairs.map(held).collect());
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let element = self.element.map_or("ANY", Element::oip);
        write!(f, "{}: {element}", self.name)?;
        match &self.shape {
            None => f.write_str("[..]"),
            Some(shape) => {
                let extents: Vec<_> = shape.iter().map(Extent::to_string).collect();
                write!(f, "[{}]", extents.join(", "))
            }
        }
    }
}

/// Inputs and outputs, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

impl Signature {
    /// Whether a request with these inputs fits: each port once, in any order, and nothing else. A signature without
    /// inputs takes anything. The error names the input.
    pub fn admits<'a>(&self, inputs: impl Iterator<Item = (&'a str, &'a Spec)> + Clone) -> Result<(), String> {
        if self.inputs.is_empty() {
            return Ok(());
        }
        for (index, (name, spec)) in inputs.clone().enumerate() {
            let port = self.inputs.iter().find(|port| port.name == name);
            let port = port.ok_or_else(|| format!("input `{name}`: there is no such input"))?;
            if !port.admits(spec) {
                return Err(format!("input `{name}`: {spec} does not fit {port}"));
            }
            if inputs.clone().take(index).any(|(other, _)| other == name) {
                return Err(format!("input `{name}`: occurs twice"));
            }
        }
        let sent = |port: &Port| inputs.clone().any(|(name, _)| port.name == name);
        match self.inputs.iter().find(|port| !port.optional && !sent(port)) {
            Some(port) => Err(format!("input `{}`: it is missing", port.name)),
            None => Ok(()),
        }
    }

    /// The output that an input comes back as, if its name is that of a state: `past…` comes back as `present…`. Source
    /// of the names: the exports of Hugging Face's Optimum.
    pub fn state_output(input: &str) -> Option<String> {
        let rest = input.strip_prefix("past_key_values").or_else(|| input.strip_prefix("past"))?;
        Some(format!("present{rest}"))
    }

    /// Inputs that come back as outputs, with those: what a decoder keeps from step to step.
    pub fn states(&self) -> impl Iterator<Item = (&Port, &Port)> {
        self.inputs.iter().filter_map(|input| {
            let output = Self::state_output(&input.name)?;
            Some((input, self.outputs.iter().find(|port| port.name == output)?))
        })
    }

    /// The inputs that a step of a session is given: all but the states.
    pub fn step_inputs(&self) -> Vec<Port> {
        let state = |port: &&Port| self.states().any(|(state, _)| state.name == port.name);
        self.inputs.iter().filter(|port| !state(port)).cloned().collect()
    }

    /// The same signature where states may be left out, as they are in a sequence.
    pub fn with_optional_states(mut self) -> Self {
        let states: Vec<String> = self.states().map(|(state, _)| state.name.clone()).collect();
        self.inputs.iter_mut().for_each(|port| port.optional |= states.contains(&port.name));
        self
    }

    /// `Unsupported` with the name of the port that no guest can give or take.
    pub fn held_by_guests(&self) -> Result<(), Fault> {
        self.inputs.iter().chain(&self.outputs).try_for_each(|port| match port.element {
            Some(Element::Narrow(narrow)) => {
                Err(Fault::Unsupported(format!("`{}` is {narrow}, an element that stays in models", port.name)))
            }
            _ => Ok(()),
        })
    }

    /// Whether tensors in the order of the ports fit, extents of one name to one another.
    pub fn fits(&self, inputs: &[Tensor]) -> Result<(), Fault> {
        if self.inputs.len() != inputs.len() {
            let (needed, given) = (self.inputs.len(), inputs.len());
            return Err(Fault::Invalid(format!("{needed} inputs are needed, {given} were given")));
        }
        let mut named: HashMap<&str, usize> = HashMap::new();
        for (port, input) in self.inputs.iter().zip(inputs) {
            let spec = input.spec();
            if !port.admits(spec) {
                return Err(Fault::Invalid(format!("input {port} does not take {spec}")));
            }
            for (axis, &extent) in port.shape.iter().flatten().zip(spec.shape.extents()) {
                let Extent::Named(name) = axis else { continue };
                let first = *named.entry(name).or_insert(extent);
                if first != extent {
                    let why = format!("`{name}` is {first} in one input and {extent} in `{}`", port.name);
                    return Err(Fault::Invalid(why));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |ports: &[Port]| ports.iter().map(Port::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "({}) -> ({})", join(&self.inputs), join(&self.outputs))
    }
}
