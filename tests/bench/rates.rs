//! Products of square matrices beside a BLAS, and pointwise work beside a copy.

use crate::{
    report::{Flags, Report, Row},
    support::{block_on, root},
};
use burst_adapters::cpu::CpuAccelerator;
use burst_host::{
    nouns::{Attribute, Element, Extent, Graph, Op, Opset, Port, Spec, Tensor},
    ports::{Accelerator, Program},
};
use std::{
    num::NonZeroUsize,
    process::Command,
    sync::Arc,
    thread::available_parallelism,
    time::{Duration, Instant},
};

const SIZES: [usize; 6] = [256, 512, 1024, 2048, 4096, 8192];
/// A product larger than this takes a CPU driver minutes.
const CPU_SIZE_MAX: usize = 2048;
const COPY_FLOATS: usize = 16 << 20;
/// Smaller products of halves are over before they are timed well.
const HALVES_SIZE_MIN: usize = 1024;
/// What reads and writes every number once, on rows of 1024.
const MEMORY_BOUND: [(&str, &str); 3] =
    [("copy_gbps", "Neg"), ("softmax_gbps", "Softmax"), ("sigmoid_gbps", "Sigmoid")];
const SECONDS: f64 = 2.0;

pub fn measure(accelerator: &dyn Accelerator, flags: &Flags, report: &mut Report) {
    let slow = accelerator.describe().name.contains("llvmpipe") || flags.quick;
    for n in SIZES.into_iter().filter(|&n| !slow || n <= CPU_SIZE_MAX) {
        let multiply = graph(&[("MatMul", &["a", "b"])], &[("a", [n, n]), ("b", [n, n])]);
        let (seconds, runs) = seconds_a_run(accelerator, &multiply);
        let value = Some(2.0 * (n as f64).powi(3) / seconds / 1e9);
        let peer_value = peer("gemm", n);
        let metric = format!("gemm_gflops_{n}");
        report.add(Row { metric, unit: "GFLOP/s", value, peer: "BLAS of this device", peer_value, n: runs });
    }
    halves(accelerator, slow, report);
}

/// Pointwise work and rows, beside a copy.
pub fn copies(accelerator: &dyn Accelerator, report: &mut Report) {
    let peer_value = peer("copy", COPY_FLOATS);
    for (metric, kind) in MEMORY_BOUND {
        let rows = graph(&[(kind, &["a"])], &[("a", [COPY_FLOATS / 1024, 1024])]);
        let (seconds, runs) = seconds_a_run(accelerator, &rows);
        let value = Some(2.0 * 4.0 * COPY_FLOATS as f64 / seconds / 1e9);
        let (metric, peer) = (metric.to_owned(), "a copy on this device");
        report.add(Row { metric, unit: "GB/s", value, peer, peer_value, n: runs });
    }
}

/// Runs of many elements beside tract, on all cores.
pub fn long_axes(accelerator: &dyn Accelerator, report: &mut Report) {
    let threads = available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let cpu = CpuAccelerator::new(threads).unwrap();
    let vocabulary = graph(&[("Softmax", &["a"])], &[("a", [32, 50_257])]);
    let image = graph(&[("GlobalAveragePool", &["a"])], &[("a", [1, 16, 1024, 1024])]);
    for (metric, graph) in [("softmax_50257_ms", vocabulary), ("global_average_pool_ms", image)] {
        let (seconds, n) = seconds_a_run(accelerator, &graph);
        let (peer_seconds, _) = seconds_a_run(&cpu, &graph);
        let (value, peer_value) = (Some(seconds * 1e3), Some(peer_seconds * 1e3));
        report.add(Row { metric: metric.to_owned(), unit: "ms", value, peer: "tract", peer_value, n });
    }
}

/// Products of halves, where a device is made for them.
fn halves(accelerator: &dyn Accelerator, slow: bool, report: &mut Report) {
    for n in SIZES.into_iter().filter(|&n| !slow && n >= HALVES_SIZE_MIN) {
        let ports = [("a", [n, n]), ("b", [n, n])];
        let mut multiply = graph(&[("MatMul", &["a", "b"])], &ports);
        multiply.inputs.iter_mut().for_each(|port| port.element = Some(Element::Fp16));
        let (seconds, runs) = seconds_a_run(accelerator, &multiply);
        let value = Some(2.0 * (n as f64).powi(3) / seconds / 1e9);
        let peer_value = peer("gemm16", n);
        let metric = format!("gemm_f16_gflops_{n}");
        report.add(Row { metric, unit: "GFLOP/s", value, peer: "BLAS of this device, FP16", peer_value, n: runs });
    }
}

/// Ops in a row, each on the result of the one before; of the last, one number is the output.
pub fn graph<const RANK: usize>(ops: &[(&str, &[&str])], inputs: &[(&str, [usize; RANK])]) -> Graph {
    let port = |&(name, extents): &(&str, [usize; RANK])| Port {
        name: name.into(),
        element: Some(Element::Fp32),
        shape: Some(extents.map(Extent::Fixed).to_vec()),
        optional: false,
    };
    let op = |kind: &str, inputs: Vec<String>, output: String, attributes| Op {
        name: String::new(),
        kind: kind.into(),
        domain: String::new(),
        inputs,
        outputs: vec![output],
        attributes,
    };
    let mut all: Vec<Op> = Vec::new();
    for (at, (kind, inputs)) in ops.iter().enumerate() {
        let named = |name: &&str| if name.is_empty() { format!("v{}", at - 1) } else { (*name).into() };
        all.push(op(kind, inputs.iter().map(named).collect(), format!("v{at}"), Vec::new()));
    }
    let whole = all.last().map_or_else(|| inputs[0].0.to_owned(), |last| last.outputs[0].clone());
    let bound = |name: &str, end: i64| (name.to_owned(), Tensor::from_slice(Element::I64, [2], &[end; 2]).unwrap());
    all.push(op("Slice", vec![whole, "zero".into(), "one".into()], "y".into(), Vec::<(String, Attribute)>::new()));
    Graph {
        name: "bench".into(),
        ir_version: 8,
        opsets: vec![Opset { domain: String::new(), version: 17 }],
        inputs: inputs.iter().map(port).collect(),
        outputs: vec![Port { name: "y".into(), element: None, shape: None, optional: false }],
        constants: vec![bound("zero", 0), bound("one", 1)],
        ops: all,
        ..Graph::default()
    }
}

/// A graph with inputs that are on the device already.
pub fn loaded(accelerator: &dyn Accelerator, graph: &Graph) -> (Arc<dyn Program>, Vec<Tensor>) {
    let program = block_on(accelerator.load(graph)).unwrap();
    let input = |port: &Port| {
        let spec = Spec::new(port.element.unwrap_or(Element::Fp32), extents_of(port)).unwrap();
        let values = (0..spec.shape.elements()).map(|at| (at % 251) as f32 / 251.0);
        let bytes = match spec.element {
            Element::Fp16 => values.flat_map(|value| half::f16::from_f32(value).to_le_bytes()).collect(),
            _ => values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>(),
        };
        let host = Tensor::host(spec, bytes).unwrap();
        block_on(accelerator.upload(host)).unwrap()
    };
    let inputs = graph.inputs.iter().map(input).collect();
    (program, inputs)
}

fn extents_of(port: &Port) -> Vec<usize> {
    let fixed = |extent: &Extent| if let Extent::Fixed(extent) = extent { *extent } else { 1 };
    port.shape.iter().flatten().map(fixed).collect()
}

/// Seconds of a run when many are submitted one after the other, and how many were.
pub fn seconds_a_run(accelerator: &dyn Accelerator, graph: &Graph) -> (f64, usize) {
    let (program, inputs) = loaded(accelerator, graph);
    let run = |runs: usize| {
        let start = Instant::now();
        let mut last = Vec::new();
        for _ in 0..runs {
            last = block_on(program.run(inputs.clone(), start + Duration::from_secs(600))).unwrap();
        }
        block_on(accelerator.download(&last[0])).unwrap();
        start.elapsed().as_secs_f64()
    };
    run(1);
    let runs = (SECONDS / run(1)).clamp(3.0, 200.0) as usize;
    (run(runs) / runs as f64, runs)
}

/// The same by numpy, or by PyTorch where it has a GPU; `None` without them.
fn peer(what: &str, size: usize) -> Option<f64> {
    told(&["tests/bench/rates.py", what, &size.to_string()])
}

/// The number that a script of this directory prints; `None` where it can't.
pub fn told(words: &[&str]) -> Option<f64> {
    let python = std::env::var_os("BURST_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(python).args(words).current_dir(root()).output().ok()?;
    String::from_utf8_lossy(&output.stdout).lines().last()?.trim().parse().ok()
}
