//! Models over several nodes, or larger than one: deciding who runs what, handing values over, losing a node,
//! deploying, and weights that don't stay.
//!
//!     just bench cluster [--quick] [place] [paged] [handoff] [pipeline] [scaling] [nodes] [deploy]

mod paged;
// Of these, each benchmark uses a part.
#[allow(dead_code)]
mod report;
#[allow(dead_code, unused_imports)]
#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, unused_imports)]
#[path = "../cluster.rs"]
mod cluster;
mod handoff;
mod nats;
#[allow(dead_code, unused_imports)]
#[path = "../nodes.rs"]
mod nodes;
mod pipeline;
#[allow(dead_code, unused_imports)]
#[path = "../split.rs"]
mod split;

use burst_host::mechanisms::place::{Cluster, Link, Node, Objective, Task, place};
use report::{Flags, Report, Row, median, quantile};
use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};
use support::fleet::Fleet;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    if paged::part() {
        return;
    }
    let flags = Flags::parse();
    let mut report = Report::new("cluster", &flags);
    if flags.wants("place") {
        for (nodes, fragments) in [(4, 80), (8, 80), (10, 80), (24, 80)] {
            measure(&flags, &mut report, nodes, fragments);
        }
    }
    if flags.wants("paged") {
        paged::measure(&flags, &mut report);
    }
    if flags.wants("handoff") {
        handoff::measure(&flags, &mut report);
    }
    if flags.wants("pipeline") {
        pipeline::measure(&flags, &mut report);
    }
    if flags.wants("scaling") {
        pipeline::scaling(&mut report);
    }
    if flags.wants("nodes") {
        lose(&flags, &mut report);
    }
    if flags.wants("deploy") {
        deploy(&flags, &mut report);
    }
    report.finish();
}

/// From the operator's command to its end: three nodes serve what it deployed.
fn deploy(flags: &Flags, report: &mut Report) {
    let fleet = Fleet::start(3);
    let runs = flags.pick(2, 10);
    let one = |run: usize| {
        let started = Instant::now();
        fleet.deployed(run % 3, ["echo", "digits"][run % 2]);
        started.elapsed().as_secs_f64() * 1e3
    };
    let took: Vec<f64> = (0..runs).map(one).collect();
    report.add(Row::alone("deploy_to_all_swapped_ms", "ms", median(&took), runs));
}

/// Three processes in networks of their own, of which one is killed again and again with a thousand requests on their
/// way; later one freezes.
fn lose(flags: &Flags, report: &mut Report) {
    let Some(mut cluster) = support::cluster::Cluster::start() else { return };
    let still = cluster.burst(1, 1000, |_| {}).after(0.99).as_secs_f64() * 1e3;
    let rounds = flags.pick(10, 1000);
    let (mut recovery, mut lost, mut duplicated) = (Vec::new(), 0, 0);
    for round in 0..rounds {
        // With somebody to stand by.
        cluster.settle(3, 2);
        let became = cluster.kill(2 + round % 2);
        recovery.push(became.after(0.99).as_secs_f64() * 1e3);
        lost += became.lost + became.wrong;
        duplicated += became.duplicated;
        if (round + 1) % 100 == 0 {
            println!("{} kills, {lost} lost, {duplicated} twice, p99 {:.0} ms", round + 1, quantile(&recovery, 0.99));
        }
    }
    report.add(Row {
        peer: "no node killed",
        peer_value: Some(still),
        ..Row::alone("kill_recovery_p99_ms", "ms", quantile(&recovery, 0.99), rounds * 1000)
    });
    report.add(Row::alone("kill_recovery_p50_ms", "ms", median(&recovery), rounds * 1000));
    report.add(Row::alone("requests_lost", "requests", lost as f64, rounds * 1000));
    report.add(Row::alone("requests_duplicated", "requests", duplicated as f64, rounds * 1000));
    // Right after a node came back, and after a silence: a node is given up later while it was busy of late.
    for (metric, silence) in [("kill_to_first_answer_ms_busy", 0), ("kill_to_first_answer_ms", 10)] {
        let mut first = |round: usize| {
            cluster.settle(3, 2);
            thread::sleep(Duration::from_secs(silence));
            cluster.first_answer(2 + round % 2).as_secs_f64() * 1e3
        };
        let first: Vec<f64> = (0..flags.pick(4, 20)).map(&mut first).collect();
        report.add(Row::alone(metric, "ms", median(&first), first.len()));
    }
    let freezes: Vec<f64> = (0..flags.pick(2, 10)).map(|_| cluster.freeze(3).as_secs_f64() * 1e3).collect();
    report.add(Row::alone("freeze_detection_ms", "ms", median(&freezes), freezes.len()));
}

/// Nodes that all differ, in speed, memory and links: nothing can be taken together.
fn measure(flags: &Flags, report: &mut Report, nodes: usize, fragments: usize) {
    let node = |index: usize| Node {
        name: index.to_string(),
        memory_bytes: ((2 + index as u64 % 3) * (fragments as u64 / nodes as u64 + 2)) << 20,
        compute_us: (0..fragments).map(|task| (900 + (index * 97 + task * 31) % 700) as f64).collect(),
    };
    let link = |from: usize, to: usize| Link {
        latency_us: (100 + (from * 7 + to * 13) % 50) as f64,
        bytes_per_second: (50 + (from * 3 + to * 5) % 60) as f64 * 1e6,
    };
    let cluster = Cluster {
        nodes: (0..nodes).map(node).collect(),
        links: (0..nodes).map(|from| (0..nodes).map(|to| link(from, to)).collect()).collect(),
    };
    let task = Task { held_bytes: 1 << 20, activation_bytes: 1 << 19, received_bytes: 1 << 18 };
    let tasks = vec![task; fragments];
    for (objective, name) in [(Objective::Throughput, "throughput"), (Objective::Latency, "latency")] {
        let runs = flags.pick(1, 5);
        let mut took = Vec::new();
        for _ in 0..runs {
            let started = Instant::now();
            black_box(place(&tasks, &cluster, objective).unwrap());
            took.push(started.elapsed().as_secs_f64() * 1e3);
        }
        report.add(Row::alone(format!("place_{nodes}_nodes_{fragments}_fragments_{name}"), "ms", median(&took), runs));
    }
}
