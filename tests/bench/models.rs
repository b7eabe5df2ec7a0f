//! The CPU accelerator beside ONNX Runtime, on the models of `tests/bench/models.py`.

use crate::{
    report::{Flags, Report, Row, median},
    support::{block_on, npy, python, root},
};
use burst_adapters::{cpu::CpuAccelerator, onnx};
use burst_host::{
    nouns::Tensor,
    ports::{Accelerator, Program},
};
use std::{
    fs,
    num::NonZeroUsize,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

const MODELS: [&str; 4] = ["mobilenetv2", "resnet50", "yolo320", "minilm_l6_s128"];
/// As models.py does.
const WARM_UPS: usize = 3;
const RUNS_MIN: usize = 20;
const RUNS_MAX: usize = 50;
const SECONDS_MAX: Duration = Duration::from_secs(10);

pub fn measure(flags: &Flags, report: &mut Report) {
    for model in MODELS {
        if !root().join(format!("target/models/{model}.onnx")).exists() {
            eprintln!("left out: target/models/{model}.onnx is missing; `just bench` makes it");
            continue;
        }
        for threads in [1, 2] {
            let ours = ours(model, threads, flags.pick(3, RUNS_MIN));
            let metric = format!("model_{model}_ms_t{threads}");
            let peer_value = onnx_runtime(model, threads);
            let (value, n) = (Some(median(&ours)), ours.len());
            report.add(Row { metric, unit: "ms", value, peer: "ONNX Runtime, CPU", peer_value, n });
        }
    }
}

/// Milliseconds of each run.
fn ours(model: &str, threads: usize, runs_min: usize) -> Vec<f64> {
    let (program, inputs) = load(model, threads);
    let run = || {
        let start = Instant::now();
        block_on(program.run(inputs.clone(), start + Duration::from_secs(60))).unwrap();
        start.elapsed().as_secs_f64() * 1e3
    };
    for _ in 0..WARM_UPS {
        run();
    }
    let (begin, mut taken) = (Instant::now(), Vec::new());
    while taken.len() < runs_min || taken.len() < RUNS_MAX && begin.elapsed() < SECONDS_MAX {
        taken.push(run());
    }
    taken
}

fn load(model: &str, threads: usize) -> (Arc<dyn Program>, Vec<Tensor>) {
    let models = root().join("target/models");
    let bytes = fs::read(models.join(format!("{model}.onnx"))).unwrap();
    let graph = onnx::decode(&bytes.into(), &onnx::Limits::default()).unwrap();
    let accelerator = CpuAccelerator::new(NonZeroUsize::new(threads).unwrap()).unwrap();
    let program = block_on(accelerator.load(&graph)).unwrap();
    let read = |name: &str| npy::read(&models.join(format!("{model}.{name}.npy"))).unwrap();
    let inputs = program.signature().inputs.iter().map(|port| read(&port.name)).collect();
    (program, inputs)
}

/// The median that models.py measures; `None` without its packages.
fn onnx_runtime(model: &str, threads: usize) -> Option<f64> {
    let output = Command::new(python()?)
        .args(["tests/bench/models.py", "--only", model, "--time", "--threads", &threads.to_string()])
        .current_dir(root())
        .output()
        .unwrap();
    let told: Option<serde_json::Value> = serde_json::from_slice(&output.stdout).ok();
    let p50_ms = told.and_then(|told| told["p50_ms"].as_f64());
    if p50_ms.is_none() {
        eprintln!("models.py: {}", String::from_utf8_lossy(&output.stderr));
    }
    p50_ms
}
