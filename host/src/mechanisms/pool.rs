//! Lends pre-instantiated guests, one request at a time.
//!
//! ```text
//!   floor of ready guests ──lease──▶ busy ──drop──▶ retired ──refiller──▶ slot free
//!          ▲                                                    │
//!          └────────────── a fresh one for each ────────────────┘
//! ```
//!
//! The refiller is one task, asleep until a lease is taken or given back: silence costs nothing. Above the floor a
//! request makes its own guest, in microseconds, up to `max`; beyond that it queues, and beyond the queue it is refused.

use super::{
    component::{CompileError, CompiledGuest, LiveGuest},
    statistics::{Retired, Statistics},
};
use crate::nouns::manifest::PoolConfig;
use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};

/// What a pool holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Leases {
    pub ready: usize,
    pub busy: usize,
    /// Requests that wait for a lease.
    pub waiting: usize,
    /// The floor that is kept ready.
    pub floor: usize,
    /// The ceiling for ready and busy together.
    pub max: usize,
}

/// The answer to a request for a lease.
pub enum Offer {
    Lent(Lease),
    /// As many wait as may.
    Busy,
    /// None came free before the deadline.
    TimedOut,
    /// The guest can't be made: its `prepare` failed.
    Broken(CompileError),
    /// The pool was closed.
    Closed,
}

/// Guests of one component.
pub struct Pool {
    shared: Arc<Shared>,
    refiller: JoinHandle<()>,
}

struct Shared {
    guest: CompiledGuest,
    config: PoolConfig,
    statistics: Arc<Statistics>,
    shelves: Mutex<Shelves>,
    /// A permit for each [`Slot`].
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    work: Notify,
}

#[derive(Default)]
struct Shelves {
    ready: Vec<LiveGuest>,
    retired: Vec<(LiveGuest, Slot)>,
}

/// Guests that the refiller makes or tears down before it lets others run.
const REFILL_BATCH: usize = 16;

impl Pool {
    /// Makes the floor, then keeps it.
    pub async fn open(
        guest: CompiledGuest,
        config: PoolConfig,
        statistics: Arc<Statistics>,
    ) -> Result<Self, CompileError> {
        let slots = Arc::new(Semaphore::new(config.max.get()));
        let shelves = Mutex::default();
        let shared = Arc::new(Shared {
            guest,
            config,
            statistics,
            shelves,
            slots,
            waiting: AtomicUsize::new(0),
            work: Notify::new(),
        });
        while shared.wants_more() {
            let fresh = shared.guest.instantiate().await?;
            shared.lock().ready.push(fresh);
        }
        let refiller = tokio::spawn(refill(shared.clone()));
        Ok(Self { shared, refiller })
    }

    /// What the pool lends.
    pub fn guest(&self) -> &CompiledGuest {
        &self.shared.guest
    }

    /// Lends a guest that nobody used before.
    pub async fn lease(&self, deadline: Instant) -> Offer {
        let permit = match self.shared.slots.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => match self.queue(deadline).await {
                Ok(permit) => permit,
                Err(refusal) => return refusal,
            },
        };
        let ready = self.shared.lock().ready.pop();
        self.shared.work.notify_one();
        let guest = match ready {
            Some(guest) => guest,
            None => match self.shared.guest.instantiate().await {
                Ok(guest) => guest,
                Err(error) => return Offer::Broken(error),
            },
        };
        let slot = Slot { _permit: permit, reason: Retired::Cancelled, shared: self.shared.clone() };
        Offer::Lent(Lease { guest, slot })
    }

    async fn queue(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Offer> {
        let place = Place::take(&self.shared).ok_or(Offer::Busy)?;
        let permit = tokio::time::timeout_at(deadline.into(), self.shared.slots.clone().acquire_owned()).await;
        drop(place);
        permit.map_err(|_| Offer::TimedOut)?.map_err(|_| Offer::Closed)
    }

    /// What the pool holds now.
    pub fn leases(&self) -> Leases {
        let max = self.shared.config.max.get();
        Leases {
            ready: self.shared.lock().ready.len(),
            busy: self.shared.busy(),
            waiting: self.shared.waiting.load(Relaxed),
            floor: self.shared.config.ready,
            max,
        }
    }

    /// Whether the floor is filled, as far as busy guests leave room for it.
    pub fn is_ready(&self) -> bool {
        !self.shared.slots.is_closed() && !self.shared.wants_more()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.slots.close();
        self.refiller.abort();
        let Shelves { ready, retired } = std::mem::take(&mut *self.shared.lock());
        ready.iter().for_each(|_| self.shared.statistics.retire(Retired::Replaced));
        drop((ready, retired));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Shelves> {
        // Nothing that holds the lock can leave the shelves half changed.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn busy(&self) -> usize {
        self.config.max.get().saturating_sub(self.slots.available_permits())
    }

    fn wants_more(&self) -> bool {
        let ready = self.lock().ready.len();
        ready < self.config.ready && ready + self.busy() < self.config.max.get()
    }
}

/// A place in the queue.
struct Place<'a>(&'a Shared);

impl<'a> Place<'a> {
    fn take(shared: &'a Shared) -> Option<Self> {
        let limit = shared.config.queue_max;
        let next = |waiting: usize| (waiting < limit).then_some(waiting + 1);
        shared.waiting.fetch_update(Relaxed, Relaxed, next).ok().map(|_| Self(shared))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}

/// Tears down what came back and fills the floor, then sleeps until a lease is taken or given back.
async fn refill(shared: Arc<Shared>) {
    loop {
        shared.work.notified().await;
        while tear_down(&shared) | fill(&shared).await {
            tokio::task::yield_now().await;
        }
    }
}

/// Frees the slots of a batch; whether there was any.
fn tear_down(shared: &Shared) -> bool {
    let mut shelves = shared.lock();
    let keep = shelves.retired.len().saturating_sub(REFILL_BATCH);
    let batch = shelves.retired.split_off(keep);
    drop(shelves);
    !batch.is_empty()
}

/// Makes a batch of ready guests; whether any was made.
async fn fill(shared: &Shared) -> bool {
    for made in 0..REFILL_BATCH {
        if !shared.wants_more() {
            return made > 0;
        }
        match shared.guest.instantiate().await {
            Ok(fresh) => shared.lock().ready.push(fresh),
            Err(error) => {
                tracing::error!(%error, "a ready guest can't be made; the next request tries again");
                return false;
            }
        }
    }
    true
}

/// A guest of one's own, never lent again. Dropped without [`Lease::end`] it counts as cancelled.
pub struct Lease {
    guest: LiveGuest,
    slot: Slot,
}

impl Lease {
    /// Gives the guest back, to be torn down behind the caller's back.
    pub fn end(self, reason: Retired) {
        let Self { guest, mut slot } = self;
        slot.reason = reason;
        let shared = slot.shared.clone();
        let mut shelves = shared.lock();
        // A closed pool has no refiller left: this task tears it down.
        if !shared.slots.is_closed() {
            shelves.retired.push((guest, slot));
            drop(shelves);
            shared.work.notify_one();
        }
    }
}

impl Deref for Lease {
    type Target = LiveGuest;

    fn deref(&self) -> &LiveGuest {
        &self.guest
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut LiveGuest {
        &mut self.guest
    }
}

/// Room for one guest that is lent or not yet torn down.
struct Slot {
    _permit: OwnedSemaphorePermit,
    reason: Retired,
    shared: Arc<Shared>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.statistics.retire(self.reason);
        self.shared.work.notify_one();
    }
}
