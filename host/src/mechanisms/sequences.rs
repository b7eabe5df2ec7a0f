//! Sequences of requests to one guest. A fresh guest answers each of them; the states of the graphs that it runs stay
//! here from one to the next.
//!
//! A request that fails leaves its sequence where it was. What nobody goes on with is forgotten by a task that there is
//! only while there are sequences: silence costs nothing.

use super::session;
use crate::{
    nouns::{Fault, Ledger, Sequence, SequenceId, Tensor, manifest::SequencesConfig},
    ports::{Device, Program, Session},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// The sequences of one guest.
pub struct Sequences {
    config: SequencesConfig,
    /// What their states hold.
    ledger: Ledger,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    entries: HashMap<SequenceId, Entry>,
    /// Whether somebody forgets those that are idle.
    swept: bool,
}

struct Entry {
    /// None until the first request was answered.
    sessions: Option<Arc<Sessions>>,
    /// A request is under way.
    busy: bool,
    used: Instant,
}

/// Why a request can't go on with its sequence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    #[error("there is no sequence `{0}`, or no longer: begin it with sequence_start")]
    Unknown(SequenceId),
    #[error("a request of sequence `{0}` is under way: send the next one when it is answered")]
    Busy(SequenceId),
    #[error("{0} sequences are open, as many as sequences.max allows: end one with sequence_end, or wait")]
    Full(usize),
}

impl Sequences {
    pub fn new(config: SequencesConfig) -> Self {
        let ledger = Ledger::new("state_max_bytes", config.state_max_bytes.get());
        Self { config, ledger, open: Mutex::default() }
    }

    /// What bounds them.
    pub fn config(&self) -> &SequencesConfig {
        &self.config
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.lock().entries.len()
    }

    /// Bytes that their states hold here.
    pub fn held_bytes(&self) -> usize {
        self.ledger.held()
    }

    /// Begins a request of a sequence: no other one of it begins until the step is dropped.
    pub fn begin(self: &Arc<Self>, sequence: &Sequence) -> Result<Step, SequenceError> {
        let mut open = self.lock();
        self.forget_idle(&mut open);
        let (id, known) = (&sequence.id, open.entries.len());
        let sessions = match open.entries.get_mut(id) {
            Some(entry) if entry.busy => return Err(SequenceError::Busy(id.clone())),
            Some(entry) => {
                entry.busy = true;
                entry.sessions.clone().filter(|_| !sequence.start)
            }
            None if !sequence.start => return Err(SequenceError::Unknown(id.clone())),
            None if known >= self.config.max.get() => return Err(SequenceError::Full(known)),
            None => {
                open.entries.insert(id.clone(), Entry { sessions: None, busy: true, used: Instant::now() });
                None
            }
        };
        if !std::mem::replace(&mut open.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
        let sessions = sessions.unwrap_or_else(|| Arc::new(Sessions::new(self.ledger.clone())));
        Ok(Step { sequences: self.clone(), sequence: sequence.clone(), sessions, committed: false })
    }

    fn idle(&self) -> Duration {
        Duration::from_millis(self.config.idle_ms.get())
    }

    fn forget_idle(&self, open: &mut Open) {
        open.entries.retain(|_, entry| entry.busy || entry.used.elapsed() < self.idle());
    }

    /// Forgets what is idle; when to look again, unless nothing is left.
    fn sweep(&self) -> Option<Instant> {
        let mut open = self.lock();
        self.forget_idle(&mut open);
        let ends =
            open.entries.values().map(|entry| if entry.busy { Instant::now() } else { entry.used } + self.idle());
        let next = ends.min();
        open.swept = next.is_some();
        next
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing that holds the lock can leave the entries half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until no sequence is left, or the guest is gone.
async fn sweep(sequences: Weak<Sequences>) {
    while let Some(next) = sequences.upgrade().and_then(|sequences| sequences.sweep()) {
        tokio::time::sleep_until(next.into()).await;
    }
}

/// A request's step. Dropped without [`Step::commit`] it was none.
pub struct Step {
    sequences: Arc<Sequences>,
    sequence: Sequence,
    sessions: Arc<Sessions>,
    committed: bool,
}

impl Step {
    /// What the graphs of this request run in.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// The sequence has made this step: the next request goes on after it.
    pub fn commit(mut self) {
        self.committed = self.sessions.commit();
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        // Before anybody may go on with it.
        let whole = self.committed || self.sessions.rollback();
        let mut open = self.sequences.lock();
        let Some(entry) = open.entries.get_mut(&self.sequence.id) else { return };
        let before = if self.committed { entry.sessions.replace(self.sessions.clone()) } else { None };
        entry.busy = false;
        entry.used = Instant::now();
        let damaged = |kept: &Arc<Sessions>| Arc::ptr_eq(kept, &self.sessions) && !whole;
        let ended = if self.committed { self.sequence.end } else { entry.sessions.as_ref().is_none_or(damaged) };
        let gone = if ended { open.entries.remove(&self.sequence.id) } else { None };
        // States are given back without the lock.
        drop(open);
        drop((before, gone));
    }
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Step({})", self.sequence.id)
    }
}

/// The sessions of one sequence, by the names that the guest opens their graphs with.
pub struct Sessions {
    ledger: Ledger,
    open: tokio::sync::Mutex<BTreeMap<String, Box<dyn Session>>>,
    /// States are gone for good, with a device or with the nodes that had them.
    lost: AtomicBool,
}

impl Sessions {
    fn new(ledger: Ledger) -> Self {
        Self { ledger, open: tokio::sync::Mutex::default(), lost: AtomicBool::new(false) }
    }

    /// One step of a graph: everything but its states in, everything but its states out; and what computed it.
    pub async fn step(
        &self,
        graph: &str,
        program: &Arc<dyn Program>,
        inputs: Vec<(String, Tensor)>,
        deadline: Instant,
    ) -> Result<(Vec<(String, Tensor)>, Device), Fault> {
        let mut open = self.open.lock().await;
        if !open.contains_key(graph) {
            open.insert(graph.into(), session::open(program.clone(), &self.ledger));
        }
        let session = open.get_mut(graph).ok_or_else(|| Fault::NotFound(graph.into()))?;
        let outputs = session.step(inputs, deadline).await;
        if matches!(outputs, Err(Fault::DeviceLost | Fault::NotFound(_))) {
            self.lost.store(true, Relaxed);
        }
        Ok((outputs?, session.device().clone()))
    }

    fn commit(&self) -> bool {
        self.lost.store(false, Relaxed);
        self.each(|session| session.commit())
    }

    /// Takes back what was not committed; `false` where nobody can go on from there.
    pub fn rollback(&self) -> bool {
        self.each(|session| session.rollback()) && !self.lost.swap(false, Relaxed)
    }

    /// `false` where a step is still under way.
    fn each(&self, change: impl Fn(&mut dyn Session)) -> bool {
        let Ok(mut open) = self.open.try_lock() else { return false };
        open.values_mut().for_each(|session| change(&mut **session));
        true
    }
}
