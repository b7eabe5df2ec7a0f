//! A graph at fixed shapes before it has memory: what is dispatched, and in which order.

use super::{
    chain::Chain,
    device::Gpu,
    doubt::Checks,
    fuse, hoist,
    kernels::Kernel,
    memory::{Block, Memory},
    plan::Plan,
    product::Product,
    weights::Weights,
};
use burst_host::nouns::{Fault, Spec, Tensor};
use std::{borrow::Cow, collections::HashMap, sync::Arc};

/// A block of memory while a plan is made.
pub type StorageId = usize;

/// What a block of memory holds.
#[derive(Clone)]
pub enum Storage {
    /// An input of the plan.
    Input(usize),
    /// A weight, or what was folded to one.
    Constant(Tensor),
    /// What a dispatch writes, in so many bytes.
    Temporary { bytes: u64 },
    /// What was computed from constants when the plan was made.
    Held(Arc<Block>),
    /// What begins as this, and is changed by each run.
    State(Tensor),
}

/// One kernel on some blocks.
#[derive(Clone)]
pub struct Dispatch {
    pub kernel: Kernel,
    pub parameters: Vec<u32>,
    /// Blocks that are read, in the order of their bindings; the one that is written is bound last.
    pub reads: Vec<StorageId>,
    pub write: StorageId,
    pub groups: [u32; 3],
}

/// What is done on the device.
pub enum Step {
    /// Sets a block to zero.
    Clear(StorageId),
    Dispatch(Dispatch),
    /// A dispatch that may still grow.
    Chain(Chain),
    /// A dispatch that may still take in what comes after it.
    Product(Box<Product>),
}

/// A plan that has no memory yet.
#[derive(Default)]
pub struct Draft {
    pub storages: Vec<Storage>,
    pub inputs: Vec<Spec>,
    pub steps: Vec<Step>,
    pub outputs: Vec<(Spec, StorageId)>,
    pub checks: Checks,
}

impl Dispatch {
    /// `Unsupported` where a device starts fewer workgroups along an axis.
    pub fn check_groups(&self, most: u32) -> Result<(), Fault> {
        if self.groups.iter().all(|&groups| groups <= most) {
            return Ok(());
        }
        let Self { kernel, groups, .. } = self;
        Err(Fault::Unsupported(format!("{groups:?} workgroups of {:?}, at most {most}, on the GPU", kernel.shader)))
    }
}

impl Step {
    pub fn reads(&self) -> Vec<StorageId> {
        match self {
            Self::Clear(_) => Vec::new(),
            Self::Dispatch(dispatch) => dispatch.reads.clone(),
            Self::Chain(chain) => chain.operands().iter().map(|operand| operand.storage).collect(),
            Self::Product(product) => product.operands().map(|operand| operand.storage).collect(),
        }
    }

    pub fn write(&self) -> StorageId {
        match self {
            Self::Clear(storage) => *storage,
            Self::Dispatch(dispatch) => dispatch.write,
            Self::Chain(chain) => chain.y.storage,
            Self::Product(product) => product.y.storage,
        }
    }

    /// Its kernel and what that is given; `None` for one that only clears.
    pub fn dispatch(&self) -> Option<Cow<'_, Dispatch>> {
        match self {
            Self::Clear(_) => None,
            Self::Dispatch(dispatch) => Some(Cow::Borrowed(dispatch)),
            Self::Chain(chain) => Some(Cow::Owned(chain.dispatch())),
            Self::Product(product) => Some(Cow::Owned(product.dispatch())),
        }
    }
}

impl Draft {
    /// Drops what no output needs, joins what can be, does once what never changes, and compiles the rest.
    pub async fn finish(mut self, gpu: &Gpu, memory: &Memory, weights: &Weights) -> Result<Plan, Fault> {
        self.prune();
        fuse::fuse(&mut self);
        hoist::hoist(&mut self, gpu, memory, weights).await?;
        Plan::new(&self, gpu, memory, weights).await
    }

    /// Drops what no output needs.
    pub fn prune(&mut self) {
        let mut needed: Vec<bool> = vec![false; self.storages.len()];
        self.lasting().for_each(|storage| needed[storage] = true);
        let mut kept = Vec::new();
        for step in std::mem::take(&mut self.steps).into_iter().rev() {
            if needed[step.write()] {
                step.reads().iter().for_each(|&storage| needed[storage] = true);
                kept.push(step);
            }
        }
        kept.reverse();
        self.steps = kept;
    }

    /// What is read once everything is done.
    pub fn lasting(&self) -> impl Iterator<Item = StorageId> {
        let outputs = self.outputs.iter().map(|(_, storage)| *storage);
        outputs.chain(self.checks.word.iter().map(|word| word.storage))
    }

    pub fn last_uses(&self) -> HashMap<StorageId, usize> {
        let mut last = HashMap::new();
        for (at, step) in self.steps.iter().enumerate() {
            for storage in step.reads().into_iter().chain([step.write()]) {
                last.insert(storage, at);
            }
        }
        last.extend(self.lasting().map(|storage| (storage, usize::MAX)));
        last
    }
}
