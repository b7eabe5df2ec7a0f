//! A cut model on the live nodes, as placement sees it. Decides nothing.

use super::Nodes;
use crate::{
    mechanisms::place::{self, Cluster, Link, Node, Objective, PlaceError, Placement, Task},
    nouns::{Digest, LinkNews, NodeName, NodeNews, Plan, Spread},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// What is between two nodes that have not measured it: a hop of the local network.
const UNMEASURED: Link = Link { latency_us: 500.0, bytes_per_second: 100e6 };
/// However slow a node says it is.
const SLOWDOWN_MAX: f64 = 1000.0;

/// Cut models that are known.
pub type Plans = HashMap<Digest, Arc<Plan>>;

/// One model, and the nodes that it can go to.
pub struct View<'a> {
    pub tasks: Vec<Task>,
    /// In the order of `cluster`.
    pub able: Vec<&'a NodeName>,
    /// The spread with the largest epoch that any node tells.
    pub latest: Option<&'a Spread>,
    pub cluster: Cluster,
}

impl<'a> View<'a> {
    /// A model among others that take room. `nodes` are of one premises; `None` where it is not known.
    pub fn new(nodes: &'a Nodes, plans: &Plans, digest: &Digest) -> Option<Self> {
        let plan = plans.get(digest)?;
        let able = able(nodes, digest, plan);
        let mut room: BTreeMap<&NodeName, u64> = nodes.iter().map(|(name, node)| (name, node.memory_bytes)).collect();
        for (other, plan) in plans.iter().filter(|(other, _)| *other != digest) {
            let tasks = tasks(plan);
            for stage in latest(nodes, other, plan).iter().flat_map(|spread| &spread.stages) {
                let held = held(&tasks[stage.fragments.clone()]);
                for node in &stage.nodes {
                    room.entry(node).and_modify(|room| *room = room.saturating_sub(held));
                }
            }
        }
        let cluster = cluster(digest, &able, &room);
        let able = able.into_iter().map(|(name, _)| name).collect();
        Some(Self { tasks: tasks(plan), able, latest: latest(nodes, digest, plan), cluster })
    }

    /// Which of the nodes it is.
    pub fn find(&self, name: &NodeName) -> Option<usize> {
        self.able.iter().position(|able| *able == name)
    }

    /// The latest spread with the nodes that are left; `None` where a stage has none, or none that can hold it.
    pub fn now(&self) -> Option<Placement> {
        let mut runs: Vec<(usize, _)> = Vec::new();
        for stage in &self.latest?.stages {
            let free = |node: &usize| runs.iter().all(|(taken, _)| taken != node);
            let node = stage.nodes.iter().find_map(|name| self.find(name)).filter(free)?;
            if held(&self.tasks[stage.fragments.clone()]) > self.cluster.nodes[node].memory_bytes {
                return None;
            }
            runs.push((node, stage.fragments.clone()));
        }
        Some(place::placed(&self.tasks, &self.cluster, &runs))
    }

    /// The best that there is. Where half of the memory is enough, the other half can stand by for other nodes.
    pub fn best(&self, objective: Objective) -> Result<Placement, PlaceError> {
        let best = place::place(&self.tasks, &self.cluster.halved(), objective);
        best.or_else(|_| place::place(&self.tasks, &self.cluster, objective))
    }
}

/// Nodes that a model can go to, by name.
fn able<'a>(nodes: &'a Nodes, digest: &Digest, plan: &Plan) -> Vec<(&'a NodeName, &'a NodeNews)> {
    let measured = |node: &NodeNews| {
        let times = node.models.get(digest).map(|model| model.compute_us.as_slice()).unwrap_or_default();
        times.len() == plan.fragments.len() && times.iter().all(|time| time.is_finite() && *time >= 0.0)
    };
    nodes.iter().filter(|(_, node)| !node.draining && measured(node)).collect()
}

/// The latest spread of a model that any node knows.
pub fn latest<'a>(nodes: &'a Nodes, digest: &Digest, plan: &Plan) -> Option<&'a Spread> {
    let spreads = nodes.values().filter_map(|node| node.models.get(digest)?.spread.as_ref());
    spreads.filter(|spread| spread.covers(plan.fragments.len())).max_by(|a, b| a.epoch.cmp(&b.epoch))
}

/// What a run of fragments holds on its node.
pub fn held(tasks: &[Task]) -> u64 {
    let held = tasks.iter().map(|task| task.held_bytes).fold(0, u64::saturating_add);
    let most = tasks.iter().map(|task| task.activation_bytes).max().unwrap_or(0);
    held.saturating_add(most)
}

fn tasks(plan: &Plan) -> Vec<Task> {
    plan.fragments.iter().map(Task::from).collect()
}

fn cluster(digest: &Digest, able: &[(&NodeName, &NodeNews)], room: &BTreeMap<&NodeName, u64>) -> Cluster {
    let node = |(name, news): &(&NodeName, &NodeNews)| {
        let slowdown = if news.slowdown >= 0.0 { news.slowdown.min(SLOWDOWN_MAX) } else { 0.0 };
        let measured = news.models.get(digest).map(|model| model.compute_us.as_slice()).unwrap_or_default();
        Node {
            name: name.to_string(),
            memory_bytes: room.get(name).copied().unwrap_or(0),
            compute_us: measured.iter().map(|time| time * (1.0 + slowdown)).collect(),
        }
    };
    let link = |from: &NodeNews, to: &NodeName| {
        let measured = from.links.get(to).filter(|link| link.latency_us >= 0.0 && link.bytes_per_second > 0.0);
        let link = |link: &LinkNews| Link { latency_us: link.latency_us, bytes_per_second: link.bytes_per_second };
        measured.map_or(UNMEASURED, link)
    };
    Cluster {
        nodes: able.iter().map(node).collect(),
        links: able.iter().map(|(_, from)| able.iter().map(|(to, _)| link(from, to)).collect()).collect(),
    }
}
