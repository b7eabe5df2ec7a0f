//! Decides where the fragments of a model go, if this node is the first of those that know it.

use super::{Known, Member, Nodes};
use crate::{
    mechanisms::place::{self, Cluster, Link, Node, Objective, Task},
    nouns::{Digest, Epoch, LinkNews, NodeName, NodeNews, Spread, Stage},
};
use std::collections::{BTreeMap, BTreeSet};

/// A spread is given up for one that takes less than this part of its time; moving costs time, too.
const WORTH_IT: f64 = 0.8;
/// What is between two nodes that have not measured it: a hop of the local network.
const UNMEASURED: Link = Link { latency_us: 500.0, bytes_per_second: 100e6 };

impl Member {
    /// Tells a new spread of each model that this node leads and that needs one.
    pub(super) fn lead(&self, nodes: &Nodes) {
        let known: Vec<_> = self.known().iter().map(|(digest, known)| (*digest, known.clone())).collect();
        for (digest, known) in known {
            let able = able(nodes, &digest, &known);
            if able.first_key_value().map(|(name, _)| *name) != Some(self.fabric.name()) {
                continue;
            }
            let latest = latest(nodes, &digest, &known);
            let room = self.room(nodes, &digest, &able);
            let Some(stages) = decide(&digest, &known, &able, latest, room) else { continue };
            if latest.is_some_and(|latest| latest.stages == stages) {
                continue;
            }
            let number = latest.map_or(0, |latest| latest.epoch.number) + 1;
            let epoch = Epoch { number, leader: self.fabric.name().clone() };
            tracing::info!(model = %known.plan.model, epoch = number, ?stages, "spread");
            self.tell(digest, |model| model.spread = Some(Spread { epoch, stages }));
        }
    }

    /// What each node can hold beside the other models that are spread.
    fn room(&self, nodes: &Nodes, digest: &Digest, able: &BTreeMap<&NodeName, &NodeNews>) -> Room {
        let mut room = Room(able.iter().map(|(name, node)| ((*name).clone(), node.memory_bytes)).collect());
        for (other, known) in self.known().iter().filter(|(other, _)| *other != digest) {
            let tasks = tasks(known);
            for stage in latest(nodes, other, known).iter().flat_map(|spread| &spread.stages) {
                stage.nodes.iter().for_each(|node| room.take(node, held(&tasks[stage.fragments.clone()])));
            }
        }
        room
    }
}

/// Nodes that a model can go to.
fn able<'a>(nodes: &'a Nodes, digest: &Digest, known: &Known) -> BTreeMap<&'a NodeName, &'a NodeNews> {
    let measured = |node: &&NodeNews| {
        let times = node.models.get(digest).map(|model| model.compute_us.as_slice()).unwrap_or_default();
        times.len() == known.plan.fragments.len() && times.iter().all(|time| time.is_finite() && *time >= 0.0)
    };
    nodes.iter().filter(|(_, node)| !node.draining && measured(node)).collect()
}

/// The latest spread of a model that any node knows.
pub(super) fn latest<'a>(nodes: &'a Nodes, digest: &Digest, known: &Known) -> Option<&'a Spread> {
    let spreads = nodes.values().filter_map(|node| node.models.get(digest)?.spread.as_ref());
    let covers = spreads.filter(|spread| spread.covers(known.plan.fragments.len()));
    covers.max_by(|a, b| a.epoch.cmp(&b.epoch))
}

/// Where the stages should be: where they are, as long as that is possible and good enough.
fn decide(
    digest: &Digest,
    known: &Known,
    able: &BTreeMap<&NodeName, &NodeNews>,
    latest: Option<&Spread>,
    room: Room,
) -> Option<Vec<Stage>> {
    let tasks = tasks(known);
    let cluster = cluster(digest, able, &room);
    // Where half of the memory is enough, the other half can stand by for other nodes.
    let best = place::place(&tasks, &cluster.halved(), Objective::Throughput);
    let best = best.or_else(|_| place::place(&tasks, &cluster, Objective::Throughput));
    let best =
        best.inspect_err(|error| tracing::warn!(model = %known.plan.model, %error, "it can't be spread")).ok()?;
    let chosen: Vec<Stage> = best
        .stages
        .iter()
        .map(|stage| {
            let name = able.keys().nth(stage.node).map(|name| (*name).clone());
            Stage { fragments: stage.fragments.clone(), nodes: name.into_iter().collect() }
        })
        .collect();
    let chosen = with_standbys(chosen, latest, &tasks, able, room.clone());
    let kept = latest.and_then(|latest| {
        let (stages, interval_us) = still(latest, &tasks, &cluster)?;
        let stages = with_standbys(stages, Some(latest), &tasks, able, room);
        (interval_us * WORTH_IT <= best.interval_us() && alone(&stages) <= alone(&chosen)).then_some(stages)
    });
    Some(kept.unwrap_or(chosen))
}

/// Stages that nobody stands by for.
fn alone(stages: &[Stage]) -> usize {
    stages.iter().filter(|stage| stage.nodes.len() == 1).count()
}

/// The stages of a spread with the nodes that are left, and the time of the slowest; `None` where one has none left.
fn still(spread: &Spread, tasks: &[Task], cluster: &Cluster) -> Option<(Vec<Stage>, f64)> {
    let mut stages = Vec::new();
    let mut interval_us = 0f64;
    let mut taken = BTreeSet::new();
    for stage in &spread.stages {
        let find = |name: &&NodeName| cluster.nodes.iter().any(|node| node.name == name.as_str());
        let first = stage.nodes.iter().find(find).filter(|name| taken.insert((*name).clone()))?;
        let node = cluster.nodes.iter().find(|node| node.name == first.as_str())?;
        let held = held(&tasks[stage.fragments.clone()]);
        if held > node.memory_bytes {
            return None;
        }
        interval_us = interval_us.max(node.compute_us[stage.fragments.clone()].iter().sum());
        stages.push(Stage { fragments: stage.fragments.clone(), nodes: vec![first.clone()] });
    }
    Some((stages, interval_us))
}

/// Gives each stage a second node that has room for it, those that take longest first; the one it had, if it can stay.
fn with_standbys(
    mut stages: Vec<Stage>,
    latest: Option<&Spread>,
    tasks: &[Task],
    able: &BTreeMap<&NodeName, &NodeNews>,
    mut room: Room,
) -> Vec<Stage> {
    for stage in &stages {
        stage.nodes.iter().for_each(|node| room.take(node, held(&tasks[stage.fragments.clone()])));
    }
    let mut order: Vec<usize> = (0..stages.len()).collect();
    order.sort_by_key(|&stage| std::cmp::Reverse(stages[stage].fragments.len()));
    for stage in order {
        let Stage { fragments, nodes } = &stages[stage];
        let needed = held(&tasks[fragments.clone()]);
        let before = latest.and_then(|latest| latest.stages.iter().find(|before| before.fragments == *fragments));
        let stood_by = |name: &&&NodeName| before.is_some_and(|before| before.nodes.contains(name));
        let fits = |name: &&&NodeName| !nodes.contains(name) && room.left(name) >= needed;
        let fitting: Vec<&&NodeName> = able.keys().filter(fits).collect();
        let most_room = fitting.iter().max_by_key(|name| room.left(name)).copied();
        let chosen = fitting.iter().copied().find(stood_by).or(most_room).map(|name| (*name).clone());
        if let Some(chosen) = chosen {
            room.take(&chosen, needed);
            stages[stage].nodes.push(chosen);
        }
    }
    stages
}

fn tasks(known: &Known) -> Vec<Task> {
    known.plan.fragments.iter().map(Task::from).collect()
}

/// What a run of fragments holds on its node.
fn held(tasks: &[Task]) -> u64 {
    let held = tasks.iter().map(|task| task.held_bytes).fold(0, u64::saturating_add);
    let most = tasks.iter().map(|task| task.activation_bytes).max().unwrap_or(0);
    held.saturating_add(most)
}

/// What is left of each node's memory beside the other models.
#[derive(Clone)]
struct Room(BTreeMap<NodeName, u64>);

impl Room {
    fn left(&self, node: &NodeName) -> u64 {
        self.0.get(node).copied().unwrap_or(0)
    }

    fn take(&mut self, node: &NodeName, bytes: u64) {
        if let Some(left) = self.0.get_mut(node) {
            *left = left.saturating_sub(bytes);
        }
    }
}

fn cluster(digest: &Digest, able: &BTreeMap<&NodeName, &NodeNews>, room: &Room) -> Cluster {
    let node = |(name, news): (&&NodeName, &&NodeNews)| Node {
        name: name.to_string(),
        memory_bytes: room.left(name),
        compute_us: news.models.get(digest).map(|model| model.compute_us.clone()).unwrap_or_default(),
    };
    let link = |from: &NodeNews, to: &NodeName| {
        let measured = from.links.get(to).filter(|link| link.latency_us >= 0.0 && link.bytes_per_second > 0.0);
        let link = |link: &LinkNews| Link { latency_us: link.latency_us, bytes_per_second: link.bytes_per_second };
        measured.map_or(UNMEASURED, link)
    };
    Cluster {
        nodes: able.iter().map(node).collect(),
        links: able.values().map(|from| able.keys().map(|to| link(from, to)).collect()).collect(),
    }
}
