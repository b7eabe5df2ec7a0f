//! Decides which node runs which fragments: a run of neighbours each, as fast as their memory and links allow.
//!
//! Nodes that are alike are one class with several places, so that a rack of equal boxes costs no more than a few.
//! Where the states are few the answer is exact, a dynamic programme over what is placed, which nodes are used and
//! which was the last; beyond that a beam keeps the states with the best prospects.

mod beam;
mod classes;
mod exact;
#[cfg(test)]
mod tests;

pub use crate::nouns::Objective;
use crate::nouns::{Fragment, Memory};
use classes::Classes;
use std::{cmp::Ordering, ops::Range};

/// States that go on in the two beams, for each number of tasks placed.
const BEAM_NARROW: usize = 4;
const BEAM_WIDE: usize = 32;

/// Sums of the same times in another order differ by less than this part of them.
const ROUNDING: f64 = 1e-12;

/// One fragment, as placement sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Task {
    /// Weights, caches and guests: they stay.
    pub held_bytes: u64,
    /// What one run holds besides. A node runs its fragments one after the other.
    pub activation_bytes: u64,
    /// What it is sent by whoever runs the fragment before.
    pub received_bytes: u64,
}

/// What a fragment's guest holds: the linear memory of `guests/graph`.
const GUEST_BYTES: u64 = 2 << 20;

impl From<&Fragment> for Task {
    fn from(fragment: &Fragment) -> Self {
        let Memory { weight_bytes, state_bytes, activation_bytes } = fragment.memory;
        let held_bytes = weight_bytes.saturating_add(state_bytes).saturating_add(GUEST_BYTES);
        Self { held_bytes, activation_bytes, received_bytes: fragment.received_bytes }
    }
}

/// One machine, as it was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub name: String,
    pub memory_bytes: u64,
    /// For each fragment.
    pub compute_us: Vec<f64>,
}

/// What is between two nodes, in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// A hand-off of nothing.
    pub latency_us: f64,
    pub bytes_per_second: f64,
}

impl Link {
    /// How long a hand-off takes.
    pub fn transfer_us(&self, bytes: u64) -> f64 {
        self.latency_us + bytes as f64 * 1e6 / self.bytes_per_second
    }
}

/// What there is to place on.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    pub nodes: Vec<Node>,
    /// From the row's node to the column's.
    pub links: Vec<Vec<Link>>,
}

/// What one node does.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    pub node: usize,
    pub fragments: Range<usize>,
    pub compute_us: f64,
    /// The hand-off before it.
    pub receive_us: f64,
    pub received_bytes: u64,
    pub memory_bytes: u64,
}

/// Who runs what, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    pub stages: Vec<Stage>,
}

/// Where a placement spends the time that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bottleneck {
    /// This stage computes.
    Compute(usize),
    /// This stage receives.
    Receive(usize),
}

/// Why nothing can be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    #[error("fragment {fragment} holds {needed} bytes, the largest node has {largest}; cut the model finer")]
    Fragment { fragment: usize, needed: u64, largest: u64 },
    #[error("the fragments hold {needed} bytes, and no order of the nodes, which have {available}, takes them")]
    Memory { needed: u64, available: u64 },
    #[error("`{0}` was not measured on every fragment")]
    Unmeasured(String),
    #[error("there is nothing to place, or nothing to place it on")]
    Nothing,
}

impl Placement {
    /// A stage or a hand-off can begin so often.
    pub fn interval_us(&self) -> f64 {
        self.stages.iter().map(|stage| stage.compute_us.max(stage.receive_us)).fold(0.0, f64::max)
    }

    /// From the first input to the last output of one request.
    pub fn latency_us(&self) -> f64 {
        self.stages.iter().map(|stage| stage.compute_us + stage.receive_us).sum()
    }

    /// What `objective` wants small.
    pub fn cost_us(&self, objective: Objective) -> f64 {
        match objective {
            Objective::Throughput => self.interval_us(),
            Objective::Latency => self.latency_us(),
        }
    }

    /// What takes longest.
    pub fn bottleneck(&self) -> Option<Bottleneck> {
        let parts = self.stages.iter().enumerate().flat_map(|(index, stage)| {
            [(stage.compute_us, Bottleneck::Compute(index)), (stage.receive_us, Bottleneck::Receive(index))]
        });
        parts.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, bottleneck)| bottleneck)
    }
}

/// The placement with the least cost. No node holds more than its memory.
pub fn place(tasks: &[Task], cluster: &Cluster, objective: Objective) -> Result<Placement, PlaceError> {
    check(tasks, cluster)?;
    let classes = Classes::of(cluster);
    let search = Search { tasks, cluster, classes: &classes, objective, rest_us: rest(tasks.len(), cluster) };
    // A narrow beam first: what costs more than it found need not be looked at.
    let known = beam::place(&search, BEAM_NARROW, None);
    let found = if exact::fits(&search) {
        exact::place(&search, known.map_or(f64::INFINITY, |known| known.cost.0))
    } else {
        beam::place(&search, BEAM_WIDE, known).map(|found| found.runs)
    };
    let runs = found.ok_or_else(|| PlaceError::Memory {
        needed: tasks.iter().map(|task| task.held_bytes).fold(0, u64::saturating_add),
        available: cluster.nodes.iter().map(|node| node.memory_bytes).fold(0, u64::saturating_add),
    })?;
    Ok(search.placement(&runs))
}

/// What it means that these nodes run these tasks, in this order.
pub fn placed(tasks: &[Task], cluster: &Cluster, runs: &[(usize, Range<usize>)]) -> Placement {
    let mut last = None;
    let stage = |(node, range): &(usize, Range<usize>)| {
        let run = &tasks[range.clone()];
        let before: Option<usize> = last.replace(*node);
        let received_bytes = before.map_or(0, |_| run[0].received_bytes);
        let held = run.iter().map(|task| task.held_bytes).fold(0, u64::saturating_add);
        let peak = run.iter().map(|task| task.activation_bytes).max().unwrap_or(0);
        Stage {
            node: *node,
            fragments: range.clone(),
            compute_us: cluster.nodes[*node].compute_us[range.clone()].iter().sum(),
            receive_us: before.map_or(0.0, |before| cluster.links[before][*node].transfer_us(received_bytes)),
            received_bytes,
            memory_bytes: held.saturating_add(peak),
        }
    };
    Placement { stages: runs.iter().map(stage).collect() }
}

/// For each kind of node, the placement with one more of it, connected as that node is.
pub fn one_more(
    tasks: &[Task],
    cluster: &Cluster,
    objective: Objective,
) -> Result<Vec<(usize, Placement)>, PlaceError> {
    check(tasks, cluster)?;
    let kinds = Classes::of(cluster);
    let grown = |class: usize| {
        let node = kinds.member(class, 0);
        Ok((node, place(tasks, &cluster.with_another(node), objective)?))
    };
    (0..kinds.len()).map(grown).collect()
}

impl Cluster {
    /// The same with half of the memory.
    pub fn halved(&self) -> Self {
        let mut halved = self.clone();
        halved.nodes.iter_mut().for_each(|node| node.memory_bytes /= 2);
        halved
    }

    /// The same and a copy of one node. Between the two is the slowest link that the node has.
    pub fn with_another(&self, node: usize) -> Self {
        let mut grown = self.clone();
        grown.nodes.push(self.nodes[node].clone());
        let others = (0..self.nodes.len()).filter(|&other| other != node).map(|other| self.links[node][other]);
        let slowest = others.max_by(|a, b| a.transfer_us(1 << 20).total_cmp(&b.transfer_us(1 << 20)));
        let own = slowest.unwrap_or(self.links[node][node]);
        for (from, links) in grown.links.iter_mut().enumerate() {
            links.push(if from == node { own } else { self.links[from][node] });
        }
        let mut links = self.links[node].clone();
        links[node] = own;
        links.push(own);
        grown.links.push(links);
        grown
    }
}

fn check(tasks: &[Task], cluster: &Cluster) -> Result<(), PlaceError> {
    if tasks.is_empty() || cluster.nodes.is_empty() {
        return Err(PlaceError::Nothing);
    }
    let measured = |node: &Node| {
        node.compute_us.len() == tasks.len() && node.compute_us.iter().all(|time| time.is_finite() && *time >= 0.0)
    };
    if let Some(node) = cluster.nodes.iter().find(|node| !measured(node)) {
        return Err(PlaceError::Unmeasured(node.name.clone()));
    }
    let largest = cluster.nodes.iter().map(|node| node.memory_bytes).max().unwrap_or(0);
    let need = |task: &Task| task.held_bytes.saturating_add(task.activation_bytes);
    match tasks.iter().position(|task| need(task) > largest) {
        Some(fragment) => Err(PlaceError::Fragment { fragment, needed: need(&tasks[fragment]), largest }),
        None => Ok(()),
    }
}

/// The least time that the tasks from each one on can take, whoever computes them.
fn rest(tasks: usize, cluster: &Cluster) -> Vec<f64> {
    let fastest = |task: usize| cluster.nodes.iter().map(|node| node.compute_us[task]).fold(f64::INFINITY, f64::min);
    let mut rest = vec![0.0; tasks + 1];
    for task in (0..tasks).rev() {
        rest[task] = rest[task + 1] + fastest(task);
    }
    rest
}

/// What both ways of searching know.
struct Search<'a> {
    tasks: &'a [Task],
    cluster: &'a Cluster,
    classes: &'a Classes,
    objective: Objective,
    rest_us: Vec<f64>,
}

/// A run of tasks on a node of a class.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    class: usize,
    tasks: Range<usize>,
}

/// What counts first, then what decides between equals: the other objective.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Cost(f64, f64);

impl Cost {
    const NONE: Self = Self(f64::INFINITY, f64::INFINITY);

    fn order(self, other: Self) -> Ordering {
        self.0.total_cmp(&other.0).then_with(|| self.1.total_cmp(&other.1))
    }
}

impl Search<'_> {
    /// The cost after one more stage.
    fn extend(&self, cost: Cost, receive_us: f64, compute_us: f64) -> Cost {
        let (slower, longer) = (receive_us.max(compute_us), receive_us + compute_us);
        match self.objective {
            Objective::Throughput => Cost(cost.0.max(slower), cost.1 + longer),
            Objective::Latency => Cost(cost.0 + longer, cost.1.max(slower)),
        }
    }

    /// No way on from here costs less. `left` nodes are not used yet.
    fn prospect(&self, cost: Cost, done: usize, left: usize) -> f64 {
        let least = match self.objective {
            Objective::Throughput if self.rest_us[done] == 0.0 => cost.0,
            Objective::Throughput => cost.0.max(self.rest_us[done] / left as f64),
            Objective::Latency => cost.0 + self.rest_us[done],
        };
        least * (1.0 - ROUNDING)
    }

    fn node(&self, class: usize) -> &Node {
        &self.cluster.nodes[self.classes.member(class, 0)]
    }

    /// The hand-off before task `start`.
    fn receive_us(&self, from: Option<usize>, to: usize, start: usize) -> f64 {
        let link = |from| self.classes.link(self.cluster, from, to);
        from.map_or(0.0, |from| link(from).transfer_us(self.tasks[start].received_bytes))
    }

    /// Every run of tasks from `start` on that a node of this class can hold, with the time it takes.
    fn runs(&self, class: usize, start: usize) -> impl Iterator<Item = (usize, f64)> {
        let node = self.node(class);
        let (mut held, mut peak, mut compute_us) = (0u64, 0u64, 0.0);
        let runs = (start..self.tasks.len()).map(move |task| {
            held = held.saturating_add(self.tasks[task].held_bytes);
            peak = peak.max(self.tasks[task].activation_bytes);
            compute_us += node.compute_us[task];
            (held.saturating_add(peak) <= node.memory_bytes).then_some((task + 1, compute_us))
        });
        runs.map_while(|run| run)
    }

    /// Runs of classes to stages of nodes.
    fn placement(&self, runs: &[Run]) -> Placement {
        let mut used = vec![0; self.classes.len()];
        let node = |run: &Run| {
            let node = self.classes.member(run.class, used[run.class]);
            used[run.class] += 1;
            (node, run.tasks.clone())
        };
        placed(self.tasks, self.cluster, &runs.iter().map(node).collect::<Vec<_>>())
    }
}
