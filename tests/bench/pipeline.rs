//! Several stages at once: how near a pipeline comes to its slowest stage, and what more nodes bring.

use crate::{
    cluster::{Node, until},
    handoff,
    report::{Flags, Report, Row},
    split::{answer, cut, model, plan},
    support::{block_on, cpu, root},
};
use burst_host::{
    mechanisms::place::{Cluster, Link, Node as Machine, Objective, Task, place},
    nouns::{Digest, Plan},
};
use futures::{StreamExt, stream};
use std::{
    fmt::Write as _,
    fs,
    path::Path,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const NAMES: [&str; 4] = ["a.hall", "b.hall", "c.hall", "d.hall"];
/// Each node sleeps so long after each run: four share two cores.
const PAUSE_MS: u64 = 40;
/// Requests on their way, for each stage.
const DEPTH: usize = 2;
const COUNTS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

pub fn measure(flags: &Flags, report: &mut Report) {
    for stages in 2..=NAMES.len() {
        let Some(model) = model("minilm_l6_s128") else { return };
        block_on(efficiency(flags, report, &model, stages));
    }
}

/// As many nodes as stages, each slowed, joined by Zenoh.
async fn efficiency(flags: &Flags, report: &mut Report, model: &Path, stages: usize) {
    let directory = cut(model, ["--parts", &stages.to_string()]);
    let begun = Instant::now();
    let nodes = join(&NAMES[..stages], &plan(&directory)).await;
    nodes.iter().for_each(|node| node.pause_ms.store(PAUSE_MS, Relaxed));
    let program = nodes[0].spread(directory.path()).await;
    until(&nodes, &directory, |spread| spread.stages.len() == stages).await;
    let joined = begun.elapsed().as_secs_f64();
    let (accelerator, requests) = (cpu(), flags.pick(10, 150));
    let run = |_| answer(&*accelerator, &*program, model);
    stream::iter(0..DEPTH * stages).map(run).buffer_unordered(DEPTH * stages).count().await;
    let before = nodes.iter().map(computed).collect::<Vec<_>>();
    let started = Instant::now();
    let answered = stream::iter(0..requests).map(run).buffer_unordered(DEPTH * stages).count().await;
    let rate = answered as f64 / started.elapsed().as_secs_f64();
    let mean = |(node, (count, sum)): (&Node, (u64, Duration))| {
        let (after, all) = computed(node);
        (all - sum).as_secs_f64() / (after - count).max(1) as f64
    };
    let slowest = nodes.iter().zip(before).map(mean).fold(0.0, f64::max);
    let efficiency = Row::alone(format!("pipeline_efficiency_{stages}"), "%", 100.0 * rate * slowest, answered);
    report.add(Row { peer: "1 / slowest stage", peer_value: Some(100.0), ..efficiency });
    report.add(Row::alone(format!("join_to_serving_{stages}_nodes_seconds"), "s", joined, 1));
}

fn computed(node: &Node) -> (u64, Duration) {
    let compute = &node.member.relay.counts.compute;
    (compute.count(), compute.sum())
}

/// Nodes with room for more than twice the model.
async fn join(names: &[&str], plan: &Plan) -> Vec<Node> {
    let held: u64 = plan.fragments.iter().map(|fragment| Task::from(fragment).held_bytes).sum();
    let mut nodes = Vec::new();
    for fabric in handoff::zenoh(names, None).await {
        nodes.push(Node::join(fabric, 3 * held).await);
    }
    nodes
}

/// What the placement of 1 to 64 nodes like this one promises, with fragments and a link measured here.
pub fn scaling(report: &mut Report) {
    let Some(model) = model("resnet50") else { return };
    let directory = cut(&model, ["--parts", "64"]);
    let plan = plan(&directory);
    let (compute_us, link) = block_on(costs(&directory, &plan));
    let tasks: Vec<Task> = plan.fragments.iter().map(Task::from).collect();
    let rate = |count: usize| {
        let node =
            |index: usize| Machine { name: index.to_string(), memory_bytes: u64::MAX, compute_us: compute_us.clone() };
        let cluster = Cluster { nodes: (0..count).map(node).collect(), links: vec![vec![link; count]; count] };
        1e6 / place(&tasks, &cluster, Objective::Throughput).unwrap().interval_us()
    };
    let rates: Vec<f64> = COUNTS.into_iter().map(rate).collect();
    for (count, rate) in COUNTS.into_iter().zip(&rates) {
        let row = Row::alone(format!("scaling_{count}_nodes_rps"), "req/s", *rate, plan.fragments.len());
        report.add(Row { peer: "as many times one", peer_value: Some(rates[0] * count as f64), ..row });
    }
    let path = root().join("target/bench/scaling.svg");
    fs::create_dir_all(root().join("target/bench")).unwrap();
    fs::write(&path, drawn(&rates)).unwrap();
    println!("drawn: {}", path.display());
}

/// What each fragment takes here, and a hand-off between two nodes over Zenoh.
async fn costs(directory: &TempDir, plan: &Plan) -> (Vec<f64>, Link) {
    let nodes = join(&NAMES[..2], plan).await;
    let _program = nodes[0].spread(directory.path()).await;
    let digest = Digest::of(&fs::read(directory.path().join(Plan::FILE)).unwrap());
    loop {
        let news = nodes[0].member.nodes().remove(nodes[0].member.name()).unwrap_or_default();
        let measured = news.models.get(&digest).map(|model| model.compute_us.clone()).unwrap_or_default();
        if let (false, Some(link)) = (measured.is_empty(), news.links.values().next()) {
            return (measured, Link { latency_us: link.latency_us, bytes_per_second: link.bytes_per_second });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Requests a second by nodes, both by powers of two, beside the straight line.
fn drawn(rates: &[f64]) -> String {
    const STEP: f64 = 80.0;
    const HEIGHT: f64 = 480.0;
    let x = |index: usize| 60.0 + STEP * index as f64;
    let y = |times: f64| HEIGHT + 20.0 - STEP * 0.9 * times.log2();
    let line = |times: &dyn Fn(usize) -> f64| -> String {
        (0..rates.len()).map(|index| format!("{:.1},{:.1} ", x(index), y(times(index)))).collect()
    };
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"620\" height=\"560\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
    );
    let ideal = line(&|index| COUNTS[index] as f64);
    let found = line(&|index| rates[index] / rates[0]);
    let _ = writeln!(svg, "<polyline points=\"{ideal}\" fill=\"none\" stroke=\"#c8d0da\"/>");
    let _ = writeln!(svg, "<polyline points=\"{found}\" fill=\"none\" stroke=\"#4a6fa5\" stroke-width=\"2\"/>");
    for (index, (count, rate)) in COUNTS.into_iter().zip(rates).enumerate() {
        let (x, y) = (x(index), y(rate / rates[0]));
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#4a6fa5\"/>");
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\">{:.1}x</text>", x + 6.0, y + 16.0, rate / rates[0]);
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\">{count}</text>", x - 6.0, HEIGHT + 50.0);
    }
    let _ = writeln!(svg, "<text x=\"220\" y=\"{:.1}\">nodes</text>", HEIGHT + 70.0);
    svg + "</svg>\n"
}
