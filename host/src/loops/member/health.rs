//! What a node tells of itself while it works: how slow it has become, and how much it can hold.

use super::{Member, lock};
use crate::{mechanisms::place::Task, ports::Memory};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// A slow node that nobody uses is given work again after so long, and after twice as long every time.
const REST: Duration = Duration::from_secs(60);
const REST_MAX: Duration = Duration::from_secs(3600);
/// What it can hold is told when it differs by one in so many.
const NEWS: u64 = 8;
/// Of what fragments may hold, one in so many has to stay free; a node without that much is full, and relieved.
const RESERVE: u64 = 8;

/// What fragments may hold here, and how long a slow node rests.
pub struct Health {
    /// However much there is.
    pub most_bytes: u64,
    memory: Arc<dyn Memory>,
    rest: Mutex<Duration>,
}

impl Health {
    pub fn new(most_bytes: u64, memory: Arc<dyn Memory>) -> Self {
        Self { most_bytes, memory, rest: Mutex::new(REST) }
    }

    /// What fragments may hold beside everything else, if they hold so much now.
    pub fn memory_bytes(&self, held_bytes: u64) -> u64 {
        let all = self.memory.room_bytes().saturating_add(held_bytes);
        self.most_bytes.min(all.saturating_sub(self.most_bytes / RESERVE))
    }
}

impl Member {
    /// Looks whether this node has become slow or full.
    pub(super) fn look(&self) {
        let memory_bytes = self.health.memory_bytes(self.held_bytes());
        let slowdown = self.slowdown();
        let mut told = self.told();
        told.slowdown = slowdown;
        if memory_bytes.abs_diff(told.memory_bytes) > told.memory_bytes / NEWS {
            tracing::info!(bytes = memory_bytes, "what fragments may hold here is another now");
            told.memory_bytes = memory_bytes;
        }
    }

    fn slowdown(&self) -> f64 {
        let pace = &self.relay.pace;
        let mut rest = lock(&self.health.rest);
        if *pace.slowdown().borrow() > 0.0 && pace.rested(*rest) {
            *rest = (*rest * 2).min(REST_MAX);
            pace.forget();
        }
        *pace.slowdown().borrow()
    }

    /// What the fragments hold that are loaded here.
    fn held_bytes(&self) -> u64 {
        let loaded = self.loaded.fragments();
        let known = self.known();
        let fragment = |(digest, index)| known.get(&digest)?.plan.fragments.get(index).map(Task::from);
        loaded.into_iter().filter_map(fragment).map(|task| task.held_bytes).fold(0, u64::saturating_add)
    }
}
