//! Every way of placing, without trying each: the best for what is placed, the nodes used and the last of them.

use super::{Cost, Run, Search};

/// States times classes, for each number of tasks placed: ten nodes of ten kinds, and one more of one kind.
const STATES_MAX: usize = 16 << 10;
/// States of all numbers of tasks together: a hundred megabytes.
const ENTRIES_MAX: usize = 4 << 20;

/// Whether there are few enough states.
pub(super) fn fits(search: &Search<'_>) -> bool {
    Digits::of(search).is_some()
}

/// The best runs; `None` where memory allows none. Some way costs `known_us`, or nobody knows one.
pub(super) fn place(search: &Search<'_>, known_us: f64) -> Option<Vec<Run>> {
    let mut table = Table::new(search, known_us)?;
    for done in 0..search.tasks.len() {
        for state in 0..table.digits.states {
            for last in 0..search.classes.len() {
                table.go_on(done, state, last);
            }
        }
    }
    table.trace()
}

/// How many of each class are used, as one number: a digit for each class, to the base of its size and one.
struct Digits {
    places: Vec<usize>,
    states: usize,
}

impl Digits {
    /// `None` where there are too many states.
    fn of(search: &Search<'_>) -> Option<Self> {
        let (mut places, mut states) = (Vec::new(), 1usize);
        for class in 0..search.classes.len() {
            places.push(states);
            states = states.checked_mul(search.classes.size(class) + 1).filter(|&states| states <= STATES_MAX)?;
        }
        let row = states.checked_mul(places.len()).filter(|&row| row <= STATES_MAX)?;
        let all = row.checked_mul(search.tasks.len() + 1)?;
        (all <= ENTRIES_MAX).then_some(Self { places, states })
    }

    fn used(&self, search: &Search<'_>, state: usize, class: usize) -> usize {
        state / self.places[class] % (search.classes.size(class) + 1)
    }
}

/// The best way to a state, and where it came from.
#[derive(Clone, Copy)]
struct Entry {
    cost: Cost,
    /// Tasks placed before the last run.
    before: u32,
    /// The class that ran them, or [`START`].
    from: u32,
}

/// No class: the first run has nothing before it.
const START: u32 = u32::MAX;

struct Table<'a> {
    search: &'a Search<'a>,
    digits: Digits,
    /// By tasks placed, nodes used and the class of the last.
    entries: Vec<Entry>,
    /// Entries for each number of tasks.
    row: usize,
    /// Nodes that are not used, in each state.
    left: Vec<usize>,
    /// Of all ways to the end so far.
    best: Cost,
}

impl<'a> Table<'a> {
    fn new(search: &'a Search<'a>, known_us: f64) -> Option<Self> {
        let digits = Digits::of(search)?;
        let (classes, nodes) = (search.classes.len(), search.cluster.nodes.len());
        let row = digits.states * classes;
        let none = Entry { cost: Cost::NONE, before: 0, from: START };
        let used = |state| (0..classes).map(|class| digits.used(search, state, class)).sum::<usize>();
        let left = (0..digits.states).map(|state| nodes - used(state)).collect();
        let entries = vec![none; (search.tasks.len() + 1) * row];
        Some(Self { search, digits, entries, row, left, best: Cost(known_us, f64::INFINITY) })
    }

    fn at(&self, done: usize, state: usize, last: usize) -> usize {
        done * self.row + state * self.search.classes.len() + last
    }

    /// Adds every run that may follow a state.
    fn go_on(&mut self, done: usize, state: usize, last: usize) {
        // Nothing is placed in one state only, and nobody was the last in it.
        let start = done == 0 && state == 0 && last == 0;
        let cost = if start { Cost(0.0, 0.0) } else { self.entries[self.at(done, state, last)].cost };
        let left = self.left[state];
        if left == 0 || cost == Cost::NONE || self.search.prospect(cost, done, left) > self.best.0 {
            return;
        }
        let from = (!start).then_some(last);
        for class in 0..self.search.classes.len() {
            if self.digits.used(self.search, state, class) < self.search.classes.size(class) {
                self.run(cost, done, from, class, state + self.digits.places[class]);
            }
        }
    }

    /// Adds the runs of one class from `done` on, which lead to the state `next`.
    fn run(&mut self, cost: Cost, done: usize, from: Option<usize>, class: usize, next: usize) {
        let search = self.search;
        let receive_us = search.receive_us(from, class, done);
        for (end, compute_us) in search.runs(class, done) {
            let cost = search.extend(cost, receive_us, compute_us);
            if cost.0 > self.best.0 {
                break;
            }
            let at = self.at(end, next, class);
            if cost < self.entries[at].cost {
                let from = from.map_or(START, |from| from as u32);
                self.entries[at] = Entry { cost, before: done as u32, from };
            }
            if end == search.tasks.len() && cost < self.best {
                self.best = cost;
            }
        }
    }

    /// The runs that lead to the best of the final states.
    fn trace(&self) -> Option<Vec<Run>> {
        let classes = self.search.classes.len();
        let mut done = self.search.tasks.len();
        let last = &self.entries[done * self.row..];
        let best = (0..self.row).min_by(|&a, &b| last[a].cost.order(last[b].cost))?;
        if last[best].cost == Cost::NONE {
            return None;
        }
        let (mut state, mut class) = (best / classes, best % classes);
        let mut runs = Vec::new();
        loop {
            let Entry { before, from, .. } = self.entries[self.at(done, state, class)];
            runs.push(Run { class, tasks: before as usize..done });
            if from == START {
                break;
            }
            state -= self.digits.places[class];
            (done, class) = (before as usize, from as usize);
        }
        runs.reverse();
        Some(runs)
    }
}
