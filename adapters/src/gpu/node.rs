//! An op with its inputs while a graph is walked, and what it says about itself.

use super::draft::StorageId;
use burst_host::nouns::{Attribute, Element, Fault, Op, Shape, Spec, Tensor};
use half::{bf16, f16};
use std::fmt::Display;

/// Elements of what is worked out on the host for one operator.
const TABLE_MAX: usize = 1 << 24;

/// A value while a graph is walked.
#[derive(Clone, Debug)]
pub enum Value {
    /// An optional input that was left out.
    Absent,
    /// Known before anything runs.
    Known(Tensor),
    /// Computed on the device.
    Placed(Placed),
}

/// A tensor that a plan computes.
#[derive(Clone, Debug)]
pub struct Placed {
    pub spec: Spec,
    pub storage: StorageId,
}

/// Why a walk stops.
#[derive(Debug)]
pub enum Halt {
    Fault(Fault),
    /// The operator lacks an element type here, at whatever shape.
    Lacks(Fault),
    /// The numbers of this value decide over shapes: they have to be read back first.
    Needs(StorageId),
}

impl Halt {
    /// What it is to those who read nothing back.
    pub fn fault(self) -> Fault {
        match self {
            Self::Fault(fault) | Self::Lacks(fault) => fault,
            Self::Needs(_) => Fault::Unsupported("a shape that is computed from data, on the GPU".into()),
        }
    }
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// An op with its inputs.
pub struct Node<'a> {
    pub op: &'a Op,
    pub opset: i64,
    pub inputs: Vec<Value>,
}

impl Value {
    /// Its element and shape.
    pub fn spec(&self) -> Option<&Spec> {
        match self {
            Self::Absent => None,
            Self::Known(tensor) => Some(tensor.spec()),
            Self::Placed(placed) => Some(&placed.spec),
        }
    }
}

impl From<Placed> for Value {
    fn from(placed: Placed) -> Self {
        Self::Placed(placed)
    }
}

impl Placed {
    /// The same numbers in another shape.
    pub fn reshaped(&self, shape: Shape) -> Self {
        Self { spec: Spec { element: self.spec.element, shape }, storage: self.storage }
    }

    pub fn extents(&self) -> &[usize] {
        self.spec.shape.extents()
    }

    /// Whether both are one tensor, seen in one shape.
    pub fn same(&self, other: &Self) -> bool {
        self.storage == other.storage && self.spec == other.spec
    }
}

impl Node<'_> {
    /// The input at this place; `Absent` beyond the last.
    pub fn input(&self, index: usize) -> &Value {
        self.inputs.get(index).unwrap_or(&Value::Absent)
    }

    pub fn has(&self, index: usize) -> bool {
        !matches!(self.input(index), Value::Absent)
    }

    /// The spec of an input that must be there.
    pub fn spec(&self, index: usize) -> Result<&Spec, Halt> {
        self.input(index).spec().ok_or_else(|| self.invalid(&format!("input {index} is missing")))
    }

    /// The numbers of an input, which decide over shapes.
    pub fn numbers(&self, index: usize) -> Result<Vec<i64>, Halt> {
        let tensor = self.tensor(index)?;
        let wide = match tensor.spec().element {
            Element::I64 => tensor.to_vec::<i64>(),
            Element::I32 => tensor.to_vec::<i32>().map(|values| values.into_iter().map(i64::from).collect()),
            Element::U8 | Element::Bool => tensor.to_vec::<u8>().map(|v| v.into_iter().map(i64::from).collect()),
            _ => None,
        };
        wide.ok_or_else(|| self.invalid(&format!("input {index} does not hold integers")))
    }

    /// The floats of an input that have to be known.
    pub fn floats(&self, index: usize) -> Result<Vec<f64>, Halt> {
        let tensor = self.tensor(index)?;
        let wide = match tensor.spec().element {
            Element::Fp64 => tensor.to_vec::<f64>(),
            Element::Fp32 => tensor.to_vec::<f32>().map(|values| values.into_iter().map(f64::from).collect()),
            Element::Fp16 => tensor.to_vec::<f16>().map(|values| values.into_iter().map(f64::from).collect()),
            Element::Bf16 => tensor.to_vec::<bf16>().map(|values| values.into_iter().map(f64::from).collect()),
            _ => None,
        };
        wide.ok_or_else(|| self.invalid(&format!("input {index} does not hold floats")))
    }

    /// The contents of an input that have to be known.
    pub fn tensor(&self, index: usize) -> Result<&Tensor, Halt> {
        match self.input(index) {
            Value::Known(tensor) => Ok(tensor),
            Value::Placed(placed) => Err(Halt::Needs(placed.storage)),
            Value::Absent => Err(self.invalid(&format!("input {index} is missing"))),
        }
    }

    pub fn int(&self, name: &str, default: i64) -> i64 {
        match self.op.attribute(name) {
            Some(Attribute::Int(value)) => *value,
            _ => default,
        }
    }

    pub fn float(&self, name: &str, default: f32) -> f32 {
        match self.op.attribute(name) {
            Some(Attribute::Float(value)) => *value,
            _ => default,
        }
    }

    pub fn text(&self, name: &str, default: &str) -> String {
        match self.op.attribute(name) {
            Some(Attribute::Text(value)) => String::from_utf8_lossy(value).into_owned(),
            _ => default.into(),
        }
    }

    pub fn ints(&self, name: &str) -> Option<Vec<i64>> {
        match self.op.attribute(name) {
            Some(Attribute::Ints(values)) => Some(values.clone()),
            _ => None,
        }
    }

    /// A list that newer versions take as an input and older ones as an attribute.
    pub fn list(&self, name: &str, index: usize) -> Result<Option<Vec<i64>>, Halt> {
        if self.has(index) { self.numbers(index).map(Some) } else { Ok(self.ints(name)) }
    }

    /// Faults unless an input has so many elements.
    pub fn holds(&self, index: usize, elements: usize) -> Result<(), Halt> {
        let found = self.spec(index)?;
        if found.shape.elements() == elements {
            return Ok(());
        }
        Err(self.invalid(&format!("input {index} is {found}, {elements} elements are needed")))
    }

    pub fn invalid(&self, why: &str) -> Halt {
        Fault::Invalid(format!("`{}` {}: {why}", self.op.kind, self.op.name)).into()
    }

    pub fn unsupported(&self, what: &str) -> Halt {
        Fault::Unsupported(format!("operator `{}` on the GPU: {what}", self.op.kind)).into()
    }

    /// An element type that it has no kernel for.
    pub fn lacks(&self, element: impl Display) -> Halt {
        Halt::Lacks(Fault::Unsupported(format!("operator `{}` on the GPU: {element}", self.op.kind)))
    }

    /// A shape of what is worked out on the host, where an operator may hold only so much.
    pub fn table(&self, extents: Vec<usize>) -> Result<Shape, Halt> {
        let shape = self.shape(extents)?;
        if shape.elements() > TABLE_MAX {
            return Err(self.unsupported(&format!("{shape} numbers that follow from a few")));
        }
        Ok(shape)
    }

    /// A shape within the limits of tensors.
    pub fn shape(&self, extents: Vec<usize>) -> Result<Shape, Halt> {
        Shape::new(extents).map_err(|error| Fault::TooLarge(error.to_string()).into())
    }
}

/// An axis that may count from the end.
pub fn axis(node: &Node<'_>, axis: i64, rank: usize) -> Result<usize, Halt> {
    let wrapped = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(wrapped)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| node.invalid(&format!("there is no axis {axis} of {rank}")))
}

/// Axes that may count from the end, none of them twice.
pub fn axes(node: &Node<'_>, given: &[i64], rank: usize) -> Result<Vec<usize>, Halt> {
    let mut axes = Vec::new();
    for &at in given {
        let at = axis(node, at, rank)?;
        if axes.contains(&at) {
            return Err(node.invalid(&format!("axis {at} twice")));
        }
        axes.push(at);
    }
    Ok(axes)
}
