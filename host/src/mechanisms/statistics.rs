//! Counts what happens to requests and leases: atomics only, read by the statistics route, `/metrics` and `burst ps`.

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Durations in fixed buckets, so that watching costs no memory however long nobody scrapes.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; Self::BOUNDS_US.len() + 1],
    sum_ns: AtomicU64,
}

impl Histogram {
    /// Upper bounds of the buckets, in microseconds; one more is above them all.
    pub const BOUNDS_US: [u64; 16] =
        [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 1_000_000, 10_000_000];

    pub fn record(&self, duration: Duration) {
        let micros = duration.as_micros() as u64;
        let bucket = Self::BOUNDS_US.partition_point(|&bound| bound < micros);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(duration.as_nanos() as u64, Relaxed);
    }

    /// How many durations each bucket holds (not cumulated), the unbounded one last.
    pub fn buckets(&self) -> [u64; Self::BOUNDS_US.len() + 1] {
        array::from_fn(|index| self.buckets[index].load(Relaxed))
    }

    pub fn count(&self) -> u64 {
        self.buckets().iter().sum()
    }

    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns.load(Relaxed))
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: array::from_fn(|_| AtomicU64::new(0)), sum_ns: AtomicU64::new(0) }
    }
}

/// Why a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retired {
    /// It did what it was lent for.
    Used,
    /// The guest trapped: unreachable code, a bad access, a limit of the sandbox.
    Trapped,
    /// The deadline passed while it ran.
    TimedOut,
    /// The client went away while it ran.
    Cancelled,
    /// It asked for more memory or table entries than it may have; handles and tensors run out as faults instead.
    OverLimit,
    /// A lane's guest was old enough, or its camera ended.
    Aged,
    /// The guest was replaced, or the house closes.
    Replaced,
}

impl Retired {
    /// Every reason.
    pub const ALL: [Self; 7] =
        [Self::Used, Self::Trapped, Self::TimedOut, Self::Cancelled, Self::OverLimit, Self::Aged, Self::Replaced];

    /// The word in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Trapped => "trapped",
            Self::TimedOut => "timed-out",
            Self::Cancelled => "cancelled",
            Self::OverLimit => "over-limit",
            Self::Aged => "aged",
            Self::Replaced => "replaced",
        }
    }
}

/// What one guest's requests and leases went through since it was deployed.
#[derive(Debug, Default)]
pub struct Statistics {
    /// From the arrival of a request to its answer.
    pub success: Histogram,
    /// The same for requests that failed, refused ones included.
    pub fail: Histogram,
    /// From the check of the request to the lease.
    pub lease_wait: Histogram,
    /// Checking the inputs against the signature.
    pub compute_input: Histogram,
    /// The guest's call.
    pub compute: Histogram,
    /// Bringing the outputs to host memory.
    pub compute_output: Histogram,
    /// Requests refused because the queue was full.
    pub refused: Counter,
    retired: [Counter; Retired::ALL.len()],
    last_success_ms: AtomicU64,
}

impl Statistics {
    /// Counts the end of a lease.
    pub fn retire(&self, reason: Retired) {
        self.retired[reason as usize].add(1);
    }

    /// How many leases ended for this reason.
    pub fn retired(&self, reason: Retired) -> u64 {
        self.retired[reason as usize].get()
    }

    /// Notes that a request was answered just now.
    pub fn touch(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_success_ms.store(now.as_millis() as u64, Relaxed);
    }

    /// When a request was last answered, in milliseconds since the Unix epoch; 0 for never.
    pub fn last_success_ms(&self) -> u64 {
        self.last_success_ms.load(Relaxed)
    }
}
