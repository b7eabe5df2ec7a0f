//! The GPU accelerator: ONNX graphs as compute shaders on wgpu.
//!
//! ```text
//!   Graph ─planner─▶ Draft ─memory, pipelines─▶ Plan ─one submit a run─▶ tensors that stay on the device
//! ```

mod device;
mod fold;
mod kernels;
mod lower;
mod memory;
mod plan;
mod planner;
mod program;
mod recent;
#[cfg(test)]
mod tests;
mod trail;
mod transfer;
mod view;

use crate::onnx::{self, Limits};
use async_trait::async_trait;
use burst_host::{
    nouns::{Fault, Frame, Graph, Tensor, View},
    ports::{Accelerator, Device, Program},
};
use device::Gpu;
pub use device::Wanted;
use memory::Memory;
use program::GpuProgram;
use std::sync::Arc;
use view::Views;

/// One GPU.
pub struct GpuAccelerator {
    gpu: Arc<Gpu>,
    memory: Arc<Memory>,
    views: Views,
    limits: Limits,
}

impl GpuAccelerator {
    /// Opens the GPU that is wanted. Takes tens of milliseconds.
    pub async fn open(wanted: &Wanted) -> Result<Self, Fault> {
        let gpu = Gpu::open(wanted).await?;
        Ok(Self { gpu: Arc::new(gpu), memory: Arc::new(Memory::new()), views: Views::new(), limits: Limits::default() })
    }
}

#[async_trait]
impl Accelerator for GpuAccelerator {
    fn describe(&self) -> &Device {
        &self.gpu.description
    }

    async fn upload(&self, tensor: Tensor) -> Result<Tensor, Fault> {
        let block = transfer::place(&self.gpu, &self.memory, &tensor).await?;
        Ok(Tensor::device(tensor.spec().clone(), block))
    }

    async fn download(&self, tensor: &Tensor) -> Result<Tensor, Fault> {
        transfer::download(&self.gpu, tensor).await
    }

    async fn view(&self, frame: &Frame, view: &View) -> Result<Tensor, Fault> {
        self.views.view(&self.gpu, &self.memory, frame, view).await
    }

    async fn load(&self, graph: &Graph) -> Result<Arc<dyn Program>, Fault> {
        let inlined = onnx::inline(graph, &self.limits)?;
        Ok(Arc::new(GpuProgram::load(self, inlined).await?))
    }
}
