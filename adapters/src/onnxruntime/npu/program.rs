//! One model on an NPU: a session for each of its shapes.

use super::{
    super::{fault, program::EndOnDrop, session::Session},
    buckets::{Buckets, Lengths, lengths_of, resized},
    refusals::Refusals,
};
use crate::cpu::{on_host, workers::Workers};
use burst_host::{
    nouns::{Account, Fault, Signature, Tensor},
    ports::{Device, Program},
};
use futures::future::BoxFuture;
use ort::session::RunOptions;
use std::{sync::Arc, time::Instant};

pub(super) struct NpuProgram {
    /// With a name for each open axis.
    pub signature: Signature,
    pub device: Arc<Device>,
    pub workers: Arc<Workers>,
    pub shapes: Arc<Shapes>,
}

/// What was compiled of a model.
pub(super) struct Shapes {
    pub buckets: Arc<Buckets>,
    /// At least one.
    pub compiled: Vec<Compiled>,
}

/// A model at one shape.
pub(super) struct Compiled {
    pub lengths: Lengths,
    pub session: Session,
    pub refusals: Refusals,
}

impl Program for NpuProgram {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn for_account(self: Arc<Self>, _: &Account) -> Arc<dyn Program> {
        self
    }

    fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<Vec<Tensor>, Fault>> {
        Box::pin(async move {
            inputs.iter().try_for_each(on_host)?;
            self.signature.fits(&inputs)?;
            let options = Arc::new(RunOptions::new().map_err(fault::of_run)?);
            let (shapes, signature) = (self.shapes.clone(), self.signature.clone());
            let _end = EndOnDrop(options.clone());
            self.workers.run(Some(deadline), move || shapes.run(&signature, inputs, &options)).await
        })
    }
}

impl Shapes {
    fn run(&self, signature: &Signature, inputs: Vec<Tensor>, options: &RunOptions) -> Result<Vec<Tensor>, Fault> {
        let wanted = lengths_of(&signature.inputs, &inputs);
        let lengths = self.compiled.iter().map(|compiled| &compiled.lengths);
        let compiled = &self.compiled[self.buckets.choose(lengths, &wanted)?];
        compiled.refusals.check(&inputs)?;
        if wanted == compiled.lengths {
            return compiled.session.run(&inputs, options);
        }
        let pad = |(port, input)| resized(port, input, &compiled.lengths);
        let inputs = signature.inputs.iter().zip(inputs).map(pad).collect::<Result<Vec<_>, _>>()?;
        let outputs = compiled.session.run(&inputs, options)?;
        signature.outputs.iter().zip(outputs).map(|(port, output)| resized(port, output, &wanted)).collect()
    }
}
