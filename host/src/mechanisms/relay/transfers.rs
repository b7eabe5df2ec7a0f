//! How long hand-offs to each other node took of late.

use crate::nouns::NodeName;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A mean is of so many hand-offs, over so long: a burst alone says nothing.
const COUNT_MIN: u32 = 16;
const WINDOW_MIN: Duration = Duration::from_secs(2);

/// What went to each node and came back, and how long that took.
#[derive(Default)]
pub struct Transfers(Mutex<HashMap<NodeName, Window>>);

struct Window {
    began: Instant,
    count: u32,
    bytes: f64,
    took: Duration,
    /// Of the window before.
    mean: Option<Mean>,
}

/// Hand-offs, there and back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    pub bytes: f64,
    pub took_us: f64,
}

impl Window {
    fn new(now: Instant) -> Self {
        Self { began: now, count: 0, bytes: 0.0, took: Duration::ZERO, mean: None }
    }

    fn note(&mut self, bytes: usize, took: Duration, now: Instant) {
        self.count += 1;
        self.bytes += bytes as f64;
        self.took += took;
        if self.count >= COUNT_MIN && now.saturating_duration_since(self.began) >= WINDOW_MIN {
            let count = f64::from(self.count);
            let mean = Mean { bytes: self.bytes / count, took_us: self.took.as_secs_f64() * 1e6 / count };
            *self = Self { mean: Some(mean), ..Self::new(now) };
        }
    }
}

impl Transfers {
    /// Counts a hand-off of so many bytes, there and back.
    pub fn note(&self, node: &NodeName, bytes: usize, took: Duration) {
        let now = Instant::now();
        self.windows().entry(node.clone()).or_insert_with(|| Window::new(now)).note(bytes, took, now);
    }

    /// The mean of the latest hand-offs to a node, if it was not told yet.
    pub fn take(&self, node: &NodeName) -> Option<Mean> {
        self.windows().get_mut(node)?.mean.take()
    }

    /// A node is gone.
    pub fn forget(&self, node: &NodeName) {
        self.windows().remove(node);
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<NodeName, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_of_many_and_of_the_latest() {
        let begun = Instant::now();
        let mut window = Window::new(begun);
        let mut at_ms = 0;
        let mut note = |window: &mut Window, count, took_ms| {
            for _ in 0..count {
                at_ms += 100;
                let (took, now) = (Duration::from_millis(took_ms), begun + Duration::from_millis(at_ms));
                window.note(1000, took, now);
            }
        };
        note(&mut window, 19, 10);
        assert_eq!(window.mean, None, "it is too early");
        note(&mut window, 1, 10);
        assert_eq!(window.mean, Some(Mean { bytes: 1000.0, took_us: 1e4 }));
        note(&mut window, 20, 30);
        assert_eq!(window.mean, Some(Mean { bytes: 1000.0, took_us: 3e4 }));
    }
}
