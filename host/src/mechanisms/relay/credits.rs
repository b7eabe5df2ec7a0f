//! How many calls may be on their way to each node: whoever has none left waits, and so does whoever waits for it.

use crate::nouns::NodeName;
use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The credits of this node with every other.
pub struct Credits {
    pub each: usize,
    nodes: Mutex<HashMap<(NodeName, usize), Arc<Semaphore>>>,
}

impl Credits {
    pub fn new(each: NonZeroUsize) -> Self {
        Self { each: each.get(), nodes: Mutex::default() }
    }

    /// One call to a stage of a node; `None` once the deadline has passed. A call holds it until it is answered, and its
    /// answer waits for stages after it: so each stage has credits of its own, or calls in a ring would wait for ever.
    pub async fn take(&self, node: &NodeName, stage: usize, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        let credits = {
            let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = || Arc::new(Semaphore::new(self.each));
            nodes.entry((node.clone(), stage)).or_insert_with(fresh).clone()
        };
        tokio::time::timeout_at(deadline.into(), credits.acquire_owned()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_stage_has_so_many() {
        let credits = Credits::new(NonZeroUsize::new(2).unwrap());
        let node: NodeName = "a.hall".parse().unwrap();
        let soon = || Instant::now() + Duration::from_millis(10);
        let first = credits.take(&node, 0, soon()).await;
        let second = credits.take(&node, 0, soon()).await;
        assert!(first.is_some() && second.is_some());
        assert!(credits.take(&node, 0, soon()).await.is_none());
        assert!(credits.take(&node, 1, soon()).await.is_some());
        drop(first);
        assert!(credits.take(&node, 0, soon()).await.is_some());
    }
}
