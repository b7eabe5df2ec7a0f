//! Runs the stages of cut models that this node holds, and passes on what they yield to the nodes of the next stage.
//!
//! A call travels inside of the call before it: whoever passed values on keeps them until there is an answer, and gives
//! them to another node when one is lost. So a request is computed at least once, and answered once.

mod answered;
mod closing;
mod credits;
mod pace;
mod part;
mod pass;
mod recent;
mod sessions;
mod suspects;
mod transfers;
pub mod wire;

use crate::{
    mechanisms::statistics::{Counter, Histogram},
    nouns::{Digest, Epoch, Fault, Plan, Spread},
    ports::{Fabric, Handler, Reach, Service, Urgency},
};
use answered::Answered;
use async_trait::async_trait;
use bytes::Bytes;
pub use closing::{CLOSE, Closing};
use credits::Credits;
use pace::Pace;
pub use part::Part;
use pass::Halt;
use sessions::Sessions;
use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, RandomState},
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};
use suspects::Suspects;
use tokio::sync::{Semaphore, watch};
pub use transfers::Mean;
use transfers::Transfers;
use wire::{Call, Outcome};

/// Values between stages come from frames.
pub const STAGE: Service = Service { name: "stage", reach: Reach::Premises, urgency: Urgency::Usual };

/// Takes whatever is sent, and says that it came.
pub const PING: Service = Service { name: "ping", reach: Reach::Cluster, urgency: Urgency::First };

/// Answers pings.
pub struct Ping;

#[async_trait]
impl Handler for Ping {
    async fn handle(&self, _: Bytes) -> Bytes {
        Bytes::new()
    }
}

/// The stages that this node holds, and its way to the others.
pub struct Relay {
    fabric: Arc<dyn Fabric>,
    models: Mutex<HashMap<Digest, Model>>,
    answered: Answered,
    credits: Credits,
    /// A node computes one stage at a time, as its place was chosen for.
    turn: Semaphore,
    requests: Requests,
    sessions: Sessions,
    suspects: Suspects,
    this: Weak<Self>,
    pub pace: Pace,
    pub transfers: Transfers,
    /// Ticks when a spread becomes current or its nodes change.
    changed: watch::Sender<u64>,
    pub counts: Counts,
}

/// What happened between stages.
#[derive(Debug, Default)]
pub struct Counts {
    /// From the arrival of a call to the start of its stage.
    pub queue: Histogram,
    /// A stage.
    pub compute: Histogram,
    /// A call to the next stage, everything after it included.
    pub pass: Histogram,
    /// What such a call took beyond what the other node says that it took.
    pub transfer: Histogram,
    /// Waiting for a credit.
    pub credit: Histogram,
    /// Calls that went to another node after one was lost.
    pub replays: Counter,
    /// Times that a node with calls to answer gave no sign of life.
    pub silent: Counter,
    /// Calls that were sent again to a node that was silent.
    pub repeats: Counter,
    /// Steps of sessions that a node was given again, because another one was lost.
    pub replayed_steps: Counter,
    /// Calls that were answered from what was computed before.
    pub duplicates: Counter,
    /// Calls of another epoch.
    pub fenced: Counter,
    /// What was no call at all.
    pub garbage: Counter,
}

/// The spreads of one model that are known here.
#[derive(Default)]
struct Model {
    /// Where new requests go.
    current: Option<Arc<Held>>,
    /// By epoch: the current one, the one after it and those whose requests are still on their way.
    held: BTreeMap<Epoch, Arc<Held>>,
}

/// One spread, and what this node holds of it.
pub struct Held {
    pub digest: Digest,
    pub plan: Arc<Plan>,
    pub spread: Spread,
    /// By the number of the stage.
    pub stages: BTreeMap<usize, Arc<Part>>,
}

impl Relay {
    /// A relay that lets so many calls to one node be on their way at once, and keeps so much of sessions: states, and
    /// as much again of what was passed on.
    pub fn new(fabric: Arc<dyn Fabric>, credits: NonZeroUsize, session_bytes: u64) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            fabric,
            models: Mutex::default(),
            answered: Answered::default(),
            credits: Credits::new(credits),
            turn: Semaphore::new(1),
            requests: Requests::default(),
            sessions: Sessions::new(session_bytes),
            suspects: Suspects::default(),
            this: this.clone(),
            pace: Pace::default(),
            transfers: Transfers::default(),
            changed: watch::Sender::default(),
            counts: Counts::default(),
        })
    }

    /// Takes part in a spread, or holds more of it than before.
    pub fn hold(&self, held: Held) {
        let mut models = self.models();
        let model = models.entry(held.digest).or_default();
        let (epoch, held) = (held.spread.epoch.clone(), Arc::new(held));
        if model.current.as_ref().is_some_and(|current| current.spread.epoch == epoch) {
            model.current = Some(held.clone());
        }
        model.held.insert(epoch, held);
    }

    /// Sends new requests where this spread says. `false` where it is not held.
    pub fn make_current(&self, digest: &Digest, epoch: &Epoch) -> bool {
        let mut models = self.models();
        let Some(model) = models.get_mut(digest) else { return false };
        let Some(held) = model.held.get(epoch).cloned() else { return false };
        model.current = Some(held);
        drop(models);
        self.changed.send_modify(|ticks| *ticks += 1);
        true
    }

    /// Forgets spreads of a model before an epoch; calls of theirs are fenced from now on.
    pub fn forget(&self, digest: &Digest, before: &Epoch) {
        if let Some(model) = self.models().get_mut(digest) {
            model.held = model.held.split_off(before);
        }
    }

    /// Forgets a model; all calls of it are fenced from now on.
    pub fn forget_model(&self, digest: &Digest) {
        self.models().remove(digest);
        self.sessions.forget(digest);
    }

    /// What is held of a model at an epoch.
    pub fn held(&self, digest: &Digest, epoch: &Epoch) -> Option<Arc<Held>> {
        self.models().get(digest)?.held.get(epoch).cloned()
    }

    /// Where new requests go.
    pub fn current(&self, digest: &Digest) -> Option<Arc<Held>> {
        self.models().get(digest)?.current.clone()
    }

    /// Ticks when another spread becomes current.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Calls to one stage of a node that may be on their way at once.
    pub fn credits_each(&self) -> usize {
        self.credits.each
    }

    fn models(&self) -> MutexGuard<'_, HashMap<Digest, Model>> {
        // Nothing that holds it can break half way.
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Handler for Relay {
    async fn handle(&self, message: Bytes) -> Bytes {
        let arrived = Instant::now();
        let (call, values) = match wire::read::<Call>(message) {
            Ok(read) => read,
            Err(error) => {
                self.counts.garbage.add(1);
                return refusal(&Outcome::Fault(Fault::Invalid(error.to_string())));
            }
        };
        let key = (call.request, call.epoch.clone(), call.stage);
        let (answer, known) = self
            .answered
            .once(key, async {
                let answer = self.answer(call, values).await;
                let took_us = u64::try_from(arrived.elapsed().as_micros()).unwrap_or(u64::MAX);
                match answer {
                    Ok(values) => wire::write(&Outcome::Done { took_us }, &values)
                        .map_err(|error| refusal(&Outcome::Fault(Fault::Invalid(error.to_string())))),
                    Err(Halt::Fault(fault)) => Err(refusal(&Outcome::Fault(fault))),
                    Err(Halt::Fenced) => Err(refusal(&Outcome::Fenced)),
                    Err(Halt::Lost) => Err(refusal(&Outcome::Lost)),
                    Err(Halt::Behind(steps)) => Err(refusal(&Outcome::Behind { steps })),
                }
            })
            .await;
        self.counts.duplicates.add(u64::from(known));
        answer
    }
}

/// An outcome without values.
fn refusal(outcome: &Outcome) -> Bytes {
    wire::write(outcome, &Vec::new()).unwrap_or_default()
}

/// Names requests: no two of this cluster are alike.
struct Requests {
    process: u64,
    count: AtomicU64,
}

impl Default for Requests {
    fn default() -> Self {
        // The standard library's own random number.
        Self { process: RandomState::new().hash_one(0), count: AtomicU64::new(0) }
    }
}

impl Requests {
    fn next(&self) -> u128 {
        u128::from(self.process) << 64 | u128::from(self.count.fetch_add(1, Relaxed))
    }
}
