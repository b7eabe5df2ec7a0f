//! Which accelerator computes which fragment, so that one run takes the least time.
//!
//! Places on nodes are something else: a node is used once and passes on whatever crosses a cut, an accelerator is used
//! again and again, and a value goes only where it is used. So this is a programme of its own, over the fragments that
//! are done and the accelerators on which the values that are still needed are.

use super::Links;
use std::collections::BTreeMap;

/// The most accelerators: a set of them is a word.
pub const ACCELERATORS_MAX: usize = 63;
/// States that go on after each fragment. Below that the answer is exact; a model has more only where many values skip
/// many fragments, and then the cheapest go on.
const STATES_MAX: usize = 1 << 14;

/// Fragments in order, and what they cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Of each value: the inputs of the model, which are in host memory, then what the fragments yield.
    pub bytes: Vec<u64>,
    /// How many of them are inputs.
    pub inputs: usize,
    /// Values that have to be in host memory or on the first accelerator in the end.
    pub outputs: Vec<usize>,
    /// Of each accelerator.
    pub links: Vec<Links>,
    pub steps: Vec<Step>,
}

/// One fragment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Values.
    pub takes: Vec<usize>,
    pub yields: Vec<usize>,
    /// On each accelerator; `None` where it can't be computed.
    pub compute_us: Vec<Option<f64>>,
}

/// The accelerator of each fragment.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    pub accelerators: Vec<usize>,
    /// Of one run, computing and moving.
    pub cost_us: f64,
}

/// The cheapest assignment; of equal ones always the same. `None` where a fragment can't be computed anywhere.
pub fn assign(chain: &Chain) -> Option<Assignment> {
    let mut search = Search::new(chain);
    for step in 0..chain.steps.len() {
        search.go_on(step);
    }
    search.end()
}

/// Where a value is: host memory is the lowest bit, then the accelerators.
type Places = u64;

const HOST: Places = 1;

fn on(accelerator: usize) -> Places {
    1 << (accelerator + 1)
}

/// The best way to a state, in the list of all.
struct Way {
    accelerator: usize,
    before: Option<usize>,
}

/// What is known of a state: the cost so far, and the last fragment's way.
#[derive(Clone, Copy)]
struct Reached {
    cost_us: f64,
    way: Option<usize>,
}

struct Search<'a> {
    chain: &'a Chain,
    /// The step that uses each value last; `None` where none does.
    last_use: Vec<Option<usize>>,
    /// The values that a state speaks of, in order.
    live: Vec<usize>,
    /// By the places of the values that are still needed.
    states: BTreeMap<Vec<Places>, Reached>,
    ways: Vec<Way>,
}

impl<'a> Search<'a> {
    fn new(chain: &'a Chain) -> Self {
        let mut last_use = vec![None; chain.bytes.len()];
        for (index, step) in chain.steps.iter().enumerate() {
            step.takes.iter().for_each(|&value| last_use[value] = Some(index));
        }
        let live: Vec<_> = (0..chain.inputs).filter(|&value| last_use[value].is_some()).collect();
        let start = Reached { cost_us: 0.0, way: None };
        let states = BTreeMap::from([(vec![HOST; live.len()], start)]);
        Self { chain, last_use, live, states, ways: Vec::new() }
    }

    /// Computes one fragment on each accelerator, after each state.
    fn go_on(&mut self, index: usize) {
        let chain = self.chain;
        let step = &chain.steps[index];
        let known = self.live.iter().chain(&step.yields).copied();
        let live: Vec<_> = known.filter(|&value| self.last_use[value].is_some_and(|last| last > index)).collect();
        let mut next: BTreeMap<Vec<Places>, Reached> = BTreeMap::new();
        let mut places = vec![0; chain.bytes.len()];
        for (state, reached) in std::mem::take(&mut self.states) {
            for (accelerator, compute_us) in step.compute_us.iter().enumerate() {
                let Some(compute_us) = compute_us else { continue };
                self.live.iter().zip(&state).for_each(|(&value, &at)| places[value] = at);
                let moved_us = chain.moved_us(step, accelerator, &mut places);
                let cost_us = reached.cost_us + moved_us + compute_us;
                let after: Vec<_> = live.iter().map(|&value| places[value]).collect();
                if next.get(&after).is_none_or(|known| cost_us < known.cost_us) {
                    self.ways.push(Way { accelerator, before: reached.way });
                    next.insert(after, Reached { cost_us, way: Some(self.ways.len() - 1) });
                }
            }
        }
        (self.live, self.states) = (live, cheapest(next));
    }

    fn end(self) -> Option<Assignment> {
        let reached = self.states.into_values().min_by(|a, b| a.cost_us.total_cmp(&b.cost_us))?;
        let (mut accelerators, mut at) = (Vec::new(), reached.way);
        while let Some(way) = at.and_then(|at| self.ways.get(at)) {
            accelerators.push(way.accelerator);
            at = way.before;
        }
        accelerators.reverse();
        Some(Assignment { accelerators, cost_us: reached.cost_us })
    }
}

impl Chain {
    /// What is moved for a fragment on one accelerator, and the outputs of the model that leave it.
    fn moved_us(&self, step: &Step, accelerator: usize, places: &mut [Places]) -> f64 {
        let mut moved_us = 0.0;
        for &value in &step.takes {
            if places[value] & on(accelerator) == 0 {
                moved_us += self.to_host_us(value, &mut places[value]);
                moved_us += self.links[accelerator].upload.transfer_us(self.bytes[value]);
                places[value] |= on(accelerator);
            }
        }
        for &value in &step.yields {
            places[value] = on(accelerator);
            if accelerator != 0 && self.outputs.contains(&value) {
                moved_us += self.to_host_us(value, &mut places[value]);
            }
        }
        moved_us
    }

    /// A value that is not in host memory is on the accelerator that yielded it, and nowhere else.
    fn to_host_us(&self, value: usize, at: &mut Places) -> f64 {
        if *at & HOST != 0 {
            return 0.0;
        }
        let home = (at.trailing_zeros() as usize).saturating_sub(1);
        *at |= HOST;
        self.links.get(home).map_or(0.0, |links| links.download.transfer_us(self.bytes[value]))
    }
}

/// Those that go on.
fn cheapest(states: BTreeMap<Vec<Places>, Reached>) -> BTreeMap<Vec<Places>, Reached> {
    if states.len() <= STATES_MAX {
        return states;
    }
    let mut states: Vec<_> = states.into_iter().collect();
    states.sort_by(|(_, a), (_, b)| a.cost_us.total_cmp(&b.cost_us));
    states.truncate(STATES_MAX);
    states.into_iter().collect()
}
