//! Nodes that gave no sign of life: others are asked first until the fabric knows more.

use crate::nouns::NodeName;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Longer than a fabric takes to notice that a node is gone.
const SUSPICION: Duration = Duration::from_secs(3);

/// Whom this node suspects, and until when.
#[derive(Default)]
pub struct Suspects(Mutex<HashMap<NodeName, Instant>>);

impl Suspects {
    pub fn add(&self, node: &NodeName) {
        self.inside().insert(node.clone(), Instant::now() + SUSPICION);
    }

    /// Puts those that are suspected last.
    pub fn sort(&self, nodes: &mut [NodeName]) {
        let mut suspects = self.inside();
        if suspects.is_empty() {
            return;
        }
        let now = Instant::now();
        suspects.retain(|_, until| *until > now);
        nodes.sort_by_key(|node| suspects.contains_key(node));
    }

    fn inside(&self) -> MutexGuard<'_, HashMap<NodeName, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
