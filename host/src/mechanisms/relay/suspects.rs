//! Nodes that gave no sign of life: others are asked first until the fabric knows more.

use crate::nouns::NodeName;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Longer than a fabric takes to notice that a node is gone.
const SUSPICION: Duration = Duration::from_secs(3);
/// How long a node may be silent before it is asked for a sign of life, and may at least take to give one: a process that
/// is killed says nothing, and the fabric waits longer.
pub const SILENCE: Duration = Duration::from_millis(150);
/// For a node that is far away or has much to send first.
const PATIENCE_MAX: Duration = Duration::from_secs(10);

/// Whom this node suspects, and how patient it is with whom.
#[derive(Default)]
pub struct Suspects {
    nodes: Mutex<HashMap<NodeName, Record>>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Record {
    suspected: Option<Instant>,
    /// How long signs of life took of late, the last one as much as all before it.
    took: Duration,
}

impl Suspects {
    /// Suspects a node. `false` where it is suspected already.
    pub fn add(&self, node: &NodeName) -> bool {
        let before = self.records().entry(node.clone()).or_default().suspected.replace(Instant::now());
        self.changed.send_replace(());
        before.is_none_or(|since| since.elapsed() >= SUSPICION)
    }

    /// A node answered.
    pub fn remove(&self, node: &NodeName) {
        if let Some(record) = self.records().get_mut(node) {
            record.suspected = None;
        }
    }

    /// A node gave a sign of life, after so long.
    pub fn lives(&self, node: &NodeName, took: Duration) {
        let mut records = self.records();
        let record = records.entry(node.clone()).or_default();
        *record = Record { suspected: None, took: (took + record.took) / 2 };
    }

    /// How long a sign of life may take: twice as long as those of this node took.
    pub fn patience(&self, node: &NodeName) -> Duration {
        let took = self.records().get(node).map_or(Duration::ZERO, |record| record.took);
        (took * 2).clamp(SILENCE, PATIENCE_MAX)
    }

    /// Puts those that are suspected last, the latest at the very end.
    pub fn sort(&self, nodes: &mut [NodeName]) {
        let records = self.records();
        let suspected = |node: &NodeName| records.get(node)?.suspected.filter(|since| since.elapsed() < SUSPICION);
        nodes.sort_by_key(suspected);
    }

    /// Until a node is suspected from now on: whoever waits for it need not find out alone.
    pub async fn suspected(&self, node: &NodeName) {
        let (begun, mut changes) = (Instant::now(), self.changed.subscribe());
        let suspected = || self.records().get(node)?.suspected;
        while suspected().is_none_or(|since| since < begun) {
            // The sender is part of this value.
            let _ = changes.changed().await;
        }
    }

    fn records(&self) -> MutexGuard<'_, HashMap<NodeName, Record>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn nodes() -> [NodeName; 2] {
        ["a.hall", "b.hall"].map(|name| name.parse().unwrap())
    }

    #[tokio::test]
    async fn everyone_who_waits_for_a_node_is_told_once() {
        let (suspects, [a, b]) = (Suspects::default(), nodes());
        let mut waits = [&a, &a, &b].map(|node| Box::pin(suspects.suspected(node)));
        assert!(waits.iter_mut().all(|wait| wait.now_or_never().is_none()));
        assert!(suspects.add(&a) && !suspects.add(&a));
        assert_eq!(waits.each_mut().map(|wait| wait.now_or_never().is_some()), [true, true, false]);
        assert!(suspects.suspected(&a).now_or_never().is_none());
    }

    #[test]
    fn the_latest_suspect_is_asked_last() {
        let (suspects, [a, b]) = (Suspects::default(), nodes());
        let sorted = || {
            let mut nodes = nodes();
            suspects.sort(&mut nodes);
            nodes
        };
        suspects.add(&a);
        assert_eq!(sorted(), [b.clone(), a.clone()]);
        suspects.add(&b);
        assert_eq!(sorted(), nodes());
        suspects.remove(&b);
        assert_eq!(sorted(), [b, a]);
    }

    #[test]
    fn a_slow_node_is_waited_for() {
        let (suspects, [a, b]) = (Suspects::default(), nodes());
        suspects.add(&a);
        suspects.lives(&a, Duration::from_secs(2));
        assert_eq!([&a, &b].map(|node| suspects.patience(node)), [Duration::from_secs(2), SILENCE]);
        (0..20).for_each(|_| suspects.lives(&a, Duration::from_millis(1)));
        assert_eq!(suspects.patience(&a), SILENCE);
        assert!(suspects.add(&a));
    }
}
