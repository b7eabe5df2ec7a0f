//! The exact answer is what trying everything gives; no answer exceeds a memory.

use super::{
    Bottleneck, Classes, Cluster, Link, Node, Objective, PlaceError, Placement, Search, Task, beam, one_more, place,
    rest,
};
use proptest::prelude::*;

fn task(held: u64, activation: u64, received: u64) -> Task {
    Task { held_bytes: held, activation_bytes: activation, received_bytes: received }
}

fn node(name: &str, memory: u64, compute_us: &[f64]) -> Node {
    Node { name: name.into(), memory_bytes: memory, compute_us: compute_us.into() }
}

/// The same link everywhere.
fn cluster(nodes: Vec<Node>, link: Link) -> Cluster {
    let links = vec![vec![link; nodes.len()]; nodes.len()];
    Cluster { nodes, links }
}

/// A byte takes a microsecond.
const SLOW: Link = Link { latency_us: 1.0, bytes_per_second: 1e6 };

fn told(placement: &Placement) -> Vec<(usize, std::ops::Range<usize>)> {
    placement.stages.iter().map(|stage| (stage.node, stage.fragments.clone())).collect()
}

#[test]
fn equal_nodes_share_the_work() {
    let tasks = [task(1, 1, 2); 4];
    let cluster = cluster(vec![node("a", 10, &[5.0; 4]), node("b", 10, &[5.0; 4])], SLOW);
    let placement = place(&tasks, &cluster, Objective::Throughput).unwrap();
    assert_eq!(told(&placement), [(0, 0..2), (1, 2..4)]);
    assert_eq!((placement.interval_us(), placement.latency_us()), (10.0, 23.0));
    assert_eq!(placement.bottleneck(), Some(Bottleneck::Compute(1)));
    let placement = place(&tasks, &cluster, Objective::Latency).unwrap();
    assert_eq!(told(&placement), [(0, 0..4)]);
}

#[test]
fn a_slow_link_is_not_crossed_where_it_costs_more() {
    let tasks = [task(1, 1, 0), task(1, 1, 100), task(1, 1, 2)];
    let cluster = cluster(vec![node("a", 10, &[5.0; 3]), node("b", 10, &[5.0; 3])], SLOW);
    assert_eq!(told(&place(&tasks, &cluster, Objective::Throughput).unwrap()), [(0, 0..2), (1, 2..3)]);
}

/// Measured once: added from the end, they come to a little more.
#[test]
fn the_order_of_a_sum_decides_nothing() {
    let compute_us = [5487.121, 38150.783, 16653.079, 9978.529, 11156.875, 15753.059];
    let alone = cluster(vec![node("a", 100, &compute_us)], SLOW);
    for objective in [Objective::Throughput, Objective::Latency] {
        assert_eq!(told(&place(&[task(1, 1, 1); 6], &alone, objective).unwrap()), [(0, 0..6)]);
    }
}

#[test]
fn memory_decides_who_runs_what() {
    let tasks = [task(8, 1, 1), task(2, 2, 1), task(2, 1, 1)];
    let small = cluster(vec![node("slow", 10, &[50.0; 3]), node("fast", 6, &[1.0; 3])], SLOW);
    let placement = place(&tasks, &small, Objective::Latency).unwrap();
    assert_eq!(told(&placement), [(0, 0..1), (1, 1..3)]);
    assert_eq!(placement.stages[1].memory_bytes, 6);
    let refused = |tasks: &[Task], cluster: &Cluster| place(tasks, cluster, Objective::Latency).unwrap_err();
    assert_eq!(refused(&[task(11, 0, 0); 3], &small), PlaceError::Fragment { fragment: 0, needed: 11, largest: 10 });
    assert_eq!(refused(&[task(6, 0, 0); 3], &small), PlaceError::Memory { needed: 18, available: 16 });
    assert_eq!(refused(&[], &small), PlaceError::Nothing);
    assert_eq!(refused(&[task(1, 1, 1); 4], &small), PlaceError::Unmeasured("slow".into()));
}

#[test]
fn one_node_more_helps_or_does_not() {
    let tasks = [task(1, 1, 2); 4];
    let cluster = cluster(vec![node("a", 10, &[5.0; 4]), node("b", 10, &[5.0; 4])], SLOW);
    let grown = one_more(&tasks, &cluster, Objective::Throughput).unwrap();
    assert_eq!(grown.len(), 1, "the two are of one kind");
    assert_eq!(grown[0].1.interval_us(), 10.0, "four equal fragments on three nodes");
}

#[test]
fn a_rack_of_equal_boxes_is_one_kind() {
    let cluster = cluster((0..64).map(|index| node(&index.to_string(), 100, &[1.0; 80])).collect(), SLOW);
    assert_eq!(Classes::of(&cluster).len(), 1);
    let placement = place(&[task(10, 5, 0); 80], &cluster, Objective::Throughput).unwrap();
    assert_eq!(placement.interval_us(), 2.0);
}

#[test]
fn many_kinds_are_placed_well() {
    let nodes = (0..24).map(|index| node(&index.to_string(), 60, &[1.0 + f64::from(index) / 10.0; 80])).collect();
    let cluster = cluster(nodes, SLOW);
    let placement = place(&[task(10, 5, 0); 80], &cluster, Objective::Throughput).unwrap();
    assert!(placement.stages.iter().all(|stage| stage.memory_bytes <= 60));
    // The work over the speed of all nodes together is what nothing can beat.
    let speed: f64 = (0..24).map(|index| 1.0 / (1.0 + f64::from(index) / 10.0)).sum();
    assert!(placement.interval_us() <= 1.5 * 80.0 / speed, "{}", placement.interval_us());
}

/// The least cost of all sequences of nodes and all cuts.
fn try_everything(tasks: &[Task], cluster: &Cluster, objective: Objective) -> Option<f64> {
    fn go(
        tasks: &[Task],
        cluster: &Cluster,
        objective: Objective,
        done: usize,
        used: &mut Vec<usize>,
        cost: f64,
    ) -> f64 {
        if done == tasks.len() {
            return cost;
        }
        let mut best = f64::INFINITY;
        for (index, node) in cluster.nodes.iter().enumerate() {
            if used.contains(&index) {
                continue;
            }
            let link = used.last().map(|&last| cluster.links[last][index]);
            let receive = link.map_or(0.0, |link| link.transfer_us(tasks[done].received_bytes));
            for end in done + 1..=tasks.len() {
                let run = &tasks[done..end];
                let held: u64 = run.iter().map(|task| task.held_bytes).sum();
                let peak = run.iter().map(|task| task.activation_bytes).max().unwrap();
                if held + peak > node.memory_bytes {
                    continue;
                }
                let compute: f64 = node.compute_us[done..end].iter().sum();
                let next = match objective {
                    Objective::Throughput => cost.max(receive).max(compute),
                    Objective::Latency => cost + receive + compute,
                };
                used.push(index);
                best = best.min(go(tasks, cluster, objective, end, used, next));
                used.pop();
            }
        }
        best
    }
    let best = go(tasks, cluster, objective, 0, &mut Vec::new(), 0.0);
    best.is_finite().then_some(best)
}

/// Few values, so that nodes alike and ties are common.
fn small() -> impl Strategy<Value = (Vec<Task>, Cluster)> {
    (1..6usize, 1..5usize).prop_flat_map(|(tasks, nodes)| {
        let task =
            (1..6u64, 0..4u64, 0..9u64).prop_map(|(held, activation, received)| task(held, activation, received));
        let times = prop::collection::vec((1..4u32).prop_map(|time| f64::from(time) / 10.0), tasks);
        let node = (4..20u64, times).prop_map(|(memory, times)| node("n", memory, &times));
        let link = (0..3u32, 1..3u32).prop_map(|(latency, rate)| Link {
            latency_us: f64::from(latency),
            bytes_per_second: f64::from(rate) * 1e6,
        });
        let links = prop::collection::vec(prop::collection::vec(link, nodes), nodes);
        let cluster = (prop::collection::vec(node, nodes), links).prop_map(|(nodes, links)| Cluster { nodes, links });
        (prop::collection::vec(task, tasks), cluster)
    })
}

fn check_sound(tasks: &[Task], cluster: &Cluster, placement: &Placement) {
    let mut done = 0;
    let mut used = Vec::new();
    for stage in &placement.stages {
        assert_eq!(stage.fragments.start, done);
        assert!(!used.contains(&stage.node), "{used:?}");
        let run = &tasks[stage.fragments.clone()];
        let held: u64 = run.iter().map(|task| task.held_bytes).sum();
        let peak = run.iter().map(|task| task.activation_bytes).max().unwrap();
        assert_eq!(stage.memory_bytes, held + peak);
        assert!(stage.memory_bytes <= cluster.nodes[stage.node].memory_bytes);
        (done, _) = (stage.fragments.end, used.push(stage.node));
    }
    assert_eq!(done, tasks.len());
}

proptest! {
    #[test]
    fn the_exact_answer_is_what_trying_everything_gives((tasks, cluster) in small(), latency in any::<bool>()) {
        let objective = if latency { Objective::Latency } else { Objective::Throughput };
        let expected = try_everything(&tasks, &cluster, objective);
        match place(&tasks, &cluster, objective) {
            Ok(placement) => {
                check_sound(&tasks, &cluster, &placement);
                prop_assert!((placement.cost_us(objective) - expected.unwrap()).abs() < 1e-9);
            }
            Err(_) => prop_assert_eq!(expected, None),
        }
    }

    #[test]
    fn the_beam_is_sound_and_never_better_than_the_best((tasks, cluster) in small(), latency in any::<bool>()) {
        let objective = if latency { Objective::Latency } else { Objective::Throughput };
        let classes = Classes::of(&cluster);
        let rest_us = rest(tasks.len(), &cluster);
        let search = Search { tasks: &tasks, cluster: &cluster, classes: &classes, objective, rest_us };
        if let Some(found) = beam::place(&search, 4, None) {
            let placement = search.placement(&found.runs);
            check_sound(&tasks, &cluster, &placement);
            let best = try_everything(&tasks, &cluster, objective).unwrap();
            prop_assert!(placement.cost_us(objective) >= best - 1e-9);
        }
    }
}
