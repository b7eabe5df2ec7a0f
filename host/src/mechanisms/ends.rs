//! A line in the log for each guest that ends without an answer: at most one a second for each guest and reason, with the
//! number of those that were left out since the last one.

use super::live::CallError;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Between two lines of one guest and reason.
const PAUSE: Duration = Duration::from_secs(1);

/// Ends of one guest's leases, by reason.
#[derive(Default)]
pub struct Ends(Mutex<BTreeMap<&'static str, Window>>);

/// Since the last line.
struct Window {
    opened: Instant,
    left_out: u64,
}

impl Ends {
    /// Logs how a call of `guest` ended, unless the guest only refused it. `trace` is what the guest did last; it comes
    /// from guests that see no frames only.
    pub fn note(&self, guest: &str, request: Option<&str>, error: &CallError, trace: Option<&str>) {
        let Some(reason) = error.reason() else { return };
        if let Some(left_out) = self.admit(reason, Instant::now()) {
            tracing::warn!(guest, reason, request, %error, trace, left_out, "a guest ended");
        }
    }

    /// How many were left out, if it is time for a line.
    fn admit(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match windows.get_mut(reason) {
            Some(window) if now.saturating_duration_since(window.opened) < PAUSE => {
                window.left_out += 1;
                None
            }
            window => {
                let left_out = window.map_or(0, |window| window.left_out);
                windows.insert(reason, Window { opened: now, left_out: 0 });
                Some(left_out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_for_each_reason_says_how_many_were_left_out() {
        let (ends, start) = (Ends::default(), Instant::now());
        assert_eq!(ends.admit("trapped", start), Some(0));
        assert_eq!(ends.admit("timed-out", start), Some(0));
        for _ in 0..3 {
            assert_eq!(ends.admit("trapped", start + PAUSE / 2), None);
        }
        assert_eq!(ends.admit("trapped", start + PAUSE), Some(3));
        assert_eq!(ends.admit("trapped", start + 2 * PAUSE), Some(0));
    }
}
