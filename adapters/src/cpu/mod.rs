//! The CPU accelerator: tract on a small pool of compute threads.
//!
//! tract gets our own ONNX encoding of a graph, so whatever runs here is a valid ONNX model. It was taken before rten
//! because rten 0.27 holds only FP32 and 8- and 32-bit integers.

mod apart;
mod decide;
mod device;
mod halves;
mod infer;
mod mend;
mod ml;
mod narrow;
mod number;
mod ops;
mod pieces;
mod plans;
mod program;
mod spell;
#[cfg(test)]
mod tests;
mod translate;
mod traps;
pub mod view;
pub(crate) mod workers;

use crate::onnx::Limits;
use burst_host::{
    nouns::{Account, Fault, Frame, Graph, Tensor, View},
    ports::{Accelerator, Device, Program},
};
pub(crate) use device::this_machine;
use futures::future::BoxFuture;
pub use infer::{declared, infer};
use program::CpuProgram;
use std::{num::NonZeroUsize, sync::Arc};
use workers::Workers;

/// Every core of this box, or as many as it was given.
#[derive(Clone)]
pub struct CpuAccelerator {
    device: Arc<Device>,
    workers: Arc<Workers>,
    limits: Limits,
}

impl CpuAccelerator {
    /// Starts `threads` compute threads, which sleep while nothing runs, and as many helpers for one large model.
    pub fn new(threads: NonZeroUsize) -> Result<Self, Fault> {
        Ok(Self {
            device: Arc::new(this_machine()),
            workers: Arc::new(Workers::start(threads)?),
            limits: Limits::default(),
        })
    }
}

impl Accelerator for CpuAccelerator {
    fn describe(&self) -> &Device {
        &self.device
    }

    fn for_account(&self, _: &Account) -> Arc<dyn Accelerator> {
        Arc::new(self.clone())
    }

    /// Host memory is where graphs read best here.
    fn upload(&self, tensor: Tensor) -> BoxFuture<'_, Result<Tensor, Fault>> {
        Box::pin(async move {
            on_host(&tensor)?;
            Ok(tensor)
        })
    }

    fn download<'a>(&'a self, tensor: &'a Tensor) -> BoxFuture<'a, Result<Tensor, Fault>> {
        Box::pin(async move {
            on_host(tensor)?;
            Ok(tensor.clone())
        })
    }

    fn view<'a>(&'a self, frame: &'a Frame, view: &'a View) -> BoxFuture<'a, Result<Tensor, Fault>> {
        Box::pin(async move {
            let (frame, view) = (frame.clone(), *view);
            self.workers.run(None, move || view::view(&frame, &view)).await
        })
    }

    fn load<'a>(&'a self, graph: &'a Graph) -> BoxFuture<'a, Result<Arc<dyn Program>, Fault>> {
        Box::pin(async move {
            let (graph, limits) = (graph.clone(), self.limits.clone());
            let plans = self.workers.run(None, move || plans::Plans::new(&graph, &limits)).await?;
            Ok(Arc::new(CpuProgram::new(plans, Arc::clone(&self.device), Arc::clone(&self.workers)))
                as Arc<dyn Program>)
        })
    }
}

/// Computes a graph without inputs here and now: what other accelerators fold.
#[cfg(feature = "gpu")]
pub(crate) fn compute(graph: &Graph) -> Result<Vec<Tensor>, Fault> {
    workers::guarded(|| program::compute(&plans::Plans::new(graph, &Limits::default())?, &[]))
}

/// `Err` for a tensor of another device.
pub(crate) fn on_host(tensor: &Tensor) -> Result<(), Fault> {
    match tensor.contents() {
        Some(_) => Ok(()),
        None => Err(Fault::Invalid("the tensor is on another device".into())),
    }
}
