//! Runs of steps: the states of a stage stay where it is computed, and what was passed to a stage stays with whoever
//! passed it, so that another node can be brought to the same states.

use super::wire::{Turn, Values};
use crate::nouns::{Digest, NodeName, Tensor};
use std::{
    collections::{HashMap, HashSet},
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
    bytes: u64,
}

/// What went over a cut, step by step.
#[derive(Default)]
struct Passed {
    steps: Vec<Values>,
    bytes: u64,
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

/// What is held of a session.
trait Held {
    fn bytes(&self) -> u64;
}

impl Held for Kept {
    fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Held for Passed {
    fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Sessions {
    /// Room for so many bytes of states, and for as many that were passed on.
    pub fn new(bytes_max: u64) -> Self {
        Self { kept: Mutex::new(Recent::new(bytes_max)), passed: Mutex::new(Recent::new(bytes_max)) }
    }

    /// Sessions with states here.
    pub fn kept(&self) -> usize {
        lock(&self.kept).entries.keys().map(|(plan, session, _)| (plan, session)).collect::<HashSet<_>>().len()
    }

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
        let bytes = bytes(&states) + bytes(rest);
        lock(&self.kept).insert(key, Kept { steps, states, last: (request, rest.clone()), bytes });
    }

    /// Keeps what goes over a cut; `false` where the steps before it are not known here, or there is no room for more.
    pub fn pass(&self, key: &EdgeKey, turn: Turn, values: &Values) -> bool {
        let Ok(step) = usize::try_from(turn.step) else { return false };
        let mut passed = lock(&self.passed);
        if passed.get(key).is_none() && step == 0 {
            passed.insert(*key, Passed::default());
        }
        let Some(steps) = passed.get(key).filter(|passed| step <= passed.steps.len() && step < STEPS_MAX) else {
            return false;
        };
        steps.bytes -= steps.steps.drain(step..).map(|values| bytes(&values)).sum::<u64>();
        steps.bytes += bytes(values);
        steps.steps.push(values.clone());
        passed.make_room(key)
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

    /// Forgets every session of a plan.
    pub fn forget(&self, plan: &Digest) {
        lock(&self.passed).retain(|key| key.0 != *plan);
        lock(&self.kept).retain(|key| key.0 != *plan);
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
    bytes_max: u64,
}

impl<K: Clone + Eq + Hash, V: Held> Recent<K, V> {
    fn new(bytes_max: u64) -> Self {
        Self { entries: HashMap::new(), uses: 0, bytes_max }
    }

    fn get(&mut self, key: &K) -> Option<&mut V> {
        self.uses += 1;
        let (used, value) = self.entries.get_mut(key)?;
        *used = self.uses;
        Some(value)
    }

    fn insert(&mut self, key: K, value: V) {
        self.uses += 1;
        self.entries.insert(key.clone(), (self.uses, value));
        self.make_room(&key);
    }

    /// Forgets others for this one; `false` where that is not enough.
    fn make_room(&mut self, key: &K) -> bool {
        loop {
            let bytes = self.entries.values().map(|(_, value)| value.bytes()).fold(0, u64::saturating_add);
            if self.entries.len() <= SESSIONS_MAX && bytes <= self.bytes_max {
                return true;
            }
            let others = self.entries.iter().filter(|(other, _)| *other != key);
            let Some(oldest) = others.min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone()) else {
                return false;
            };
            self.entries.remove(&oldest);
        }
    }

    fn retain(&mut self, holds: impl Fn(&K) -> bool) {
        self.entries.retain(|key, _| holds(key));
    }
}

fn bytes(values: &[(String, Tensor)]) -> u64 {
    values.iter().filter_map(|(_, value)| value.spec().bytes()).map(|bytes| bytes as u64).sum()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nouns::Element;

    fn turn(step: u64) -> Turn {
        Turn { session: 7, step, replay: false }
    }

    fn part() -> PartKey {
        (Digest::of(b"plan"), 7, 0..2)
    }

    #[test]
    fn a_stage_goes_on_from_its_states() {
        let sessions = Sessions::new(1 << 20);
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
        let sessions = Sessions::new(1 << 20);
        assert!(matches!(sessions.begin(&part(), turn(u64::MAX), 1), Begin::Behind(0)));
        sessions.end(part(), turn(u64::MAX), 1, Vec::new(), &Vec::new());
        assert!(matches!(sessions.begin(&part(), turn(u64::MAX), 1), Begin::Behind(0)));
    }

    #[test]
    fn what_was_passed_can_be_passed_again() {
        let (sessions, edge) = (Sessions::new(1 << 20), (Digest::of(b"plan"), 7, 2));
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
    fn sessions_hold_so_many_bytes() {
        let sessions = Sessions::new(1000);
        let values = vec![("x".to_owned(), Tensor::from_slice(Element::Fp32, [100], &[0.0f32; 100]).unwrap())];
        let edge = |session| (Digest::of(b"plan"), session, 0);
        assert!(sessions.pass(&edge(1), turn(0), &values));
        assert!(sessions.pass(&edge(2), turn(0), &values));
        assert!(sessions.pass(&edge(2), turn(1), &values));
        assert!(sessions.passed(&edge(1), 0).is_none(), "the other one gave way");
        assert!(sessions.pass(&edge(2), turn(1), &values), "in place of what was there");
        assert!(!sessions.pass(&edge(2), turn(2), &values), "nobody is left who could");
        sessions.end(part(), turn(0), 1, values.clone(), &values);
        assert_eq!(sessions.kept(), 1);
        sessions.forget(&part().0);
        assert_eq!(sessions.kept(), 0);
    }

    #[test]
    fn sessions_make_place() {
        let sessions = Sessions::new(1 << 20);
        for session in 0..=SESSIONS_MAX as u128 {
            assert!(sessions.pass(&(Digest::of(b"plan"), session, 0), turn(0), &Vec::new()));
        }
        assert!(sessions.passed(&(Digest::of(b"plan"), 0, 0), 0).is_none());
        assert!(sessions.passed(&(Digest::of(b"plan"), 1, 0), 0).is_some());
    }
}
