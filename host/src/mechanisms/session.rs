//! Runs of steps over one program: what it gives back as states stays where it is until the next step.

use crate::{
    nouns::{Extent, Fault, Port, Signature, Spec, Tensor},
    ports::{Program, Session},
};
use async_trait::async_trait;
use std::{sync::Arc, time::Instant};

/// A session over any program: the program's own, or one that keeps the states here.
pub fn open(program: Arc<dyn Program>) -> Box<dyn Session> {
    let own = program.clone().session();
    own.unwrap_or_else(|| Box::new(Steps { program, states: None }))
}

/// The states of a model before its first step: zeros of what has a size, nothing of what grows. An axis that an input
/// has, too, is as long as there.
pub fn first(signature: &Signature, inputs: &[(String, Tensor)]) -> Result<Vec<(String, Tensor)>, Fault> {
    let extent = |axis: &Extent| match axis {
        Extent::Fixed(extent) => *extent,
        Extent::Named(name) => named(signature, inputs, name).unwrap_or(0),
        Extent::Any => 0,
    };
    let state = |port: &Port| {
        let unknown = || Fault::Unsupported(format!("a session: `{port}` does not say what it takes"));
        let extents: Vec<usize> = port.shape.as_ref().ok_or_else(unknown)?.iter().map(extent).collect();
        let invalid = |error: crate::nouns::ShapeError| Fault::Invalid(error.to_string());
        let spec = Spec::new(port.element.ok_or_else(unknown)?, extents).map_err(invalid)?;
        let bytes = spec.bytes().ok_or_else(unknown)?;
        Ok((port.name.clone(), Tensor::host(spec, vec![0; bytes]).map_err(invalid)?))
    };
    signature.states().map(|(port, _)| state(port)).collect()
}

fn named(signature: &Signature, inputs: &[(String, Tensor)], axis: &str) -> Option<usize> {
    inputs.iter().find_map(|(name, tensor)| {
        let port = signature.inputs.iter().find(|port| port.name == *name)?;
        let at = port.shape.as_ref()?.iter().position(|own| *own == Extent::Named(axis.into()))?;
        tensor.spec().shape.extents().get(at).copied()
    })
}

struct Steps {
    program: Arc<dyn Program>,
    /// By the inputs that they are in the next step.
    states: Option<Vec<(String, Tensor)>>,
}

#[async_trait]
impl Session for Steps {
    async fn step(&mut self, inputs: Vec<(String, Tensor)>, deadline: Instant) -> Result<Vec<(String, Tensor)>, Fault> {
        let signature = self.program.signature();
        let states = match &self.states {
            Some(states) => states.clone(),
            None => first(signature, &inputs)?,
        };
        let find = |port: &Port| {
            let found = inputs.iter().chain(&states).find(|(name, _)| *name == port.name);
            found.map(|(_, tensor)| tensor.clone()).ok_or_else(|| Fault::Invalid(format!("`{}` is missing", port.name)))
        };
        let ordered = signature.inputs.iter().map(find).collect::<Result<_, _>>()?;
        let outputs = self.program.run(ordered, deadline).await?;
        let (mut states, mut rest) = (Vec::new(), Vec::new());
        for (port, output) in signature.outputs.iter().zip(outputs) {
            match signature.states().find(|(_, state)| state.name == port.name) {
                Some((input, _)) => states.push((input.name.clone(), output)),
                None => rest.push((port.name.clone(), output)),
            }
        }
        self.states = Some(states);
        Ok(rest)
    }
}
