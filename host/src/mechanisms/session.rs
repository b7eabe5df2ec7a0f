//! Runs of steps over one program: what it gives back as states stays where it is until the next step.

use crate::{
    nouns::{Charge, Extent, Fault, Ledger, Port, Signature, Tensor},
    ports::{Device, Program, Session},
};
use async_trait::async_trait;
use std::{sync::Arc, time::Instant};

/// A session over any program: the program's own, or one that keeps the states here and books them on `ledger`.
pub fn open(program: Arc<dyn Program>, ledger: &Ledger) -> Box<dyn Session> {
    let own = program.clone().session();
    own.unwrap_or_else(|| {
        let device = program.device().clone();
        Box::new(Steps { program, device, ledger: ledger.clone(), states: None, committed: None })
    })
}

/// The states of a model before its first step: zeros of what has a size, nothing of what grows. An axis that an input
/// has, too, is as long as there.
pub fn first(signature: &Signature, inputs: &[(String, Tensor)]) -> Result<Vec<(String, Tensor)>, Fault> {
    let open = |axis: &Extent| match axis {
        Extent::Named(name) => named(signature, inputs, name).unwrap_or(0),
        Extent::Fixed(_) | Extent::Any => 0,
    };
    signature.states().map(|(port, _)| Ok((port.name.clone(), port.zeros(open)?))).collect()
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
    /// What computed the last step.
    device: Device,
    ledger: Ledger,
    /// None before the first step.
    states: Option<Arc<States>>,
    /// What a rollback returns to.
    committed: Option<Arc<States>>,
}

/// What a step leaves for the next one, by the inputs that it is there.
struct States {
    values: Vec<(String, Tensor)>,
    _charges: Vec<Charge>,
}

impl States {
    fn booked(values: Vec<(String, Tensor)>, ledger: &Ledger) -> Result<Self, Fault> {
        let charges = values.iter().map(|(_, tensor)| ledger.charge_tensor(tensor)).collect::<Result<_, _>>()?;
        Ok(Self { values, _charges: charges })
    }
}

#[async_trait]
impl Session for Steps {
    async fn step(&mut self, inputs: Vec<(String, Tensor)>, deadline: Instant) -> Result<Vec<(String, Tensor)>, Fault> {
        let signature = self.program.signature();
        let states = match &self.states {
            Some(states) => states.clone(),
            None => Arc::new(States::booked(first(signature, &inputs)?, &self.ledger)?),
        };
        let find = |port: &Port| {
            let found = inputs.iter().chain(&states.values).find(|(name, _)| *name == port.name);
            found.map(|(_, tensor)| tensor.clone()).ok_or_else(|| Fault::Invalid(format!("`{}` is missing", port.name)))
        };
        let ordered = signature.inputs.iter().map(find).collect::<Result<_, _>>()?;
        let (outputs, device) = self.program.run_told(ordered, deadline).await?;
        self.device = device;
        let (mut next, mut rest) = (Vec::new(), Vec::new());
        for (port, output) in signature.outputs.iter().zip(outputs) {
            match signature.states().find(|(_, state)| state.name == port.name) {
                Some((input, _)) => next.push((input.name.clone(), output)),
                None => rest.push((port.name.clone(), output)),
            }
        }
        self.states = Some(Arc::new(States::booked(next, &self.ledger)?));
        Ok(rest)
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn commit(&mut self) {
        self.committed = self.states.clone();
    }

    fn rollback(&mut self) {
        self.states = self.committed.clone();
    }
}
