//! Who stands by for each stage: a second node that has room for all of it.

use super::view::{View, held};
use crate::{
    mechanisms::place::{Bottleneck, Placement, Stage as Placed},
    nouns::Stage,
};
use std::cmp::Reverse;

/// The stages of a placement with their second nodes, for as many as there is room.
pub fn with_standbys(placement: &Placement, view: &View<'_>) -> Vec<Stage> {
    let mut order: Vec<usize> = (0..placement.stages.len()).collect();
    // Those that hold most fit in the fewest places.
    order.sort_by_key(|&stage| Reverse(placement.stages[stage].memory_bytes));
    let chosen = Standbys::choose(placement, view, &order);
    let slowest = match placement.bottleneck() {
        Some(Bottleneck::Compute(stage) | Bottleneck::Receive(stage)) if chosen.nodes[stage].is_none() => stage,
        _ => return chosen.stages(),
    };
    // Not all can be stood by for: this one should.
    order.sort_by_key(|&stage| stage != slowest);
    Standbys::choose(placement, view, &order).stages()
}

/// Second nodes, while they are chosen.
struct Standbys<'a> {
    placement: &'a Placement,
    view: &'a View<'a>,
    /// By node.
    room: Vec<u64>,
    /// By stage.
    needed: Vec<u64>,
    nodes: Vec<Option<usize>>,
}

impl<'a> Standbys<'a> {
    fn choose(placement: &'a Placement, view: &'a View<'a>, order: &[usize]) -> Self {
        let mut room: Vec<u64> = view.cluster.nodes.iter().map(|node| node.memory_bytes).collect();
        placement
            .stages
            .iter()
            .for_each(|stage| room[stage.node] = room[stage.node].saturating_sub(stage.memory_bytes));
        let needed = placement.stages.iter().map(|stage| held(&view.tasks[stage.fragments.clone()])).collect();
        let nodes = vec![None; placement.stages.len()];
        let mut standbys = Self { placement, view, room, needed, nodes };
        for &stage in order {
            match standbys.best(stage) {
                Some(node) => standbys.give(stage, node),
                None => standbys.make_way(stage),
            }
        }
        standbys
    }

    /// The node that it had, if that can stay; else the one with the most room.
    fn best(&self, stage: usize) -> Option<usize> {
        let fragments = &self.placement.stages[stage].fragments;
        let before = self.view.latest.and_then(|latest| latest.stages.iter().find(|old| old.fragments == *fragments));
        let stood_by = |node: &usize| before.is_some_and(|before| before.nodes.contains(self.view.able[*node]));
        let fitting = || (0..self.room.len()).filter(|&node| self.fits(stage, node, 0));
        fitting().find(stood_by).or_else(|| fitting().max_by_key(|node| self.room[*node]))
    }

    /// Whether a node can stand by for a stage once so many more bytes are free there.
    fn fits(&self, stage: usize, node: usize, more_bytes: u64) -> bool {
        let free = self.room[node].saturating_add(more_bytes);
        node != self.placement.stages[stage].node && free >= self.needed[stage]
    }

    /// Moves the standby of another stage to a third node, where that makes room for this one.
    fn make_way(&mut self, stage: usize) {
        for (other, node) in self.nodes.clone().into_iter().enumerate() {
            let Some(node) = node.filter(|&node| self.fits(stage, node, self.needed[other])) else { continue };
            let Some(third) = (0..self.room.len()).find(|&third| third != node && self.fits(other, third, 0)) else {
                continue;
            };
            self.room[node] += self.needed[other];
            self.give(other, third);
            return self.give(stage, node);
        }
    }

    fn give(&mut self, stage: usize, node: usize) {
        self.room[node] -= self.needed[stage];
        self.nodes[stage] = Some(node);
    }

    fn stages(&self) -> Vec<Stage> {
        let stage = |(placed, standby): (&Placed, &Option<usize>)| {
            let nodes = [Some(placed.node), *standby].into_iter().flatten().map(|node| self.view.able[node].clone());
            Stage { fragments: placed.fragments.clone(), nodes: nodes.collect() }
        };
        self.placement.stages.iter().zip(&self.nodes).map(stage).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        mechanisms::place::{Cluster, Link, Node, Task, placed},
        nouns::{Epoch, NodeName, Spread},
    };

    /// Nodes with so much memory each, that take so long for each fragment.
    fn cluster(names: &[NodeName], memory: &[u64], compute_us: &[f64]) -> Cluster {
        let node = |(name, memory_bytes): (&NodeName, &u64)| Node {
            name: name.to_string(),
            memory_bytes: *memory_bytes,
            compute_us: compute_us.to_vec(),
        };
        let link = Link { latency_us: 1.0, bytes_per_second: 1e9 };
        Cluster { nodes: names.iter().zip(memory).map(node).collect(), links: vec![vec![link; 3]; 3] }
    }

    fn names() -> [NodeName; 3] {
        ["a.hall", "b.hall", "c.hall"].map(|name| name.parse().unwrap())
    }

    fn task(held_bytes: u64) -> Task {
        Task { held_bytes, ..Task::default() }
    }

    #[test]
    fn the_bottleneck_is_stood_by_where_not_everything_can_be() {
        let names = names();
        for (compute_us, expected) in [([100.0, 10.0], [2, 1]), ([10.0, 100.0], [1, 2])] {
            // The third one has room for either of the two.
            let cluster = cluster(&names, &[3, 4, 5], &compute_us);
            let view = View { tasks: vec![task(3), task(4)], able: names.iter().collect(), latest: None, cluster };
            let placement = placed(&view.tasks, &view.cluster, &[(0, 0..1), (1, 1..2)]);
            let stages = with_standbys(&placement, &view);
            assert_eq!(stages.iter().map(|stage| stage.nodes.len()).collect::<Vec<_>>(), expected, "{compute_us:?}");
        }
    }

    #[test]
    fn a_standby_makes_way_for_a_stage_that_fits_nowhere_else() {
        let names = names();
        let stage = |index: usize, nodes: [usize; 2]| Stage {
            fragments: index..index + 1,
            nodes: nodes.map(|node| names[node].clone()).to_vec(),
        };
        let epoch = Epoch { number: 2, leader: names[0].clone() };
        // What stood by before would fill the first and the third, and leave nobody for the stage of the second.
        let latest = Spread { epoch, stages: vec![stage(0, [0, 2]), stage(1, [2, 0]), stage(2, [1, 0])] };
        let cluster = cluster(&names, &[2, 2, 2], &[1.0; 3]);
        let view = View { tasks: vec![task(1); 3], able: names.iter().collect(), latest: Some(&latest), cluster };
        let placement = placed(&view.tasks, &view.cluster, &[(2, 0..1), (0, 1..2), (1, 2..3)]);
        let stages = with_standbys(&placement, &view);
        assert!(stages.iter().all(|stage| stage.nodes.len() == 2), "{stages:?}");
        assert!(stages.iter().all(|stage| stage.nodes[0] != stage.nodes[1]), "{stages:?}");
    }
}
