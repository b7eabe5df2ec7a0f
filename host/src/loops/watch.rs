//! Camera lanes: the newest frame of a camera, a guest that looks at it, and what it may say.

use super::serve::Deployment;
use crate::{
    mechanisms::{
        egress::{Gate, LaneCounts},
        feed::{Feed, Slot},
        live::CallError,
        pool::{Lease, Offer},
        statistics::Retired,
    },
    nouns::{Event, Frame, manifest::Reuse},
    ports::{FrameSource, Sink, SourceError},
};
use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

/// The shortest pause before a source that failed is asked again; doubled each time, up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Puts a source's frames into its slot until it ends for good.
pub async fn pump(mut source: Box<dyn FrameSource>, slot: Arc<Slot>, camera: Arc<str>) {
    let mut pause = RETRY_MIN;
    loop {
        match source.next().await {
            Ok(Some(frame)) => {
                pause = RETRY_MIN;
                slot.put(frame);
            }
            Ok(None) => return tracing::info!(%camera, "the camera ended"),
            Err(SourceError::Permanent(reason)) => return tracing::error!(%camera, reason, "the camera can't be used"),
            Err(SourceError::Passing(reason)) => {
                tracing::warn!(%camera, reason, "the camera is asked again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
    }
}

/// One guest looking through one camera.
pub struct Lane {
    pub deployment: Arc<Deployment>,
    pub camera: Arc<str>,
    pub feed: Feed,
    pub gate: Gate,
    pub sinks: Arc<[Arc<dyn Sink>]>,
    pub max_age: Duration,
    pub reuse: Reuse,
}

/// The guest that a lane keeps between frames.
struct Kept {
    lease: Lease,
    calls: u32,
    since: Instant,
}

impl Kept {
    fn is_old(&self) -> bool {
        self.calls >= Reuse::LANE_CALLS_MAX || self.since.elapsed() >= Duration::from_millis(Reuse::LANE_MS_MAX)
    }
}

impl Lane {
    /// What is counted of it.
    pub fn counts(&self) -> LaneCounts {
        LaneCounts {
            guest: self.deployment.name.clone(),
            camera: self.camera.clone(),
            frames: self.feed.counts().clone(),
            events: self.gate.counts().clone(),
        }
    }

    /// Looks at every frame that it can, until the camera ends.
    pub async fn run(self) {
        self.run_until(std::future::pending()).await;
    }

    /// The same until another lane takes its place. A frame that it looks at is looked at to the end.
    pub async fn run_until(mut self, replaced: impl Future<Output = ()>) {
        let mut replaced = pin!(replaced);
        let mut kept: Option<Kept> = None;
        let end = loop {
            let frame = tokio::select! {
                biased;
                () = &mut replaced => break Retired::Replaced,
                frame = self.feed.next(self.max_age) => frame,
            };
            let Some(frame) = frame else { break Retired::Aged };
            let deadline = Instant::now() + Duration::from_millis(self.deployment.limits.deadline_ms.get());
            let Some(mut guest) = self.guest(kept.take(), deadline).await else {
                self.feed.counts().busy.add(1);
                continue;
            };
            self.feed.counts().dequeued.add(1);
            guest.calls += 1;
            let started = Instant::now();
            let events = guest.lease.watch(frame.clone(), deadline).await;
            self.note(&events, started);
            kept = self.keep(guest, events.as_ref().err());
            self.emit(events.unwrap_or_default(), &frame).await;
        };
        if let Some(guest) = kept {
            guest.lease.end(end);
        }
    }

    async fn guest(&self, kept: Option<Kept>, deadline: Instant) -> Option<Kept> {
        if kept.is_some() {
            return kept;
        }
        match self.deployment.pool.lease(deadline).await {
            Offer::Lent(lease) => Some(Kept { lease, calls: 0, since: Instant::now() }),
            Offer::Busy | Offer::TimedOut | Offer::Closed => None,
            Offer::Broken(error) => {
                tracing::error!(guest = %self.deployment.name, %error, "a guest can't be made");
                None
            }
        }
    }

    /// Retires the guest unless it is a lane's, whole and young.
    fn keep(&self, guest: Kept, error: Option<&CallError>) -> Option<Kept> {
        let reason = match error {
            Some(error) => error.retires(),
            None if self.reuse == Reuse::Never => Retired::Used,
            None if guest.is_old() => Retired::Aged,
            None => return Some(guest),
        };
        guest.lease.end(reason);
        None
    }

    /// What a guest says of its failure may be made of pixels: it is counted and goes nowhere.
    fn note(&self, events: &Result<Vec<Event>, CallError>, started: Instant) {
        let statistics = &self.deployment.statistics;
        statistics.compute.record(started.elapsed());
        match events {
            Ok(_) => {
                statistics.success.record(started.elapsed());
                statistics.touch();
            }
            Err(error) => {
                self.deployment.ends.note(&self.deployment.name, None, error, None);
                statistics.fail.record(started.elapsed());
                self.feed.counts().failed.add(1);
            }
        }
    }

    async fn emit(&mut self, events: Vec<Event>, frame: &Frame) {
        for event in events {
            let Ok(record) = self.gate.admit(event, frame) else { continue };
            let record = Arc::new(record);
            for sink in self.sinks.iter() {
                if sink.deliver(record.clone()).await.is_err() {
                    self.gate.counts().undelivered.add(1);
                }
            }
        }
    }
}
