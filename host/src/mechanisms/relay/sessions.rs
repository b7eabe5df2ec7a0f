//! Runs of steps: the states of a stage stay where it is computed, and what was passed to a stage stays with whoever
//! passed it, so that another node can be brought to the same states.

use super::wire::{Turn, Values};
use crate::nouns::{Digest, NodeName, Tensor};
use std::{
    collections::HashMap,
    hash::Hash,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Sessions of one stage, and of one edge between two: the one that was used longest ago makes place.
const SESSIONS_MAX: usize = 64;
/// Steps that can be replayed.
const STEPS_MAX: usize = 1 << 16;

/// A run of fragments of a plan, in a session.
type PartKey = (Digest, u128, Range<usize>);
/// The cut before a fragment of a plan, in a session.
type EdgeKey = (Digest, u128, usize);

/// The sessions of a node.
#[derive(Default)]
pub struct Sessions {
    kept: Mutex<Recent<PartKey, Kept>>,
    passed: Mutex<Recent<EdgeKey, Passed>>,
}

/// What a stage knows of a session.
struct Kept {
    steps: u64,
    states: Values,
    /// What the last step passed on, for the same request again.
    last: (u128, Values),
}

/// What went over a cut, step by step.
#[derive(Default)]
struct Passed {
    steps: Vec<Values>,
    /// Who has the states of what follows.
    node: Option<NodeName>,
}

/// How a stage begins a step.
pub enum Begin {
    /// With these states; none in the first step, which brings its own.
    With(Values),
    /// It was done for this request: this is what it passed on.
    Again(Values),
    /// It knows another number of steps, and can go on after this many.
    Behind(u64),
}

impl Sessions {
    /// The states for a step, if they are those after the step before.
    pub fn begin(&self, key: &PartKey, turn: Turn, request: u128) -> Begin {
        let mut kept = lock(&self.kept);
        match kept.get(key) {
            Some(kept) if Some(kept.steps) == turn.next() && kept.last.0 == request => {
                Begin::Again(kept.last.1.clone())
            }
            _ if turn.step == 0 => Begin::With(Vec::new()),
            Some(kept) if kept.steps == turn.step => Begin::With(kept.states.clone()),
            Some(kept) if kept.steps < turn.step => Begin::Behind(kept.steps),
            _ => Begin::Behind(0),
        }
    }

    /// Keeps the states after a step, and what it passed on.
    pub fn end(&self, key: PartKey, turn: Turn, request: u128, states: Vec<(String, Tensor)>, rest: &Values) {
        // Where there is no number for the next step there is no next step.
        let Some(steps) = turn.next() else { return };
        lock(&self.kept).insert(key, Kept { steps, states, last: (request, rest.clone()) });
    }

    /// Keeps what goes over a cut; `false` where the steps before it are not known here.
    pub fn pass(&self, key: &EdgeKey, turn: Turn, values: &Values) -> bool {
        let Ok(step) = usize::try_from(turn.step) else { return false };
        let mut passed = lock(&self.passed);
        if passed.get(key).is_none() && step == 0 {
            passed.insert(*key, Passed::default());
        }
        let Some(passed) = passed.get(key).filter(|passed| step <= passed.steps.len() && step < STEPS_MAX) else {
            return false;
        };
        passed.steps.truncate(step);
        passed.steps.push(values.clone());
        true
    }

    /// What went over a cut in one step.
    pub fn passed(&self, key: &EdgeKey, step: u64) -> Option<Values> {
        lock(&self.passed).get(key)?.steps.get(usize::try_from(step).ok()?).cloned()
    }

    /// Puts the node that has the states first.
    pub fn sort(&self, key: &EdgeKey, nodes: &mut [NodeName]) {
        let first = lock(&self.passed).get(key).and_then(|passed| passed.node.clone());
        // Stable: the others stay in their order.
        nodes.sort_by_key(|node| Some(node) != first.as_ref());
    }

    /// Who has the states now.
    pub fn stick(&self, key: &EdgeKey, node: &NodeName) {
        if let Some(passed) = lock(&self.passed).get(key) {
            passed.node = Some(node.clone());
        }
    }

    /// Forgets what went over the cuts of a session that has ended.
    pub fn close(&self, plan: &Digest, session: u128) {
        lock(&self.passed).retain(|key| (&key.0, key.1) != (plan, session));
        lock(&self.kept).retain(|key| (&key.0, key.1) != (plan, session));
    }
}

/// A map of bounded size.
struct Recent<K, V> {
    entries: HashMap<K, (u64, V)>,
    uses: u64,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), uses: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    fn get(&mut self, key: &K) -> Option<&mut V> {
        self.uses += 1;
        let (used, value) = self.entries.get_mut(key)?;
        *used = self.uses;
        Some(value)
    }

    fn insert(&mut self, key: K, value: V) {
        self.uses += 1;
        self.entries.insert(key, (self.uses, value));
        while self.entries.len() > SESSIONS_MAX {
            let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.entries.remove(&key));
        }
    }

    fn retain(&mut self, holds: impl Fn(&K) -> bool) {
        self.entries.retain(|key, _| holds(key));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(step: u64) -> Turn {
        Turn { session: 7, step, replay: false }
    }

    fn part() -> PartKey {
        (Digest::of(b"plan"), 7, 0..2)
    }

    #[test]
    fn a_stage_goes_on_from_its_states() {
        let sessions = Sessions::default();
        assert!(matches!(sessions.begin(&part(), turn(3), 1), Begin::Behind(0)));
        assert!(matches!(sessions.begin(&part(), turn(0), 1), Begin::With(_)));
        sessions.end(part(), turn(0), 1, Vec::new(), &Vec::new());
        assert!(matches!(sessions.begin(&part(), turn(0), 1), Begin::Again(_)));
        assert!(matches!(sessions.begin(&part(), turn(1), 2), Begin::With(_)));
        assert!(matches!(sessions.begin(&part(), turn(3), 2), Begin::Behind(1)));
        sessions.end(part(), turn(1), 2, Vec::new(), &Vec::new());
        // The same step for another request: the states are gone on.
        assert!(matches!(sessions.begin(&part(), turn(1), 3), Begin::Behind(0)));
    }

    #[test]
    fn the_last_step_of_all_has_none_after_it() {
        let sessions = Sessions::default();
        assert!(matches!(sessions.begin(&part(), turn(u64::MAX), 1), Begin::Behind(0)));
        sessions.end(part(), turn(u64::MAX), 1, Vec::new(), &Vec::new());
        assert!(matches!(sessions.begin(&part(), turn(u64::MAX), 1), Begin::Behind(0)));
    }

    #[test]
    fn what_was_passed_can_be_passed_again() {
        let (sessions, edge) = (Sessions::default(), (Digest::of(b"plan"), 7, 2));
        assert!(!sessions.pass(&edge, turn(1), &Vec::new()));
        for step in [0, 1, 2, 1] {
            assert!(sessions.pass(&edge, turn(step), &Vec::new()));
        }
        assert!(sessions.passed(&edge, 1).is_some() && sessions.passed(&edge, 2).is_none());
        let [a, b, c] = ["a.hall", "b.hall", "c.hall"].map(|name| name.parse::<NodeName>().unwrap());
        sessions.stick(&edge, &b);
        let mut nodes = [a.clone(), b.clone(), c.clone()];
        sessions.sort(&edge, &mut nodes);
        assert_eq!(nodes, [b, a, c]);
        sessions.close(&edge.0, 7);
        assert!(sessions.passed(&edge, 0).is_none());
    }

    #[test]
    fn sessions_make_place() {
        let sessions = Sessions::default();
        for session in 0..=SESSIONS_MAX as u128 {
            assert!(sessions.pass(&(Digest::of(b"plan"), session, 0), turn(0), &Vec::new()));
        }
        assert!(sessions.passed(&(Digest::of(b"plan"), 0, 0), 0).is_none());
        assert!(sessions.passed(&(Digest::of(b"plan"), 1, 0), 0).is_some());
    }
}
