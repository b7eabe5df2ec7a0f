//! Whether this node has become slow: how long its stages take, beside the least that they ever took.

use crate::nouns::Digest;
use std::{
    collections::HashMap,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// A mean is of so many runs, over so long: a burst alone says nothing.
const RUNS_MIN: u32 = 16;
const WINDOW_MIN: Duration = Duration::from_secs(2);
/// Kinds of work that are compared with themselves.
const KINDS_MAX: usize = 256;
/// A mean counts for this part of what is told.
const WEIGHT: f64 = 0.5;
/// Others are told when it is this much more or less.
const NEWS: f64 = 0.25;

/// Fragments of a plan on inputs of about so many bytes: such runs take the same time on a node that stays as it is.
pub type Work = (Digest, Range<usize>, u32);

/// The pace of one node.
#[derive(Default)]
pub struct Pace {
    seen: Mutex<Seen>,
    told: watch::Sender<f64>,
}

#[derive(Default)]
struct Seen {
    kinds: HashMap<Work, Kind>,
    slowdown: f64,
    last: Option<Instant>,
}

struct Kind {
    began: Instant,
    runs: u32,
    took: Duration,
    /// The least mean of all windows.
    best: Duration,
}

/// A kind of work: sizes that differ by less than an eighth are the same.
pub fn work(plan: Digest, fragments: Range<usize>, bytes: usize) -> Work {
    let bytes = (bytes as u64).max(8);
    let octave = bytes.ilog2();
    let eighth = (bytes >> (octave - 3)) as u32 & 7;
    (plan, fragments, octave * 8 + eighth)
}

impl Pace {
    /// What stages take beyond the least that they took, as a part of that: 0.5 is half as long again.
    pub fn slowdown(&self) -> watch::Receiver<f64> {
        self.told.subscribe()
    }

    /// Whether nothing was run for so long.
    pub fn rested(&self, rest: Duration) -> bool {
        self.seen().last.is_none_or(|last| last.elapsed() >= rest)
    }

    /// Forgets that it was slow, until the next runs say so again.
    pub fn forget(&self) {
        let mut seen = self.seen();
        let now = Instant::now();
        seen.slowdown = 0.0;
        seen.kinds.values_mut().for_each(|kind| kind.begin(now));
        self.told.send_replace(0.0);
    }

    /// Counts a run.
    pub fn note(&self, work: Work, took: Duration) {
        self.note_at(work, took, Instant::now());
    }

    fn note_at(&self, work: Work, took: Duration, now: Instant) {
        let mut seen = self.seen();
        seen.last = Some(now);
        if seen.kinds.len() >= KINDS_MAX && !seen.kinds.contains_key(&work) {
            seen.kinds.clear();
        }
        let kind = seen.kinds.entry(work).or_insert_with(|| Kind::new(now));
        let Some(found) = kind.note(took, now) else { return };
        seen.slowdown += WEIGHT * (found - seen.slowdown);
        let slowdown = seen.slowdown;
        self.told.send_if_modified(|told| {
            let news = (slowdown - *told).abs() > NEWS * (1.0 + *told);
            if news {
                *told = slowdown;
            }
            news
        });
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kind {
    fn new(now: Instant) -> Self {
        Self { began: now, runs: 0, took: Duration::ZERO, best: Duration::MAX }
    }

    fn begin(&mut self, now: Instant) {
        *self = Self { best: self.best, ..Self::new(now) };
    }

    /// The slowdown of a window that this run completes.
    fn note(&mut self, took: Duration, now: Instant) -> Option<f64> {
        self.runs += 1;
        self.took += took;
        if self.runs < RUNS_MIN || now.saturating_duration_since(self.began) < WINDOW_MIN {
            return None;
        }
        let mean = (self.took / self.runs).max(Duration::from_nanos(1));
        self.best = self.best.min(mean);
        self.begin(now);
        Some(mean.as_secs_f64() / self.best.as_secs_f64() - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told after runs that take so many milliseconds each, ten a second, for so many seconds.
    fn check(phases: &[(u64, u64)], expected: f64) {
        let (pace, mut now) = (Pace::default(), Instant::now());
        for (took_ms, seconds) in phases {
            for _ in 0..seconds * 10 {
                now += Duration::from_millis(100);
                pace.note_at(work(Digest::of(b"plan"), 0..2, 4096), Duration::from_millis(*took_ms), now);
            }
        }
        let told = *pace.slowdown().borrow();
        assert!((told - expected).abs() <= NEWS * (1.0 + expected), "{phases:?}: {told}, not {expected}");
    }

    #[test]
    fn slow_is_what_takes_longer_than_before() {
        check(&[(10, 60)], 0.0);
        check(&[(10, 20), (30, 40)], 2.0);
        check(&[(10, 20), (30, 40), (10, 40)], 0.0);
        // Always slow is not slower, and a moment is none.
        check(&[(30, 60)], 0.0);
        check(&[(10, 20), (30, 1)], 0.0);
        check(&[(30, 10), (10, 10), (30, 40)], 2.0);
    }

    #[test]
    fn other_sizes_are_other_work() {
        let of = |bytes| work(Digest::of(b"plan"), 0..1, bytes).2;
        assert_eq!(of(4096), of(4100));
        assert!(of(4096) != of(5000) && of(0) == of(7) && of(usize::MAX) > of(4096));
    }
}
