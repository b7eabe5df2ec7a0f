//! For many different nodes: of all states with the same tasks placed, only those with the best prospects go on.

use super::{Cost, Objective, Run, Search};
use std::collections::HashMap;

/// A way to the end.
pub(super) struct Found {
    pub cost: Cost,
    pub runs: Vec<Run>,
}

/// Good runs, at least as good as the `known` ones; `None` where none were found. `width` states go on.
pub(super) fn place(search: &Search<'_>, width: usize, known: Option<Found>) -> Option<Found> {
    let tasks = search.tasks.len();
    let best = known.as_ref().map_or(Cost::NONE, |known| known.cost);
    let mut beam = Beam { search, levels: vec![HashMap::new(); tasks], chain: Vec::new(), best, end: None };
    let unused = vec![0; search.classes.len()];
    beam.grow(0, &unused, None, Way { cost: Cost(0.0, 0.0), last: None });
    for done in 1..tasks {
        let level = std::mem::take(&mut beam.levels[done]);
        for ((used, last), way) in promising(search, level, done, width) {
            beam.grow(done, &used, Some(last), way);
        }
    }
    beam.found().or(known)
}

/// How many of each class are used, and the class of the last.
type State = (Vec<u16>, usize);

/// The best way to a state.
#[derive(Clone, Copy)]
struct Way {
    cost: Cost,
    /// Its last run, in the list of all.
    last: Option<usize>,
}

struct Beam<'a> {
    search: &'a Search<'a>,
    /// By tasks placed.
    levels: Vec<HashMap<State, Way>>,
    /// Runs, each with the one before it.
    chain: Vec<(Run, Option<usize>)>,
    /// Of all ways to the end so far.
    best: Cost,
    end: Option<usize>,
}

impl Beam<'_> {
    /// Adds every run that may follow a state.
    fn grow(&mut self, done: usize, used: &[u16], last: Option<usize>, way: Way) {
        let search = self.search;
        for class in (0..search.classes.len()).filter(|&class| usize::from(used[class]) < search.classes.size(class)) {
            let mut after = used.to_vec();
            after[class] += 1;
            let receive_us = search.receive_us(last, class, done);
            for (end, compute_us) in search.runs(class, done) {
                let cost = search.extend(way.cost, receive_us, compute_us);
                if cost >= self.best {
                    break;
                }
                self.add(&after, Run { class, tasks: done..end }, Way { cost, last: way.last });
            }
        }
    }

    /// Adds one run after a way, which costs so much with it.
    fn add(&mut self, used: &[u16], run: Run, way: Way) {
        let (end, class) = (run.tasks.end, run.class);
        let here = Way { cost: way.cost, last: Some(self.chain.len()) };
        if end == self.search.tasks.len() {
            (self.best, self.end) = (way.cost, here.last);
        } else {
            let state = (used.to_vec(), class);
            if self.levels[end].get(&state).is_some_and(|known| known.cost <= way.cost) {
                return;
            }
            self.levels[end].insert(state, here);
        }
        self.chain.push((run, way.last));
    }

    fn found(self) -> Option<Found> {
        let mut runs = Vec::new();
        let mut at = Some(self.end?);
        while let Some((run, before)) = at.and_then(|at| self.chain.get(at)) {
            runs.push(run.clone());
            at = *before;
        }
        runs.reverse();
        Some(Found { cost: self.best, runs })
    }
}

/// Those that go on, in an order that is the same every time.
fn promising(search: &Search<'_>, level: HashMap<State, Way>, done: usize, width: usize) -> Vec<(State, Way)> {
    let outlook = Outlook::of(search, done);
    let ways = level.into_iter().map(|(state, way)| (outlook.cost_us(search, &state.0, way.cost), state, way));
    let mut ways: Vec<_> = ways.filter(|(cost, ..)| cost.is_finite()).collect();
    ways.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.2.cost.order(b.2.cost)).then_with(|| a.1.cmp(&b.1)));
    ways.truncate(width);
    ways.into_iter().map(|(_, state, way)| (state, way)).collect()
}

/// What is to be expected of the nodes that are left, if the rest could be shared out among them to the last byte.
struct Outlook {
    /// For one node of each class: the rest of the work on it alone, and what it could hold of the rest.
    classes: Vec<(f64, u64)>,
    held_bytes: u64,
}

impl Outlook {
    fn of(search: &Search<'_>, done: usize) -> Self {
        let rest = &search.tasks[done..];
        let peak = rest.iter().map(|task| task.activation_bytes).min().unwrap_or(0);
        let class = |class| {
            let node = search.node(class);
            (node.compute_us[done..].iter().sum(), node.memory_bytes.saturating_sub(peak))
        };
        Self {
            classes: (0..search.classes.len()).map(class).collect(),
            held_bytes: rest.iter().map(|task| task.held_bytes).fold(0, u64::saturating_add),
        }
    }

    /// Infinite where the nodes that are left can't hold the rest.
    fn cost_us(&self, search: &Search<'_>, used: &[u16], cost: Cost) -> f64 {
        let (mut rate, mut fastest, mut room) = (0.0, f64::INFINITY, 0u64);
        for (class, (time_us, bytes)) in self.classes.iter().enumerate() {
            let left = search.classes.size(class) - usize::from(used[class]);
            if left > 0 {
                rate += left as f64 / time_us;
                fastest = time_us.min(fastest);
                room = room.saturating_add(bytes.saturating_mul(left as u64));
            }
        }
        match search.objective {
            _ if room < self.held_bytes || fastest.is_infinite() => f64::INFINITY,
            Objective::Throughput => cost.0.max(1.0 / rate),
            Objective::Latency => cost.0 + fastest,
        }
    }
}
