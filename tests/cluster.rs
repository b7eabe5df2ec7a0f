//! A cut model over several nodes answers what the whole one answers, whatever becomes of the nodes.

use crate::{
    split::{answer, cut, load, model, models, plan, same},
    support::{
        block_on, cpu,
        far::{Distance, Far},
        root,
        slow::Slow,
    },
};
use burst_adapters::{fabric::Hub, onnx::Onnx, registry::Directory};
use burst_host::{
    loops::member::{Member, Part},
    mechanisms::{
        relay::{
            Relay, STAGE,
            wire::{self, Call, Outcome},
        },
        shelf::Shelf,
    },
    nouns::{Digest, Element, Epoch, Fault, NodeName, NodeNews, Objective, Plan, Spread, Tensor},
    ports::{Accelerator, Fabric, Memory, Program},
};
use bytes::Bytes;
use std::{
    fs,
    num::NonZeroUsize,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Memory that a test takes away.
struct Room(AtomicU64);

impl Memory for Room {
    fn room_bytes(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A node in this process; it is gone when it is dropped.
pub struct Node {
    pub member: Arc<Member>,
    memory: Arc<Room>,
    /// How long it sleeps after each run.
    pub pause_ms: Arc<AtomicU64>,
    running: JoinHandle<()>,
    _shelf: TempDir,
}

impl Node {
    /// A node with its own shelf, whose registry begins at the root.
    pub async fn join(fabric: Arc<dyn Fabric>, memory_bytes: u64) -> Self {
        Self::join_with(cpu(), fabric, memory_bytes).await
    }

    /// The same with another accelerator.
    pub async fn join_with(accelerator: Arc<dyn Accelerator>, fabric: Arc<dyn Fabric>, memory_bytes: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let registry = Arc::new(Directory::open(Path::new("/")).unwrap());
        let relay = Relay::new(fabric.clone(), NonZeroUsize::new(16).unwrap(), 256 << 20);
        let shelf = Arc::new(Shelf::open(registry, fabric.clone(), directory.path()).unwrap());
        let memory = Arc::new(Room(AtomicU64::new(u64::MAX)));
        let (slow, room) = (Slow::new(accelerator), memory.clone());
        let pause_ms = slow.pause_ms.clone();
        let part = Part { most_bytes: memory_bytes, memory: room, objective: Objective::Throughput };
        let joined = Member::join(fabric, relay, shelf, Arc::new(slow), Arc::new(Onnx), part);
        let member = joined.await.unwrap();
        let running = tokio::spawn(member.clone().run());
        Self { member, memory, pause_ms, running, _shelf: directory }
    }

    pub async fn spread(&self, directory: &Path) -> Arc<dyn Program> {
        let json = fs::read(directory.join(Plan::FILE)).unwrap();
        let (digest, plan) = (Digest::of(&json), Plan::parse(&json).unwrap());
        let below = directory.strip_prefix("/").unwrap().to_str().unwrap();
        let program = self.member.spread(Some(below), digest, &plan).await.unwrap();
        program.ready().await;
        program
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.running.abort();
    }
}

pub fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

/// Three nodes on a hub, each with room for this part of a model.
pub async fn nodes(hub: &Hub, plan: &Plan, part: f64) -> Vec<Node> {
    named(hub, plan, part, &["a.hall", "b.hall", "c.hall"]).await
}

async fn named(hub: &Hub, plan: &Plan, part: f64, names: &[&str]) -> Vec<Node> {
    let held: u64 = plan.fragments.iter().map(|fragment| fragment.memory.total() + (2 << 20)).sum();
    let memory_bytes = (held as f64 * part) as u64;
    let mut nodes = Vec::new();
    for node in names {
        nodes.push(Node::join(Arc::new(hub.join(name(node)).unwrap()), memory_bytes).await);
    }
    nodes
}

/// Waits until every node sends requests of a model to a spread like this.
pub async fn until(nodes: &[Node], directory: &TempDir, holds: impl Fn(&Spread) -> bool) {
    let digest = Digest::of(&fs::read(directory.path().join(Plan::FILE)).unwrap());
    for node in nodes {
        while !node.member.relay.current(&digest).is_some_and(|held| holds(&held.spread)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn check(name: &str, parts: usize, room: f64) {
    let Some(model) = model(name) else { return };
    let directory = cut(&model, ["--parts", &parts.to_string()]);
    let whole = load(&models(cpu()), &model).unwrap();
    block_on(async {
        let expected = answer(&*cpu(), &*whole, &model).await;
        let hub = Hub::default();
        let nodes = nodes(&hub, &plan(&directory), room).await;
        // What only the first node has the others fetch from it.
        let program = nodes[0].spread(directory.path()).await;
        assert_eq!(program.signature().to_string(), whole.signature().to_string());
        same(&answer(&*cpu(), &*program, &model).await, &expected, name);
        until(&nodes, &directory, |spread| spread.nodes().count() >= 2).await;
        same(&answer(&*cpu(), &*program, &model).await, &expected, name);
    });
}

#[test]
fn minilm_is_what_it_was_on_three_nodes() {
    check("minilm_l6_s128", 6, 0.6);
}

#[test]
fn gpt2_is_what_it_was_on_three_nodes() {
    check("gpt2_l8_c64", 8, 0.6);
}

/// Rows that don't know of each other pass the stages three at a time.
#[test]
fn a_request_is_computed_in_micro_batches() {
    let model = root().join("guests/digits/model/digits.onnx");
    let directory = cut(&model, ["--parts", "3", "--micro-batch", "3"]);
    let whole = load(&models(cpu()), &model).unwrap();
    block_on(async {
        let hub = Hub::default();
        let nodes = nodes(&hub, &plan(&directory), 0.6).await;
        let program = nodes[0].spread(directory.path()).await;
        until(&nodes, &directory, |spread| spread.stages.len() >= 2).await;
        let ask = async |program: &dyn Program, rows: usize| {
            let pixels: Vec<f32> = (0..rows * 64).map(|pixel| (pixel * 7 % 17) as f32).collect();
            let images = Tensor::from_slice(Element::Fp32, [rows, 1, 8, 8], &pixels).unwrap();
            program.run(vec![images], Instant::now() + Duration::from_secs(60)).await.unwrap().remove(0)
        };
        let digest = Digest::of(&fs::read(directory.path().join(Plan::FILE)).unwrap());
        let stages = nodes[0].member.relay.current(&digest).unwrap().spread.stages.len() as u64;
        let computed = || nodes.iter().map(|node| node.member.relay.counts.compute.count()).sum::<u64>();
        for (rows, micro_batches) in [(7, 3), (3, 1), (1, 1)] {
            let before = computed();
            let (found, expected) = (ask(&*program, rows).await, ask(&*whole, rows).await);
            assert_eq!(found.spec(), expected.spec());
            let numbers = [&found, &expected].map(|tensor| tensor.to_vec::<f32>().unwrap());
            let off = numbers[0].iter().zip(&numbers[1]).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
            assert!(off <= 1e-6, "{rows} rows are off by {off}");
            assert_eq!(computed() - before, micro_batches * stages, "{rows} rows");
        }
    });
}

/// Nobody hands values over a link that became slow, as long as there is another way. What nodes take is what they sleep.
#[test]
fn a_link_that_becomes_slow_is_avoided() {
    let directory = cut(&root().join("guests/digits/model/digits.onnx"), ["--parts", "3"]);
    block_on(async {
        let (hub, distance) = (Hub::default(), Distance::default());
        let mut nodes = Vec::new();
        for node in ["a.hall", "b.hall", "c.hall"] {
            let far = Far { inner: Arc::new(hub.join(name(node)).unwrap()), distance: distance.clone() };
            nodes.push(Node::join(Arc::new(far), 64 << 20).await);
        }
        nodes.iter().for_each(|node| node.pause_ms.store(20, Relaxed));
        let program = nodes[0].spread(directory.path()).await;
        until(&nodes, &directory, |spread| spread.stages.len() == 3).await;
        let digest = Digest::of(&fs::read(directory.path().join(Plan::FILE)).unwrap());
        let spread = || nodes[0].member.relay.current(&digest).unwrap().spread.clone();
        let far = spread().stages[1].nodes[0].clone();
        let ask = async || {
            let image = Tensor::from_slice(Element::Fp32, [1, 1, 8, 8], &[7.0f32; 64]).unwrap();
            program.run(vec![image], Instant::now() + Duration::from_secs(60)).await.unwrap()
        };
        let (expected, begun) = (ask().await, Instant::now());
        while begun.elapsed() < Duration::from_secs(5) {
            same(&ask().await, &expected, "over a quick link");
        }
        assert_eq!(spread().stages[1].nodes[0], far, "nothing has changed");
        *distance.lock().unwrap() = Some((far.clone(), Duration::from_millis(100)));
        while spread().stages.iter().skip(1).any(|stage| stage.nodes[0] == far) {
            same(&ask().await, &expected, "over a slow link");
            assert!(begun.elapsed() < Duration::from_secs(100), "{:?}", nodes[0].member.nodes());
        }
        same(&ask().await, &expected, "another way");
    });
}

/// Garbage, huge lengths and calls of another epoch are refused and counted, and the next call is answered.
#[test]
fn what_is_no_call_is_refused() {
    let Some(model) = model("minilm_l6_s128") else { return };
    let directory = cut(&model, ["--parts", "6"]);
    block_on(async {
        let hub = Hub::default();
        let nodes = nodes(&hub, &plan(&directory), 0.6).await;
        let program = nodes[0].spread(directory.path()).await;
        let expected = answer(&*cpu(), &*program, &model).await;
        let rogue = hub.join(name("rogue.hall")).unwrap();
        let victim = &nodes[0].member;
        let ask = async |message: Bytes| {
            let soon = Instant::now() + Duration::from_secs(5);
            let answer = rogue.call(victim.name(), STAGE, message, soon).await.unwrap();
            wire::read::<Outcome>(answer).unwrap().0
        };
        let long = [&u32::MAX.to_le_bytes()[..], b"{}"].concat();
        for garbage in [Bytes::new(), Bytes::from_static(b"\xff\xff"), long.into(), Bytes::from(vec![0; 1 << 20])] {
            assert!(matches!(ask(garbage).await, Outcome::Fault(Fault::Invalid(_))));
        }
        let epoch = Epoch { number: 0, leader: name("rogue.hall") };
        let plan = Digest::of(&fs::read(directory.path().join(Plan::FILE)).unwrap());
        let call = Call { request: 1, plan, epoch, stage: 0, budget_ms: 1000, turn: None, suspects: Vec::new() };
        assert_eq!(ask(wire::write(call, &Vec::new()).unwrap()).await, Outcome::Fenced);
        let counts = &victim.relay.counts;
        assert_eq!((counts.garbage.get(), counts.fenced.get()), (4, 1));
        same(&answer(&*cpu(), &*program, &model).await, &expected, "afterwards");
    });
}

/// What is derived from frames goes to no node of other premises, however much room it has.
#[test]
fn values_stay_on_their_premises() {
    let Some(model) = model("minilm_l6_s128") else { return };
    let directory = cut(&model, ["--parts", "6"]);
    let whole = load(&models(cpu()), &model).unwrap();
    block_on(async {
        let hub = Hub::default();
        let near = named(&hub, &plan(&directory), 0.6, &["b.hall", "c.hall"]).await;
        let _away = named(&hub, &plan(&directory), 10.0, &["a.yard"]).await;
        let program = near[0].spread(directory.path()).await;
        let digest = Digest::of(&fs::read(directory.path().join(Plan::FILE)).unwrap());
        // The node that is away knows the model, too, and holds all of it for its own premises.
        let holds = |node: &NodeNews| node.models.get(&digest).is_some_and(|model| model.ready.is_some());
        while !near[0].member.nodes().get(&name("a.yard")).is_some_and(holds) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        until(&near, &directory, |spread| spread.nodes().all(|node| node.premises() == "hall")).await;
        let expected = answer(&*cpu(), &*whole, &model).await;
        same(&answer(&*cpu(), &*program, &model).await, &expected, "two nodes of one hall");
    });
}

#[test]
fn a_node_can_be_relieved() {
    let Some(model) = model("minilm_l6_s128") else { return };
    let directory = cut(&model, ["--parts", "6"]);
    let whole = load(&models(cpu()), &model).unwrap();
    block_on(async {
        let expected = answer(&*cpu(), &*whole, &model).await;
        let hub = Hub::default();
        let nodes = nodes(&hub, &plan(&directory), 0.8).await;
        let program = nodes[0].spread(directory.path()).await;
        until(&nodes, &directory, |spread| spread.nodes().any(|node| *node == name("b.hall"))).await;
        nodes[0].member.drain_node(&name("b.hall"), true).await.unwrap();
        until(&nodes, &directory, |spread| spread.nodes().all(|node| *node != name("b.hall"))).await;
        same(&answer(&*cpu(), &*program, &model).await, &expected, "without the second node");
        nodes[0].member.drain_node(&name("b.hall"), false).await.unwrap();
        until(&nodes, &directory, |spread| spread.nodes().any(|node| *node == name("b.hall"))).await;
        same(&answer(&*cpu(), &*program, &model).await, &expected, "with it again");
    });
}

#[test]
fn a_node_that_fills_up_holds_less() {
    let Some(model) = model("minilm_l6_s128") else { return };
    let directory = cut(&model, ["--parts", "6"]);
    let whole = load(&models(cpu()), &model).unwrap();
    block_on(async {
        let expected = answer(&*cpu(), &*whole, &model).await;
        let hub = Hub::default();
        let nodes = nodes(&hub, &plan(&directory), 0.8).await;
        let program = nodes[0].spread(directory.path()).await;
        let full = name("b.hall");
        let held = |spread: &Spread| spread.of(&full).map(|stage| spread.stages[stage].fragments.len()).sum::<usize>();
        until(&nodes, &directory, |spread| held(spread) > 0).await;
        let digest = Digest::of(&fs::read(directory.path().join(Plan::FILE)).unwrap());
        let before = held(&nodes[0].member.relay.current(&digest).unwrap().spread);
        nodes[1].memory.0.store(0, Relaxed);
        until(&nodes, &directory, |spread| held(spread) < before).await;
        same(&answer(&*cpu(), &*program, &model).await, &expected, "with less on the full one");
    });
}

/// What nodes take is what they sleep, so that nothing else on this machine decides: for so long that what a busy machine
/// sleeps beyond it is little.
#[test]
fn a_node_that_becomes_slow_is_relieved() {
    const USUAL_MS: u64 = 50;
    let directory = cut(&root().join("guests/digits/model/digits.onnx"), ["--parts", "3"]);
    block_on(async {
        let hub = Hub::default();
        let nodes = nodes(&hub, &plan(&directory), 3.0).await;
        nodes.iter().for_each(|node| node.pause_ms.store(USUAL_MS, Relaxed));
        let program = nodes[0].spread(directory.path()).await;
        let slow = name("b.hall");
        let computes = |spread: &Spread| spread.stages.iter().any(|stage| stage.nodes[0] == slow);
        until(&nodes, &directory, computes).await;
        let ask = async || {
            let image = Tensor::from_slice(Element::Fp32, [1, 1, 8, 8], &[7.0f32; 64]).unwrap();
            program.run(vec![image], Instant::now() + Duration::from_secs(60)).await.unwrap()
        };
        let expected = ask().await;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            same(&ask().await, &expected, "at the usual pace");
        }
        assert_eq!(nodes[0].member.nodes()[&slow].slowdown, 0.0);
        nodes[1].pause_ms.store(10 * USUAL_MS, Relaxed);
        let digest = Digest::of(&fs::read(directory.path().join(Plan::FILE)).unwrap());
        while computes(&nodes[0].member.relay.current(&digest).unwrap().spread) {
            same(&ask().await, &expected, "at a tenth of it");
            assert!(begun.elapsed() < Duration::from_secs(100), "{:?}", nodes[0].member.nodes());
        }
        assert!(nodes[0].member.nodes()[&slow].slowdown > 1.0);
        same(&ask().await, &expected, "without the slow one");
    });
}
