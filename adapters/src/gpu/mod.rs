//! The GPU accelerator: ONNX graphs as compute shaders on wgpu.
//!
//! ```text
//!   Graph ─planner─▶ Draft ─memory, pipelines─▶ Plan ─one submit a run─▶ tensors that stay on the device
//! ```

mod cells;
mod chain;
mod device;
mod doubt;
mod draft;
mod elements;
mod entry;
mod family;
mod flights;
mod fold;
mod fuse;
mod halving;
mod hoist;
mod inside;
mod iterations;
mod kernels;
mod lane;
mod lasting;
mod lower;
mod memory;
mod model;
mod node;
mod pattern;
mod places;
mod plan;
mod planner;
mod planning;
mod product;
mod program;
mod recent;
mod stored;
mod survey;
mod task;
#[cfg(test)]
mod tests;
mod tiling;
mod trail;
mod transfer;
mod trial;
mod tuning;
mod view;
mod waiter;
mod weights;

use crate::onnx::{self, Limits};
use burst_host::{
    nouns::{Account, Fault, Frame, Graph, Tensor, View},
    ports::{Accelerator, Device, Program},
};
pub use device::{Options, Wanted};
pub use family::Family;
use futures::future::BoxFuture;
pub use halving::Halving;
use lasting::Lasting;
use model::GpuModel;
use std::sync::Arc;
pub use survey::{Survey, survey};
pub use tuning::Choice;

/// What the pass before this accelerator leaves to it.
const TARGET: onnx::Target =
    onnx::Target { name: "GPU", native: |op, _| !op.domain.is_empty() && lower::known(op).is_ok() };

/// One GPU, for one holder.
pub struct GpuAccelerator {
    lasting: Arc<Lasting>,
    account: Account,
    limits: Limits,
}

impl GpuAccelerator {
    /// Opens the GPU that is wanted. Takes tens of milliseconds.
    pub async fn open(wanted: &Wanted) -> Result<Self, Fault> {
        Self::open_with(wanted, Options::default()).await
    }

    /// The same, with limits.
    pub async fn open_with(wanted: &Wanted, options: Options) -> Result<Self, Fault> {
        let lasting = Arc::new(Lasting::open(wanted, options).await?);
        Ok(Self { lasting, account: Account::unlimited(), limits: Limits::default() })
    }

    /// Allocations that wgpu has of the driver, and their bytes: for tests of what is left behind.
    #[cfg(any(test, feature = "conformance"))]
    pub fn allocations(&self) -> Option<(usize, u64)> {
        let report = self.lasting.last().device.generate_allocator_report()?;
        Some((report.allocations.len(), report.total_allocated_bytes))
    }

    /// The kernels that were chosen for the device.
    #[cfg(test)]
    pub fn choice(&self) -> Choice {
        self.lasting.last().target.choice
    }

    /// Loses the device, as a driver that crashes does: for tests of what follows.
    #[cfg(any(test, feature = "conformance"))]
    pub fn lose(&self) {
        self.lasting.last().device.destroy();
    }
}

impl Accelerator for GpuAccelerator {
    fn describe(&self) -> &Device {
        &self.lasting.description
    }

    fn for_account(&self, account: &Account) -> Arc<dyn Accelerator> {
        Arc::new(Self { lasting: self.lasting.clone(), account: account.clone(), limits: self.limits.clone() })
    }

    fn held_bytes(&self) -> Option<u64> {
        Some(self.lasting.last().shelf.held_bytes())
    }

    fn room_bytes(&self) -> Option<u64> {
        let gpu = self.lasting.last();
        let ledgers = [&self.account.bytes, gpu.shelf.room()];
        ledgers.iter().map(|ledger| ledger.limit().saturating_sub(ledger.held()) as u64).min()
    }

    fn upload(&self, tensor: Tensor) -> BoxFuture<'_, Result<Tensor, Fault>> {
        Box::pin(async move {
            let gpu = self.lasting.get().await?;
            let block = transfer::place(&gpu, &gpu.memory(&self.account.bytes), &tensor).await?;
            Ok(Tensor::device(tensor.spec().clone(), block))
        })
    }

    fn download<'a>(&'a self, tensor: &'a Tensor) -> BoxFuture<'a, Result<Tensor, Fault>> {
        Box::pin(async move { transfer::download(&*self.lasting.get().await?, tensor).await })
    }

    fn view<'a>(&'a self, frame: &'a Frame, view: &'a View) -> BoxFuture<'a, Result<Tensor, Fault>> {
        Box::pin(async move {
            let gpu = self.lasting.get().await?;
            gpu.views.view(&gpu, &gpu.memory(&self.account.bytes), frame, view).await
        })
    }

    fn load<'a>(&'a self, graph: &'a Graph) -> BoxFuture<'a, Result<Arc<dyn Program>, Fault>> {
        Box::pin(async move {
            let plain = onnx::plain(graph, &self.limits, &TARGET)?;
            Ok(Arc::new(GpuModel::load(self.lasting.clone(), plain, self.account.clone()).await?) as Arc<dyn Program>)
        })
    }
}
