//! The GPU accelerator: models, products, copies, and what a run costs the host.
//!
//!     [BURST_GPU=part-of-a-name] just bench gpu [models] [rates] [convolutions] [copies] [long] [host] [--quick]
//!
//! Without a name the GPU of this machine is measured, and lavapipe where it has none. Models stand beside ONNX Runtime on
//! the CPU, and beside PyTorch where the Python of `BURST_PYTHON` has it with CUDA; rates beside what is the faster there,
//! and long axes beside tract. A build that is carried to another machine finds the repository by `BURST_ROOT`.

mod convolutions;
// Of this and of the support, each benchmark uses a part.
#[allow(dead_code)]
mod models;
mod rates;
#[allow(dead_code)]
mod report;
mod runs;
#[allow(dead_code, unused_imports)]
#[path = "../support/mod.rs"]
mod support;

use burst_adapters::gpu::{GpuAccelerator, Wanted};
use burst_host::ports::Accelerator;
use models::{Loaded, MODELS, ONNX_RUNTIME, onnx_runtime, written};
use report::{Flags, Report, Row, median};
use std::{sync::Arc, time::Instant};

/// Larger models than the CPU's benchmark has.
const LARGE: [&str; 3] = ["vit_b16", "unet", "gpt2_small"];
/// Models whose graphs leave the batch open.
const BATCHED: [&str; 5] = ["mobilenetv2", "resnet50", "yolo320", "minilm_l6_s128", "unet"];
const BATCH: usize = 32;

fn main() {
    let flags = Flags::parse();
    let accelerator = Arc::new(accelerator());
    let mut report = Report::new("gpu", &flags);
    report.on(&accelerator.describe().name);
    if flags.wants("models") {
        models(&*accelerator, &flags, &mut report);
    }
    if flags.wants("rates") {
        rates::measure(&*accelerator, &flags, &mut report);
    }
    if flags.wants("convolutions") {
        convolutions::measure(&*accelerator, &flags, &mut report);
    }
    if flags.wants("copies") {
        rates::copies(&*accelerator, &mut report);
    }
    if flags.wants("long") {
        rates::long_axes(&*accelerator, &mut report);
    }
    if flags.wants("host") {
        runs::measure(&*accelerator, &flags, &mut report);
        runs::guests(accelerator.clone(), &flags, &mut report);
    }
    report.finish();
}

fn accelerator() -> GpuAccelerator {
    let open = |wanted| support::block_on(GpuAccelerator::open(&wanted));
    match std::env::var("BURST_GPU") {
        Ok(name) => open(Wanted::Named(name)).unwrap(),
        Err(_) => open(Wanted::Hardware).or_else(|_| open(Wanted::Named("llvmpipe".into()))).unwrap(),
    }
}

fn models(accelerator: &dyn Accelerator, flags: &Flags, report: &mut Report) {
    let large = LARGE.into_iter().filter(|_| !flags.quick);
    for model in MODELS.into_iter().chain(large).filter(|model| written(model)) {
        let start = Instant::now();
        let loaded = Loaded::new(accelerator, model, 1).unwrap();
        loaded.run();
        let first = start.elapsed().as_secs_f64() * 1e3;
        report.add(Row::alone(format!("model_{model}_first_ms_b1"), "ms", first, 1));
        let held = loaded.held_bytes() as f64 / f64::from(1 << 20);
        report.add(Row::alone(format!("model_{model}_held_mib_b1"), "MiB", held, 1));
        beside(model, &loaded, 1, flags.pick(3, 20), report);
    }
    for model in BATCHED.into_iter().filter(|model| !flags.quick && written(model)) {
        match Loaded::new(accelerator, model, BATCH) {
            Ok(loaded) => beside(model, &loaded, BATCH, 3, report),
            Err(fault) => eprintln!("left out: {model} in batches of {BATCH}: {fault}"),
        }
    }
}

fn beside(model: &str, loaded: &Loaded<'_>, batch: usize, runs_min: usize, report: &mut Report) {
    let ours = loaded.times(runs_min);
    let row = |suffix: &str, peer, peer_value| {
        let metric = format!("model_{model}_ms_b{batch}{suffix}");
        Row { metric, unit: "ms", value: Some(median(&ours)), peer, peer_value, n: ours.len() }
    };
    report.add(row("", ONNX_RUNTIME, onnx_runtime(model, 2, batch)));
    if let Some(eager) = torch(model, batch, false) {
        report.add(row("_eager", "PyTorch, CUDA, eager", Some(eager)));
        report.add(row("_compiled", "PyTorch, CUDA, compiled", torch(model, batch, true)));
    }
}

/// The median that torch_models.py measures; `None` without PyTorch and a GPU that it computes on.
fn torch(model: &str, batch: usize, compiled: bool) -> Option<f64> {
    let batch = batch.to_string();
    let mut words = vec!["tests/bench/torch_models.py", model, "--batch", &batch];
    words.extend(compiled.then_some("--compiled"));
    rates::told(&words)
}
