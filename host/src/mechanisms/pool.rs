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
    component::{CompileError, CompiledGuest},
    live::LiveGuest,
    statistics::{Retired, Statistics},
};
use crate::nouns::manifest::PoolConfig;
use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError},
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
    /// A permit per guest that exists: ready, busy, or retired and not yet torn down.
    permits: Arc<Semaphore>,
    work: Notify,
}

#[derive(Default)]
struct Shelves {
    ready: Vec<(LiveGuest, OwnedSemaphorePermit)>,
    retired: Vec<(LiveGuest, Slot)>,
    /// Requests that wait for a permit. Under the lock of `ready`, so that no guest becomes ready unseen by a request
    /// that is about to wait.
    waiting: usize,
}

/// Guests that the refiller makes or tears down before it lets others run.
const REFILL_BATCH: usize = 16;
/// Guests that wait for the refiller to tear them down.
const RETIRED_MAX: usize = 2 * REFILL_BATCH;

impl Pool {
    /// Makes the floor, then keeps it.
    pub async fn open(
        guest: CompiledGuest,
        config: PoolConfig,
        statistics: Arc<Statistics>,
    ) -> Result<Self, CompileError> {
        let permits = Arc::new(Semaphore::new(config.max.get()));
        let shared =
            Arc::new(Shared { guest, config, statistics, shelves: Mutex::default(), permits, work: Notify::new() });
        while let Some(permit) = shared.wants_more() {
            let fresh = shared.guest.instantiate().await?;
            shared.lock().ready.push((fresh, permit));
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
        let (ready, left) = {
            let mut shelves = self.shared.lock();
            (shelves.ready.pop(), shelves.ready.len())
        };
        // Above half of the floor the refiller waits for the end of the lease: a wake-up costs more than a guest.
        if left < self.shared.config.ready.div_ceil(2) {
            self.shared.work.notify_one();
        }
        if let Some((guest, permit)) = ready {
            return Offer::Lent(Lease { guest, slot: Slot::new(permit, &self.shared) });
        }
        match self.shared.permits.clone().try_acquire_owned() {
            Ok(permit) => self.make(permit, deadline).await,
            Err(TryAcquireError::Closed) => Offer::Closed,
            Err(TryAcquireError::NoPermits) => self.queue(deadline).await,
        }
    }

    async fn make(&self, permit: OwnedSemaphorePermit, deadline: Instant) -> Offer {
        match tokio::time::timeout_at(deadline.into(), self.shared.guest.instantiate()).await {
            Ok(Ok(guest)) => Offer::Lent(Lease { guest, slot: Slot::new(permit, &self.shared) }),
            Ok(Err(error)) => Offer::Broken(error),
            Err(_elapsed) => Offer::TimedOut,
        }
    }

    async fn queue(&self, deadline: Instant) -> Offer {
        let place = match Place::take(&self.shared) {
            Ok(place) => place,
            Err(offer) => return offer,
        };
        let permit = tokio::time::timeout_at(deadline.into(), self.shared.permits.clone().acquire_owned()).await;
        drop(place);
        match permit {
            Ok(Ok(permit)) => self.make(permit, deadline).await,
            Ok(Err(_closed)) => Offer::Closed,
            Err(_elapsed) => Offer::TimedOut,
        }
    }

    /// What the pool holds now.
    pub fn leases(&self) -> Leases {
        let Shared { config, permits, .. } = &*self.shared;
        let shelves = self.shared.lock();
        let exist = config.max.get().saturating_sub(permits.available_permits());
        Leases {
            ready: shelves.ready.len(),
            busy: exist.saturating_sub(shelves.ready.len()),
            waiting: shelves.waiting,
            floor: config.ready,
            max: config.max.get(),
        }
    }

    /// Whether it lends. The floor was filled before it opened; a burst that takes it makes no pool less ready.
    pub fn is_open(&self) -> bool {
        !self.shared.permits.is_closed()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.permits.close();
        self.refiller.abort();
        let Shelves { ready, retired, .. } = std::mem::take(&mut *self.shared.lock());
        ready.iter().for_each(|_| self.shared.statistics.retire(Retired::Replaced));
        drop((ready, retired));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Shelves> {
        // Nothing that holds the lock can leave the shelves half changed.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for one more ready guest. Requests that wait come first: a permit that is given back is theirs.
    fn wants_more(&self) -> Option<OwnedSemaphorePermit> {
        let below_floor = self.lock().ready.len() < self.config.ready;
        below_floor.then(|| self.permits.clone().try_acquire_owned().ok()).flatten()
    }

    /// Puts a guest on the shelf; a request that waits gets its permit instead.
    fn shelve(&self, fresh: LiveGuest, permit: OwnedSemaphorePermit) {
        let mut shelves = self.lock();
        if shelves.waiting == 0 && !self.permits.is_closed() {
            shelves.ready.push((fresh, permit));
        } else {
            drop(shelves);
            // Its slot in the sandbox first: whoever gets the permit may count on it.
            drop(fresh);
            drop(permit);
        }
    }
}

/// A place in the queue.
struct Place<'a>(&'a Shared);

impl<'a> Place<'a> {
    /// Unless a guest became ready meanwhile, or the queue is full.
    fn take(shared: &'a Arc<Shared>) -> Result<Self, Offer> {
        let mut shelves = shared.lock();
        if let Some((guest, permit)) = shelves.ready.pop() {
            return Err(Offer::Lent(Lease { guest, slot: Slot::new(permit, shared) }));
        }
        if shelves.waiting >= shared.config.queue_max {
            return Err(Offer::Busy);
        }
        shelves.waiting += 1;
        Ok(Self(shared))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
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
        let Some(permit) = shared.wants_more() else { return made > 0 };
        match shared.guest.instantiate().await {
            Ok(fresh) => shared.shelve(fresh, permit),
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
        // This task tears it down where the refiller falls behind, or is gone with its pool.
        if shelves.retired.len() < RETIRED_MAX && !shared.permits.is_closed() {
            shelves.retired.push((guest, slot));
            drop(shelves);
            shared.work.notify_one();
        } else {
            drop(shelves);
            drop(guest);
            drop(slot);
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
    permit: Option<OwnedSemaphorePermit>,
    reason: Retired,
    shared: Arc<Shared>,
}

impl Slot {
    fn new(permit: OwnedSemaphorePermit, shared: &Arc<Shared>) -> Self {
        Self { permit: Some(permit), reason: Retired::Cancelled, shared: shared.clone() }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.statistics.retire(self.reason);
        // Free before the refiller looks.
        drop(self.permit.take());
        self.shared.work.notify_one();
    }
}
