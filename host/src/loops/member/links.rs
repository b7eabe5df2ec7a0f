//! Measures what is between this node and each other one: when it appears, when hand-offs take longer or shorter than that
//! says, and once more where it was slow and nobody uses it any more.

use super::{Member, Nodes, lock};
use crate::{
    mechanisms::relay::{Mean, PING},
    nouns::{LinkNews, NodeName},
    ports::FabricError,
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Long enough that it counts, short enough that nobody notices.
const LOAD_BYTES: usize = 256 << 10;
const TIMEOUT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_secs(10);
const TRIES: usize = 5;
/// What takes so many times what was expected, and this much more, is strange: computing takes its time, too.
const STRANGE: f64 = 2.0;
const STRANGE_US: f64 = 5e3;
/// A link that is so much slower than it was once is measured again after so long.
const REST: Duration = Duration::from_secs(60);

/// Whose links were measured, or are being.
#[derive(Default)]
pub struct Links(Mutex<HashMap<NodeName, Known>>);

/// A link.
struct Known {
    measured: Measured,
    /// The least that a hand-off of `LOAD_BYTES` took.
    best_us: f64,
}

#[derive(Clone, Copy)]
enum Measured {
    /// It is being measured.
    Now,
    At(Instant),
}

impl Known {
    /// Whether it is to be measured again, given what was told of it and what hand-offs took since.
    fn is_due(&self, told: Option<&LinkNews>, mean: Option<Mean>) -> bool {
        let Measured::At(at) = self.measured else { return false };
        let since = at.elapsed();
        let Some(told) = told else { return since >= PAUSE };
        let strange = mean.is_some_and(|mean| {
            let expected_us = 2.0 * told.latency_us + mean.bytes * 1e6 / told.bytes_per_second;
            differ(mean.took_us, expected_us)
        });
        (strange && since >= PAUSE) || (transfer_us(told) > STRANGE * self.best_us + STRANGE_US && since >= REST)
    }
}

fn differ(one_us: f64, other_us: f64) -> bool {
    one_us.max(other_us) > STRANGE * one_us.min(other_us) + STRANGE_US
}

fn transfer_us(link: &LinkNews) -> f64 {
    link.latency_us + LOAD_BYTES as f64 * 1e6 / link.bytes_per_second
}

impl Member {
    /// Measures the links that are new or due, beside everything else, and forgets those that are gone.
    pub(super) fn measure_links(self: &Arc<Self>, nodes: &Nodes) {
        let mut known = lock(&self.links.0);
        known.retain(|name, _| {
            let here = nodes.contains_key(name);
            if !here {
                self.relay.transfers.forget(name);
            }
            here
        });
        let mut told = self.told();
        told.links.retain(|name, _| nodes.contains_key(name));
        for name in nodes.keys().filter(|name| *name != self.fabric.name()) {
            let fresh = !known.contains_key(name);
            let link = known.entry(name.clone()).or_insert(Known { measured: Measured::Now, best_us: f64::INFINITY });
            if fresh || link.is_due(told.links.get(name), self.relay.transfers.take(name)) {
                link.measured = Measured::Now;
                tokio::spawn(self.clone().measure_link(name.clone()));
            }
        }
    }

    async fn measure_link(self: Arc<Self>, name: NodeName) {
        let link = self.link(&name).await;
        {
            let (mut known, mut told) = (lock(&self.links.0), self.told());
            // It may be gone again.
            let Some(entry) = known.get_mut(&name) else { return };
            entry.measured = Measured::At(Instant::now());
            match link {
                Ok(link) => {
                    entry.best_us = entry.best_us.min(transfer_us(&link));
                    told.links.insert(name, link);
                }
                Err(error) => tracing::debug!(node = %name, %error, "its link is measured again later"),
            }
        }
        self.poke.notify_one();
    }

    async fn link(&self, node: &NodeName) -> Result<LinkNews, FabricError> {
        let empty = self.quickest(node, 0).await?;
        let loaded = self.quickest(node, LOAD_BYTES).await?;
        let transfer = loaded.saturating_sub(empty).max(Duration::from_micros(1));
        let bytes_per_second = LOAD_BYTES as f64 / transfer.as_secs_f64();
        // There and back.
        Ok(LinkNews { latency_us: empty.as_secs_f64() * 1e6 / 2.0, bytes_per_second })
    }

    async fn quickest(&self, node: &NodeName, bytes: usize) -> Result<Duration, FabricError> {
        let load = Bytes::from(vec![0; bytes]);
        let mut quickest = Duration::MAX;
        for _ in 0..TRIES {
            let started = Instant::now();
            self.fabric.call(node, PING, load.clone(), started + TIMEOUT).await?;
            quickest = quickest.min(started.elapsed());
        }
        Ok(quickest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(bytes_per_second: f64) -> LinkNews {
        LinkNews { latency_us: 100.0, bytes_per_second }
    }

    fn ago(seconds: u64) -> Measured {
        Measured::At(Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap())
    }

    fn check(measured: Measured, told: Option<LinkNews>, took_us: Option<f64>, expected: bool) {
        let known = Known { measured, best_us: transfer_us(&link(1e8)) };
        let mean = took_us.map(|took_us| Mean { bytes: 1e6, took_us });
        assert_eq!(known.is_due(told.as_ref(), mean), expected, "{told:?} {took_us:?}");
    }

    #[test]
    fn a_link_is_measured_again_when_hand_offs_say_so() {
        let quick = || Some(link(1e8));
        check(Measured::Now, None, None, false);
        check(ago(20), None, None, true);
        check(ago(20), quick(), None, false);
        check(ago(20), quick(), Some(11e3), false);
        check(ago(20), quick(), Some(30e3), true);
        // Not all the time.
        check(ago(1), quick(), Some(30e3), false);
        // It became quick again.
        check(ago(20), Some(link(1e7)), Some(11e3), true);
    }

    #[test]
    fn a_slow_link_is_measured_again_after_a_rest() {
        check(ago(20), Some(link(1e7)), None, false);
        check(ago(70), Some(link(1e7)), None, true);
        check(ago(70), Some(link(0.9e8)), None, false);
    }
}
