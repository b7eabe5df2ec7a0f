//! Constants of one program on the device, each once for all of its plans, and gone with the last of them.

use super::{
    device::Gpu,
    memory::{Block, Memory},
    transfer,
};
use burst_host::nouns::{Digest, Fault, Tensor};
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// What plans share.
#[derive(Default)]
pub struct Weights {
    constants: tokio::sync::Mutex<Shared<Place>>,
    /// What was computed from constants, by how.
    derived: Mutex<Shared<Digest>>,
}

/// Address and length of a constant in host memory.
type Place = (usize, usize);

/// Blocks that plans hold. The tensors are kept as long, so that their addresses stay their own.
struct Shared<K>(HashMap<K, (Vec<Tensor>, Weak<Block>)>);

impl<K> Default for Shared<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Shared<K> {
    fn get(&self, key: &K) -> Option<Arc<Block>> {
        self.0.get(key).and_then(|(_, block)| block.upgrade())
    }

    fn insert(&mut self, key: K, sources: Vec<Tensor>, block: &Arc<Block>) {
        self.0.retain(|_, (_, block)| block.strong_count() > 0);
        self.0.insert(key, (sources, Arc::downgrade(block)));
    }
}

impl Weights {
    /// A constant on the device.
    pub async fn block(&self, tensor: &Tensor, gpu: &Gpu, memory: &Memory) -> Result<Arc<Block>, Fault> {
        let contents = tensor.contents().ok_or_else(|| Fault::Invalid("a constant is on a device".into()))?;
        let place = (contents.as_ptr() as usize, contents.len());
        let mut constants = self.constants.lock().await;
        if let Some(block) = constants.get(&place) {
            return Ok(block);
        }
        let block = transfer::upload(gpu, memory, tensor).await?;
        constants.insert(place, vec![tensor.clone()], &block);
        Ok(block)
    }

    /// What another plan has computed in the same way.
    pub fn derived(&self, origin: &Digest) -> Option<Arc<Block>> {
        self.derived.lock().unwrap_or_else(PoisonError::into_inner).get(origin)
    }

    /// Keeps what was computed from `sources` for the next plan.
    pub fn derive(&self, origin: Digest, sources: Vec<Tensor>, block: &Arc<Block>) {
        self.derived.lock().unwrap_or_else(PoisonError::into_inner).insert(origin, sources, block);
    }
}
