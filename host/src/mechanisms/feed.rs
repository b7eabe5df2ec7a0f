//! The newest frame of a camera, for whoever looks.

use super::statistics::Counter;
use crate::nouns::Frame;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::watch;

/// What became of a camera's frames on their way to one guest.
#[derive(Debug, Default)]
pub struct FrameCounts {
    /// Frames that arrived.
    pub enqueued: Counter,
    /// Frames that the guest took.
    pub dequeued: Counter,
    /// A newer one came before anybody looked.
    pub replaced: Counter,
    /// Older than the camera's `max_age_ms` when a guest was free.
    pub stale: Counter,
    /// No lease was free.
    pub busy: Counter,
    /// The guest failed on it.
    pub failed: Counter,
}

impl FrameCounts {
    /// Frames that no guest saw.
    pub fn dropped(&self) -> u64 {
        self.replaced.get() + self.stale.get() + self.busy.get()
    }
}

/// The sending end: one per camera.
pub struct Slot {
    latest: watch::Sender<Option<Frame>>,
}

impl Slot {
    pub fn new() -> Self {
        Self { latest: watch::Sender::new(None) }
    }

    /// Replaces the newest frame.
    pub fn put(&self, frame: Frame) {
        self.latest.send_replace(Some(frame));
    }

    /// A receiving end for one guest.
    pub fn feed(&self) -> Feed {
        Feed { latest: self.latest.subscribe(), counts: Arc::default(), next_sequence: Arc::default() }
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

/// The receiving end: holds the newest frame only, because a camera that waits shows the past. Clones are of the same
/// guest: what one takes, the others don't see again.
#[derive(Clone)]
pub struct Feed {
    latest: watch::Receiver<Option<Frame>>,
    counts: Arc<FrameCounts>,
    next_sequence: Arc<AtomicU64>,
}

impl Feed {
    pub fn counts(&self) -> &Arc<FrameCounts> {
        &self.counts
    }

    /// Begins with the next frame: those until now were for somebody else.
    pub fn skip(&mut self) {
        let latest = self.latest.borrow_and_update().as_ref().map_or(0, |frame| frame.sequence + 1);
        self.next_sequence.fetch_max(latest, Relaxed);
    }

    /// Waits for a frame that this guest did not take yet; `None` when the camera is gone.
    pub async fn next(&mut self, max_age: Duration) -> Option<Frame> {
        loop {
            self.latest.changed().await.ok()?;
            self.latest.mark_unchanged();
            if let Some(frame) = self.take(max_age) {
                return Some(frame);
            }
        }
    }

    /// The newest frame, if this guest did not take it yet and it is young enough.
    pub fn take(&self, max_age: Duration) -> Option<Frame> {
        let frame = self.latest.borrow().clone()?;
        let expected = self.next_sequence.fetch_max(frame.sequence + 1, Relaxed);
        let replaced = frame.sequence.checked_sub(expected)?;
        self.counts.enqueued.add(replaced + 1);
        self.counts.replaced.add(replaced);
        if frame.received.elapsed() > max_age {
            self.counts.stale.add(1);
            return None;
        }
        Some(frame)
    }
}
