//! The ONNX Runtime accelerator: its CPU provider, in a shared library that is loaded when the accelerator is made. In
//! `npu`, the providers that drive NPUs.

mod compat;
mod division;
mod element;
mod empty_batch;
mod fault;
mod library;
mod npu;
mod optimizers;
mod program;
mod runtime;
mod session;
mod shadows;
mod signed_weights;
#[cfg(test)]
mod tests;
mod value;

use crate::cpu::{self, on_host, view, workers::Workers};
use burst_host::{
    nouns::{Account, Fault, Frame, Graph, Tensor, View},
    ports::{Accelerator, Device, Program},
};
use futures::future::BoxFuture;
pub use library::LibraryError;
pub use npu::{NpuAccelerator, NpuError, Placed};
use program::OnnxRuntimeProgram;
use runtime::Runtime;
pub use runtime::{Arena, Options};
use session::Session;
use std::{num::NonZeroUsize, sync::Arc, thread::available_parallelism};

/// How closely the numbers of quantised models are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Math {
    /// As the model says.
    #[default]
    Exact,
    /// Activations may be rounded to 8 bits where weights have few bits, as ONNX Runtime does unless told otherwise.
    Fast,
}

/// Every core of this box, or as many as it was given.
#[derive(Clone)]
pub struct OnnxRuntimeAccelerator {
    device: Arc<Device>,
    workers: Arc<Workers>,
    runtime: Arc<Runtime>,
    math: Math,
}

impl OnnxRuntimeAccelerator {
    /// Loads the library, once for the process. As many runs compute at once as there are cores, each on so many threads as
    /// the options say; all sleep while nothing runs.
    pub fn new(options: &Options, math: Math) -> Result<Self, LibraryError> {
        let runtime = Runtime::start(options)?;
        let driver = format!("ONNX Runtime {}", runtime.version);
        let device = Arc::new(Device { driver, ..cpu::this_machine() });
        let at_once = options.threads.max(available_parallelism().unwrap_or(NonZeroUsize::MIN));
        let workers = Workers::start(at_once).map_err(|fault| LibraryError::NotStarted(fault.to_string()))?;
        Ok(Self { device, workers: Arc::new(workers), runtime, math })
    }

    /// What all sessions of the process hold in their arena; `None` where ONNX Runtime does not tell.
    pub fn arena(&self) -> Option<Arena> {
        self.runtime.arena()
    }
}

impl Accelerator for OnnxRuntimeAccelerator {
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
            let (graph, math, runtime) = (graph.clone(), self.math, self.runtime.clone());
            let session = self.workers.run(None, move || Session::new(&graph, math, &runtime)).await?;
            let (device, workers) = (self.device.clone(), self.workers.clone());
            Ok(Arc::new(OnnxRuntimeProgram { session: Arc::new(session), device, workers }) as Arc<dyn Program>)
        })
    }
}
