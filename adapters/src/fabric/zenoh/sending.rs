//! Zenoh blocks whoever sends while a link is full. What surely finds room is sent at once; everything else on threads
//! for it, a few for the calls to each node and as many for the answers to it, so that one node that takes nothing holds
//! up no other.

use super::broken;
use burst_host::{
    nouns::NodeName,
    ports::{FabricError, Urgency},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::sync::Semaphore;

/// Messages for one node that may wait for their link at once; more of them wait without a thread.
const THREADS: usize = 32;
/// What finds room on a link that nothing waits for: half of one of Zenoh's batches.
const ROOM_BYTES: usize = 32 << 10;
/// Lanes that are kept in mind before those that nothing uses are forgotten.
const LANES: usize = 256;

/// Where messages go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    To(NodeName),
    /// Answers: whoever asked waits for them with calls of its own.
    Back(NodeName),
    /// To everybody, or to somebody who does not say who it is.
    Anywhere,
}

#[derive(Default)]
pub struct Sending(Mutex<HashMap<(Way, Urgency), Arc<Lane>>>);

struct Lane {
    threads: Arc<Semaphore>,
    /// What may be on its way.
    bytes: AtomicUsize,
}

/// Bytes that may be on their way as long as this is held.
pub struct Share {
    lane: Arc<Lane>,
    bytes: usize,
}

impl Sending {
    /// A share of a lane, to be held until what is sent has surely arrived.
    pub fn share(&self, way: Way, urgency: Urgency, bytes: usize) -> Share {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() >= LANES {
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        let fresh = || Arc::new(Lane { threads: Arc::new(Semaphore::new(THREADS)), bytes: AtomicUsize::new(0) });
        let lane = lanes.entry((way, urgency)).or_insert_with(fresh).clone();
        lane.bytes.fetch_add(bytes, Relaxed);
        Share { lane, bytes }
    }
}

impl Share {
    /// Sends so many bytes.
    pub async fn send<T: Send + 'static>(
        &self,
        bytes: usize,
        send: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, FabricError> {
        let Lane { threads, bytes: all } = &*self.lane;
        if bytes <= self.bytes && all.load(Relaxed) <= ROOM_BYTES && threads.available_permits() == THREADS {
            return Ok(send());
        }
        let permit = threads.clone().acquire_owned().await.map_err(broken)?;
        let sent = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            send()
        });
        sent.await.map_err(broken)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.lane.bytes.fetch_sub(self.bytes, Relaxed);
    }
}
