//! Several accelerators of one box: the first one computes, and of cut models the others compute what they are quicker at.

use burst_host::{
    nouns::{Account, Fault, Frame, Graph, Tensor, View},
    ports::{Accelerator, Device, Program},
};
use futures::future::BoxFuture;
use std::sync::Arc;

/// The first one to whoever asks, and the others beside it.
pub struct Mixed {
    first: Arc<dyn Accelerator>,
    others: Vec<Arc<dyn Accelerator>>,
}

impl Mixed {
    /// One that is the same device as one before it is left out: it is no quicker.
    pub fn new(first: Arc<dyn Accelerator>, others: Vec<Arc<dyn Accelerator>>) -> Self {
        let mut kept: Vec<Arc<dyn Accelerator>> = Vec::new();
        for other in others {
            let device = other.describe();
            if device == first.describe() || kept.iter().any(|known| known.describe() == device) {
                tracing::info!(%device, "named twice, used once");
            } else {
                kept.push(other);
            }
        }
        Self { first, others: kept }
    }
}

impl Accelerator for Mixed {
    fn describe(&self) -> &Device {
        self.first.describe()
    }

    fn for_account(&self, account: &Account) -> Arc<dyn Accelerator> {
        let others = self.others.iter().map(|other| other.for_account(account)).collect();
        Arc::new(Self { first: self.first.for_account(account), others })
    }

    fn held_bytes(&self) -> Option<u64> {
        self.first.held_bytes()
    }

    fn room_bytes(&self) -> Option<u64> {
        self.first.room_bytes()
    }

    fn beside(&self) -> Vec<Arc<dyn Accelerator>> {
        self.others.clone()
    }

    fn upload(&self, tensor: Tensor) -> BoxFuture<'_, Result<Tensor, Fault>> {
        self.first.upload(tensor)
    }

    fn download<'a>(&'a self, tensor: &'a Tensor) -> BoxFuture<'a, Result<Tensor, Fault>> {
        self.first.download(tensor)
    }

    fn view<'a>(&'a self, frame: &'a Frame, view: &'a View) -> BoxFuture<'a, Result<Tensor, Fault>> {
        self.first.view(frame, view)
    }

    fn load<'a>(&'a self, graph: &'a Graph) -> BoxFuture<'a, Result<Arc<dyn Program>, Fault>> {
        self.first.load(graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::CpuAccelerator;
    use std::num::NonZeroUsize;

    #[test]
    fn the_same_device_is_there_once() {
        let cpu = || Arc::new(CpuAccelerator::new(NonZeroUsize::MIN).unwrap());
        let mixed = Mixed::new(cpu(), vec![cpu(), cpu()]);
        assert!(mixed.beside().is_empty() && mixed.for_account(&Account::unlimited()).beside().is_empty());
    }
}
