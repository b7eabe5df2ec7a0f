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
/// How long a node that answers are awaited of may be silent before it is asked for a sign of life: a process that is
/// killed says nothing, and the fabric waits longer.
pub const BEAT: Duration = Duration::from_millis(50);
/// What a sign of life may take at least.
const PATIENCE_MIN: Duration = Duration::from_millis(150);
/// For a node that is far away or has much to send first.
const PATIENCE_MAX: Duration = Duration::from_secs(10);

/// Whose answers this node awaits, whom it suspects, and how patient it is with whom.
#[derive(Default)]
pub struct Suspects {
    nodes: Mutex<HashMap<NodeName, Record>>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Record {
    suspected: Option<Instant>,
    /// When it said anything.
    heard: Option<Instant>,
    /// Calls that it has to answer.
    awaited: usize,
    /// Whether somebody looks after it meanwhile.
    watched: bool,
    /// How long signs of life took of late, the last one as much as all before it, and when it came.
    took: Duration,
    told: Option<Instant>,
    /// The least that one took: what the way to the node takes.
    least: Option<Duration>,
}

impl Record {
    /// How long a sign of life may be expected to take: who was busy is so for some seconds, who is far away for good.
    fn expected(&self) -> Duration {
        let seconds = self.told.map_or(0, |told| told.elapsed().as_secs()).min(30) as u32;
        (self.took / 2u32.pow(seconds)).max(self.least.unwrap_or_default())
    }
}

/// A call that is not answered yet.
pub struct Awaited<'a> {
    suspects: &'a Suspects,
    node: &'a NodeName,
    first: bool,
}

impl Awaited<'_> {
    /// Whether nobody looks after the node yet: who made this call has to.
    pub fn is_first(&self) -> bool {
        self.first
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        if let Some(record) = self.suspects.records().get_mut(self.node) {
            record.awaited -= 1;
        }
    }
}

impl Suspects {
    /// Awaits an answer of a node as long as this is held.
    pub fn await_answer<'a>(&'a self, node: &'a NodeName) -> Awaited<'a> {
        let mut records = self.records();
        let record = records.entry(node.clone()).or_default();
        record.awaited += 1;
        let first = !std::mem::replace(&mut record.watched, true);
        Awaited { suspects: self, node, first }
    }

    /// Whether answers are awaited still; who looks after the node stops where they are not.
    pub fn goes_on(&self, node: &NodeName) -> bool {
        let mut records = self.records();
        let Some(record) = records.get_mut(node) else { return false };
        record.watched = record.awaited > 0;
        record.watched
    }

    /// Whether a node said nothing of late.
    pub fn is_silent(&self, node: &NodeName) -> bool {
        let heard = self.records().get(node).and_then(|record| record.heard);
        heard.is_none_or(|heard| heard.elapsed() >= BEAT)
    }

    /// Suspects a node. `false` where it is suspected already.
    pub fn add(&self, node: &NodeName) -> bool {
        let before = self.records().entry(node.clone()).or_default().suspected.replace(Instant::now());
        self.changed.send_replace(());
        before.is_none_or(|since| since.elapsed() >= SUSPICION)
    }

    /// Suspects a node on hearsay: nobody who waits for it is told. `false` where it is suspected already.
    pub fn doubt(&self, node: &NodeName) -> bool {
        let mut records = self.records();
        let suspected = &mut records.entry(node.clone()).or_default().suspected;
        let fresh = suspected.is_none_or(|since| since.elapsed() >= SUSPICION);
        if fresh {
            *suspected = Some(Instant::now());
        }
        fresh
    }

    /// Those that are suspected.
    pub fn all(&self) -> Vec<NodeName> {
        let suspected = |record: &Record| record.suspected.is_some_and(|since| since.elapsed() < SUSPICION);
        self.records().iter().filter(|(_, record)| suspected(record)).map(|(node, _)| node.clone()).collect()
    }

    /// A node answered a call, after so long: a sign of life would have taken no longer.
    pub fn answered(&self, node: &NodeName, took: Duration) {
        if let Some(record) = self.records().get_mut(node) {
            record.suspected = None;
            record.heard = Some(Instant::now());
            record.took = record.took.min((took + record.took) / 2);
            record.least = record.least.map(|least| least.min(took));
        }
    }

    /// A node gave a sign of life, after so long.
    pub fn lives(&self, node: &NodeName, took: Duration) {
        let mut records = self.records();
        let record = records.entry(node.clone()).or_default();
        record.suspected = None;
        record.heard = Some(Instant::now());
        record.took = (took + record.expected()) / 2;
        record.told = Some(Instant::now());
        record.least = Some(record.least.map_or(took, |least| least.min(took)));
    }

    /// How long a sign of life may take: twice as long as those of this node take.
    pub fn patience(&self, node: &NodeName) -> Duration {
        let expected = self.records().get(node).map_or(Duration::ZERO, Record::expected);
        (expected * 2).clamp(PATIENCE_MIN, PATIENCE_MAX)
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
        suspects.answered(&b, Duration::ZERO);
        assert_eq!(sorted(), [b, a]);
    }

    #[test]
    fn hearsay_changes_the_order_and_stops_nobody() {
        let (suspects, [a, b]) = (Suspects::default(), nodes());
        let wait = suspects.suspected(&a);
        assert!(suspects.doubt(&a) && !suspects.doubt(&a));
        assert!(wait.now_or_never().is_none());
        assert!(suspects.all().iter().eq([&a]));
        let mut sorted = nodes();
        suspects.sort(&mut sorted);
        assert_eq!(sorted, [b, a.clone()]);
        suspects.lives(&a, Duration::ZERO);
        assert!(suspects.all().is_empty());
    }

    #[test]
    fn one_looks_after_a_node_while_answers_are_awaited() {
        let (suspects, [a, b]) = (Suspects::default(), nodes());
        let (first, second) = (suspects.await_answer(&a), suspects.await_answer(&a));
        assert_eq!([&first, &second].map(Awaited::is_first), [true, false]);
        assert!(suspects.await_answer(&b).is_first());
        drop(first);
        assert!(suspects.goes_on(&a) && !suspects.goes_on(&b));
        drop(second);
        assert!(!suspects.goes_on(&a));
        assert!(suspects.await_answer(&a).is_first(), "who did has stopped");
    }

    #[test]
    fn who_answered_is_not_silent() {
        let (suspects, [a, b]) = (Suspects::default(), nodes());
        let _awaited = suspects.await_answer(&a);
        assert!(suspects.is_silent(&a));
        suspects.answered(&a, Duration::ZERO);
        suspects.lives(&b, Duration::from_millis(1));
        assert!(!suspects.is_silent(&a) && !suspects.is_silent(&b));
    }

    #[test]
    fn who_was_busy_is_quick_again_and_who_is_far_away_is_not() {
        let told = Instant::now().checked_sub(Duration::from_secs(5));
        let expected = |least| Record { took: Duration::from_secs(2), told, least, ..Record::default() }.expected();
        assert!(expected(Some(Duration::from_millis(1))) < Duration::from_millis(100));
        assert_eq!(expected(Some(Duration::from_secs(1))), Duration::from_secs(1));
    }

    #[test]
    fn a_slow_node_is_waited_for() {
        let (suspects, [a, b]) = (Suspects::default(), nodes());
        suspects.add(&a);
        suspects.lives(&a, Duration::from_secs(2));
        assert_eq!([&a, &b].map(|node| suspects.patience(node)), [Duration::from_secs(4), PATIENCE_MIN]);
        (0..20).for_each(|_| suspects.lives(&a, Duration::from_millis(1)));
        assert_eq!(suspects.patience(&a), PATIENCE_MIN);
        assert!(suspects.add(&a));
        // Answers to calls tell how quick it is, and never that it is slow.
        suspects.lives(&a, Duration::from_secs(2));
        suspects.answered(&a, Duration::from_secs(5));
        assert!(suspects.patience(&a) > Duration::from_secs(1));
        (0..20).for_each(|_| suspects.answered(&a, Duration::from_millis(1)));
        assert_eq!(suspects.patience(&a), PATIENCE_MIN);
    }
}
