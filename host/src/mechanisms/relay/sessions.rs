//! Runs of steps: the states of a stage stay where it is computed, and what was passed to a stage stays with whoever
//! passed it, so that another node can be brought to the same states.

use super::{
    recent::{Held, OVERHEAD_BYTES, Recent},
    wire::{Turn, Values},
};
use crate::nouns::{Digest, NodeName, Tensor};
use std::{
    collections::HashSet,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

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
    /// What the last step began with, for another request that makes it again: nobody took the answer on.
    before: Option<Values>,
    /// What the last step passed on, for the same request again.
    last: (u128, Values),
    /// The latest that began here.
    attempt: u64,
}

/// What went over a cut, step by step.
#[derive(Default)]
struct Passed {
    steps: Vec<Values>,
    bytes: u64,
    attempt: u64,
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
    /// A later request of the session was here before.
    Late,
}

impl Held for Kept {
    fn bytes(&self) -> u64 {
        bytes(&self.states) + self.before.as_ref().map_or(0, |before| bytes(before)) + bytes(&self.last.1)
    }

    fn can_spare(&self) -> bool {
        self.before.is_some()
    }

    fn spare(&mut self) {
        self.before = None;
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
        lock(&self.kept).keys().map(|(plan, session, _)| (plan, session)).collect::<HashSet<_>>().len()
    }

    /// The states for a step: those after the step before. They are kept of the last two steps.
    pub fn begin(&self, key: &PartKey, turn: Turn, request: u128) -> Begin {
        let mut kept = lock(&self.kept);
        let known = kept.get(key);
        if known.as_ref().is_some_and(|known| turn.attempt < known.attempt) {
            return Begin::Late;
        }
        let known = known.map(|known| {
            known.attempt = turn.attempt;
            &*known
        });
        match known {
            Some(kept) if Some(kept.steps) == turn.next() && kept.last.0 == request => {
                Begin::Again(kept.last.1.clone())
            }
            _ if turn.step == 0 => Begin::With(Vec::new()),
            Some(kept) if kept.steps == turn.step => Begin::With(kept.states.clone()),
            Some(kept) if kept.steps < turn.step => Begin::Behind(kept.steps),
            Some(Kept { steps, before: Some(before), .. }) if Some(*steps) == turn.next() => {
                Begin::With(before.clone())
            }
            _ => Begin::Behind(0),
        }
    }

    /// Keeps the states after a step, and what it passed on.
    pub fn end(&self, key: PartKey, turn: Turn, request: u128, states: Vec<(String, Tensor)>, rest: &Values) {
        // Where there is no number for the next step there is no next step.
        let Some(steps) = turn.next() else { return };
        let mut kept = lock(&self.kept);
        if kept.get(&key).is_some_and(|known| turn.attempt < known.attempt) {
            return;
        }
        let before = kept.take(&key).and_then(|known| match known {
            Kept { steps: before, states, .. } if before == turn.step => Some(states),
            // It was made again.
            Kept { steps: before, before: states, .. } if before == steps => states,
            _ => None,
        });
        kept.insert(key, Kept { steps, states, before, last: (request, rest.clone()), attempt: turn.attempt });
    }

    /// Forgets states that are gone: whoever goes on with them has the steps replayed.
    pub fn lose(&self, key: &PartKey) {
        lock(&self.kept).take(key);
    }

    /// Keeps what goes over a cut; `false` where the steps before it are not known here, or there is no room for more.
    pub fn pass(&self, key: &EdgeKey, turn: Turn, values: &Values) -> bool {
        let Ok(step) = usize::try_from(turn.step) else { return false };
        let mut passed = lock(&self.passed);
        let fits = |known: Option<&mut Passed>| match known {
            Some(known) => step <= known.steps.len() && turn.attempt >= known.attempt,
            None => step == 0,
        };
        if step >= STEPS_MAX || !fits(passed.get(key)) {
            return false;
        }
        let mut known = passed.take(key).unwrap_or_default();
        known.attempt = turn.attempt;
        known.bytes -= known.steps.drain(step..).map(|values| bytes(&values)).sum::<u64>();
        known.bytes += bytes(values);
        known.steps.push(values.clone());
        passed.insert(*key, known)
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
        lock(&self.passed).forget(|key| key.0 == *plan);
        lock(&self.kept).forget(|key| key.0 == *plan);
    }

    /// Forgets what went over the cuts of a session that has ended.
    pub fn close(&self, plan: &Digest, session: u128) {
        lock(&self.passed).forget(|key| (&key.0, key.1) == (plan, session));
        lock(&self.kept).forget(|key| (&key.0, key.1) == (plan, session));
    }
}

fn bytes(values: &[(String, Tensor)]) -> u64 {
    let contents = values.iter().filter_map(|(_, value)| value.spec().bytes()).map(|bytes| bytes as u64);
    contents.sum::<u64>() + OVERHEAD_BYTES * values.len() as u64
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{super::recent::ENTRIES_MAX, *};
    use crate::nouns::Element;

    fn turn(step: u64) -> Turn {
        Turn { session: 7, step, attempt: 0, replay: false }
    }

    /// A value of so many bytes.
    fn values(bytes: usize) -> Values {
        vec![("x".to_owned(), Tensor::from_slice(Element::U8, [bytes], &vec![0u8; bytes]).unwrap())]
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
    }

    /// A step whose answer nobody took on is made again from the states before it, as often as that happens.
    #[test]
    fn a_stage_goes_back_one_step() {
        let sessions = Sessions::new(1 << 20);
        let begins_with = |step, request| match sessions.begin(&part(), turn(step), request) {
            Begin::With(states) => states.iter().map(|(_, state)| state.spec().bytes().unwrap()).sum::<usize>(),
            _ => panic!("step {step} does not begin"),
        };
        for step in 0..4 {
            sessions.end(part(), turn(step), step.into(), values(step as usize + 1), &Vec::new());
        }
        for request in 10..13 {
            assert_eq!(begins_with(3, request), 3, "after step 2");
            sessions.end(part(), turn(3), request, values(9), &Vec::new());
        }
        assert!(matches!(sessions.begin(&part(), turn(2), 20), Begin::Behind(0)), "two steps are too many");
        assert_eq!(begins_with(4, 21), 9, "those of the last request");
        sessions.end(part(), turn(4), 21, values(5), &Vec::new());
        assert_eq!(begins_with(4, 22), 9);
    }

    /// What is left of a request that was given up changes nothing for the one that came after it.
    #[test]
    fn who_was_given_up_comes_too_late() {
        let (sessions, edge) = (Sessions::new(1 << 20), (Digest::of(b"plan"), 7, 2));
        let at = |step, attempt| Turn { attempt, ..turn(step) };
        sessions.end(part(), at(0, 0), 1, values(1), &Vec::new());
        assert!(matches!(sessions.begin(&part(), at(1, 1), 2), Begin::With(_)));
        assert!(matches!(sessions.begin(&part(), at(1, 2), 3), Begin::With(_)));
        sessions.end(part(), at(1, 2), 3, values(3), &Vec::new());
        sessions.end(part(), at(1, 1), 2, values(2), &Vec::new());
        assert!(matches!(sessions.begin(&part(), at(1, 1), 2), Begin::Late));
        let Begin::With(states) = sessions.begin(&part(), at(2, 3), 4) else { panic!("it does not go on") };
        assert_eq!(states[0].1.spec().bytes(), Some(3));
        assert!(sessions.pass(&edge, at(0, 2), &values(3)));
        assert!(!sessions.pass(&edge, at(0, 1), &values(2)));
        assert_eq!(sessions.passed(&edge, 0).unwrap()[0].1.spec().bytes(), Some(3));
    }

    /// The way back is the first that gives way, and only as far as room is needed.
    #[test]
    fn the_way_back_gives_way_first() {
        let sessions = Sessions::new(4700);
        let part = |session| (Digest::of(b"plan"), session, 0..2);
        let goes_back = |session| matches!(sessions.begin(&part(session), turn(1), 9), Begin::With(_));
        for session in [1, 2] {
            (0..2).for_each(|step| sessions.end(part(session), turn(step), 1, values(500), &Vec::new()));
        }
        assert!(goes_back(1) && goes_back(2));
        sessions.end(part(3), turn(0), 1, values(700), &Vec::new());
        assert!(!goes_back(1) && goes_back(2), "the longest unused");
        assert_eq!(sessions.kept(), 3, "all of them go on");
        sessions.end(part(4), turn(0), 1, values(1500), &Vec::new());
        assert!(!goes_back(2));
        assert_eq!(sessions.kept(), 3, "one had to go");
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
        let sessions = Sessions::new(2500);
        let values = values(400);
        let edge = |session| (Digest::of(b"plan"), session, 0);
        assert!(sessions.pass(&edge(1), turn(0), &values));
        assert!(sessions.pass(&edge(2), turn(0), &values));
        assert!(sessions.pass(&edge(2), turn(1), &values));
        assert!(sessions.passed(&edge(1), 0).is_some());
        assert!(sessions.pass(&edge(2), turn(2), &values));
        assert!(sessions.passed(&edge(1), 0).is_none(), "the other one gave way");
        assert!(sessions.pass(&edge(2), turn(2), &values), "in place of what was there");
        assert!(!sessions.pass(&edge(2), turn(3), &values), "nobody is left who could");
        sessions.end(part(), turn(0), 1, values.clone(), &values);
        assert_eq!(sessions.kept(), 1);
        sessions.forget(&part().0);
        assert_eq!(sessions.kept(), 0);
        assert_eq!([lock(&sessions.kept).bytes(), lock(&sessions.passed).bytes()], [0, 0]);
    }

    /// As many as the bytes allow, and not without end where they hold none.
    #[test]
    fn sessions_make_place() {
        let sessions = Sessions::new(u64::MAX);
        for session in 0..=ENTRIES_MAX as u128 {
            assert!(sessions.pass(&(Digest::of(b"plan"), session, 0), turn(0), &Vec::new()));
        }
        assert!(sessions.passed(&(Digest::of(b"plan"), 0, 0), 0).is_none());
        assert!(sessions.passed(&(Digest::of(b"plan"), 1, 0), 0).is_some());
    }
}
