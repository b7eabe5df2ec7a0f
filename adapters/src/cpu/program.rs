//! One loaded model on the CPU.

use super::{number, plans::Plans, translate::short, workers::Workers};
use async_trait::async_trait;
use burst_host::{
    nouns::{Extent, Fault, Port, Signature, Tensor},
    ports::{Device, Program},
};
use std::{collections::HashMap, sync::Arc, time::Instant};
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

#[async_trait]
impl Program for CpuProgram {
    fn signature(&self) -> &Signature {
        &self.plans.signature
    }

    fn device(&self) -> &Device {
        &self.device
    }

    async fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> Result<Vec<Tensor>, Fault> {
        admit(&self.plans.signature.inputs, &inputs)?;
        let plans = Arc::clone(&self.plans);
        self.workers.run(Some(deadline), move || compute(&plans, &inputs)).await
    }
}

fn compute(plans: &Plans, inputs: &[Tensor]) -> Result<Vec<Tensor>, Fault> {
    let shapes: Vec<_> = inputs.iter().map(|input| input.spec().shape.clone()).collect();
    let plan = plans.plan(&shapes)?;
    let inputs: TVec<TValue> = inputs.iter().map(number::to_tract).collect::<Result<_, _>>()?;
    let outputs = plan.run(inputs).map_err(|error| Fault::Invalid(short(&format!("{error:#}"))))?;
    outputs.into_iter().map(number::from_tract).collect()
}

/// Holds inputs to the signature, extents of one name to one another.
fn admit(ports: &[Port], inputs: &[Tensor]) -> Result<(), Fault> {
    if ports.len() != inputs.len() {
        return Err(Fault::Invalid(format!("{} inputs are needed, {} were given", ports.len(), inputs.len())));
    }
    let mut named: HashMap<&str, usize> = HashMap::new();
    for (port, input) in ports.iter().zip(inputs) {
        super::on_host(input)?;
        let spec = input.spec();
        if !port.admits(spec) {
            return Err(Fault::Invalid(format!("input {port} does not take {spec}")));
        }
        for (axis, &extent) in port.shape.iter().flatten().zip(spec.shape.extents()) {
            let Extent::Named(name) = axis else { continue };
            let first = *named.entry(name).or_insert(extent);
            if first != extent {
                return Err(Fault::Invalid(format!(
                    "`{name}` is {first} in one input and {extent} in `{}`",
                    port.name
                )));
            }
        }
    }
    Ok(())
}
