//! Hands every record to whoever listens now; nobody listening costs nothing, and a slow listener loses the oldest.

use async_trait::async_trait;
use burst_host::{
    nouns::Record,
    ports::{Sink, SinkError},
};
use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};

/// A sink with any number of listeners up to a limit.
pub struct Broadcast {
    records: broadcast::Sender<(u64, Arc<Record>)>,
    closed: watch::Sender<bool>,
    listeners: Arc<Semaphore>,
    delivered: AtomicU64,
}

impl Broadcast {
    /// Keeps the newest `capacity` records for slow listeners, of whom there are at most `listeners_max`.
    pub fn new(capacity: NonZeroUsize, listeners_max: usize) -> Self {
        Self {
            // tokio rounds up to a power of two and panics above this.
            records: broadcast::Sender::new(capacity.get().min(usize::MAX / 4)),
            closed: watch::Sender::new(false),
            listeners: Arc::new(Semaphore::new(listeners_max.min(Semaphore::MAX_PERMITS))),
            delivered: AtomicU64::new(0),
        }
    }

    /// Listens from now on; `None` when as many listen as may, or the house closes.
    pub fn subscribe(&self) -> Option<Subscription> {
        let place = Arc::clone(&self.listeners).try_acquire_owned().ok()?;
        let closed = self.closed.subscribe();
        let open = !*closed.borrow();
        open.then(|| Subscription { records: self.records.subscribe(), closed, _place: place })
    }

    /// Ends every subscription, so that a server can drain.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }
}

#[async_trait]
impl Sink for Broadcast {
    async fn deliver(&self, record: Arc<Record>) -> Result<(), SinkError> {
        if *self.closed.borrow() {
            return Err(SinkError::Closed("shutting down".into()));
        }
        let id = self.delivered.fetch_add(1, Relaxed);
        // An error only says that nobody listens.
        let _ = self.records.send((id, record));
        Ok(())
    }
}

/// One listener.
pub struct Subscription {
    records: broadcast::Receiver<(u64, Arc<Record>)>,
    closed: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A record and its number, which counts all records of this host.
    Record(u64, Arc<Record>),
    /// So many records were dropped because this listener was slow.
    Lost(u64),
}

impl Subscription {
    /// Waits for the next; `None` once the broadcast is closed.
    pub async fn next(&mut self) -> Option<Heard> {
        tokio::select! {
            biased;
            _ = self.closed.wait_for(|&closed| closed) => None,
            heard = self.records.recv() => match heard {
                Ok((id, record)) => Some(Heard::Record(id, record)),
                Err(broadcast::error::RecvError::Lagged(count)) => Some(Heard::Lost(count)),
                Err(broadcast::error::RecvError::Closed) => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burst_host::nouns::RecordValue;

    fn record(sequence: u64) -> Arc<Record> {
        Arc::new(Record {
            guest: "people".into(),
            camera: "door".into(),
            sequence,
            captured_ms: 0,
            label: "person".into(),
            value: RecordValue::Count { value: 1 },
        })
    }

    fn broadcast() -> Broadcast {
        Broadcast::new(NonZeroUsize::new(4).unwrap(), 2)
    }

    #[tokio::test]
    async fn a_slow_listener_loses_the_oldest_and_hears_how_many() {
        let broadcast = broadcast();
        let mut slow = broadcast.subscribe().unwrap();
        for sequence in 0..10 {
            broadcast.deliver(record(sequence)).await.unwrap();
        }
        assert_eq!(slow.next().await, Some(Heard::Lost(6)));
        assert_eq!(slow.next().await, Some(Heard::Record(6, record(6))));
    }

    #[tokio::test]
    async fn listeners_are_bounded_and_leave_their_place() {
        let broadcast = broadcast();
        let (one, _two) = (broadcast.subscribe(), broadcast.subscribe());
        assert!(broadcast.subscribe().is_none());
        drop(one);
        assert!(broadcast.subscribe().is_some());
    }

    #[tokio::test]
    async fn closing_ends_every_subscription() {
        let broadcast = broadcast();
        let mut listener = broadcast.subscribe().unwrap();
        broadcast.close();
        assert_eq!(listener.next().await, None);
        assert!(broadcast.subscribe().is_none());
        assert!(matches!(broadcast.deliver(record(0)).await, Err(SinkError::Closed(_))));
    }
}
