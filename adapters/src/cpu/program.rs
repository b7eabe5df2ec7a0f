//! One loaded model on the CPU.

use super::{number, plans::Plans, translate::short, workers::Workers};
use burst_host::{
    nouns::{Account, Fault, Signature, Tensor},
    ports::{Device, Program},
};
use futures::future::BoxFuture;
use std::{sync::Arc, time::Instant};
use tract_onnx::prelude::{TValue, TVec};

/// Plans, and the threads that run them.
pub(super) struct CpuProgram {
    plans: Arc<Plans>,
    device: Arc<Device>,
    workers: Arc<Workers>,
}

impl CpuProgram {
    pub(super) fn new(plans: Plans, device: Arc<Device>, workers: Arc<Workers>) -> Self {
        Self { plans: Arc::new(plans), device, workers }
    }
}

impl Program for CpuProgram {
    fn signature(&self) -> &Signature {
        &self.plans.signature
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn for_account(self: Arc<Self>, _: &Account) -> Arc<dyn Program> {
        self
    }

    fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<Vec<Tensor>, Fault>> {
        Box::pin(async move {
            inputs.iter().try_for_each(super::on_host)?;
            self.plans.signature.fits(&inputs)?;
            let plans = Arc::clone(&self.plans);
            self.workers.run(Some(deadline), move || compute(&plans, &inputs)).await
        })
    }
}

pub(super) fn compute(plans: &Plans, inputs: &[Tensor]) -> Result<Vec<Tensor>, Fault> {
    let plan = plans.plan(inputs)?;
    let inputs: TVec<TValue> = plans.rest(inputs).into_iter().map(number::to_tract).collect::<Result<_, _>>()?;
    let outputs = plan.run(inputs).map_err(|error| Fault::Invalid(short(&format!("{error:#}"))))?;
    outputs.into_iter().map(number::from_tract).collect()
}
