//! The GPU accelerator: models, products, copies, and what a run costs the host.
//!
//!     [BURST_GPU=part-of-a-name] just bench gpu [models] [rates] [host] [--quick]

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
use std::time::Instant;

/// Models whose graphs leave the batch open.
const BATCHED: [&str; 2] = ["mobilenetv2", "resnet50"];
const BATCH: usize = 32;

fn main() {
    let flags = Flags::parse();
    let name = std::env::var("BURST_GPU").unwrap_or_else(|_| "llvmpipe".into());
    let accelerator = support::block_on(GpuAccelerator::open(&Wanted::Named(name))).unwrap();
    let mut report = Report::new("gpu", &flags);
    report.on(&accelerator.describe().name);
    if flags.wants("models") {
        models(&accelerator, &flags, &mut report);
    }
    if flags.wants("rates") {
        rates::measure(&accelerator, &flags, &mut report);
    }
    if flags.wants("host") {
        runs::measure(&accelerator, &flags, &mut report);
    }
    report.finish();
}

fn models(accelerator: &dyn Accelerator, flags: &Flags, report: &mut Report) {
    for model in MODELS.into_iter().filter(|model| written(model)) {
        let start = Instant::now();
        let loaded = Loaded::new(accelerator, model, 1).unwrap();
        loaded.run();
        let first = start.elapsed().as_secs_f64() * 1e3;
        report.add(Row::alone(format!("model_{model}_first_ms_b1"), "ms", first, 1));
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
    let peer_value = onnx_runtime(model, 2, batch);
    let metric = format!("model_{model}_ms_b{batch}");
    let (value, n) = (Some(median(&ours)), ours.len());
    report.add(Row { metric, unit: "ms", value, peer: ONNX_RUNTIME, peer_value, n });
}
