//! tract and ONNX Runtime behind the accelerator port, beside bare ONNX Runtime, on the models of `tests/bench/models.py`.

use crate::{
    report::{Flags, Report, Row, median},
    support::{block_on, npy, onnxruntime, python, root},
};
use burst_adapters::{cpu::CpuAccelerator, onnx};
use burst_host::{
    nouns::{Extent, Fault, Spec, Tensor},
    ports::{Accelerator, Program},
};
use std::{
    fs,
    num::NonZeroUsize,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

pub const ONNX_RUNTIME: &str = "ONNX Runtime, CPU";
pub const MODELS: [&str; 4] = ["mobilenetv2", "resnet50", "yolo320", "minilm_l6_s128"];
/// Models that packages ship: speech, text in images, kinds of files, a detector, a captcha.
const PACKAGED: [&str; 5] = ["silero_vad5", "ppocr6_rec", "magika", "nudenet", "ddddocr_common"];
/// As models.py does.
const WARM_UPS: usize = 3;
const RUNS_MIN: usize = 20;
const RUNS_MAX: usize = 50;
const SECONDS_MAX: Duration = Duration::from_secs(10);

/// Turns that each takes: what else the machine does meets all of them.
const ROUNDS: usize = 5;

pub fn measure(flags: &Flags, report: &mut Report) {
    for model in MODELS.into_iter().chain(PACKAGED).filter(|model| written(model)) {
        for threads in [1, 2] {
            in_turns(model, threads, flags, report);
        }
    }
}

/// As many as the accelerator of the support has: its threads are those of the process.
const ONNX_RUNTIME_THREADS: usize = 2;

/// Both accelerators and their peer, one after the other and again.
fn in_turns(model: &str, threads: usize, flags: &Flags, report: &mut Report) {
    let cpu = CpuAccelerator::new(NonZeroUsize::new(threads).unwrap()).unwrap();
    let onnxruntime = (threads == ONNX_RUNTIME_THREADS).then(onnxruntime);
    let mut ours = vec![Turns::new("cpu", &cpu, model)];
    ours.extend(onnxruntime.as_deref().map(|accelerator| Turns::new("onnxruntime", accelerator, model)));
    let mut peer = Vec::new();
    for _ in 0..flags.pick(1, ROUNDS) {
        peer.extend(onnx_runtime(model, threads, 1));
        ours.iter_mut().for_each(|ours| ours.take(flags.pick(3, RUNS_MIN)));
    }
    let middle = |taken: &[f64]| (!taken.is_empty()).then(|| median(taken));
    for Turns { name, taken, .. } in &ours {
        let metric = format!("model_{model}_{name}_ms_t{threads}");
        let (value, peer_value, n) = (middle(taken), middle(&peer), taken.len());
        report.add(Row { metric, unit: "ms", value, peer: ONNX_RUNTIME, peer_value, n });
    }
}

/// What a model takes on one accelerator.
struct Turns<'a> {
    name: &'static str,
    /// `None` where it can't be loaded.
    loaded: Option<Loaded<'a>>,
    taken: Vec<f64>,
}

impl<'a> Turns<'a> {
    fn new(name: &'static str, accelerator: &'a dyn Accelerator, model: &str) -> Self {
        let loaded = Loaded::new(accelerator, model, 1);
        Self { name, loaded: loaded.map_err(|fault| eprintln!("{model} on {name}: {fault}")).ok(), taken: Vec::new() }
    }

    fn take(&mut self, runs_min: usize) {
        self.taken.extend(self.loaded.iter().flat_map(|loaded| loaded.times(runs_min)));
    }
}

pub fn written(model: &str) -> bool {
    let written = root().join(format!("target/models/{model}.onnx")).exists();
    if !written {
        eprintln!("left out: target/models/{model}.onnx is missing; `just bench` makes it");
    }
    written
}

/// A model on an accelerator, with its inputs.
pub struct Loaded<'a> {
    accelerator: &'a dyn Accelerator,
    program: Arc<dyn Program>,
    inputs: Vec<Tensor>,
}

impl<'a> Loaded<'a> {
    /// Weights and plans on the device.
    pub fn held_bytes(&self) -> u64 {
        self.program.held_bytes()
    }

    /// Fails where the accelerator can't take so large a batch.
    pub fn new(accelerator: &'a dyn Accelerator, model: &str, batch: usize) -> Result<Self, Fault> {
        let models = root().join("target/models");
        let bytes = fs::read(models.join(format!("{model}.onnx"))).unwrap();
        let mut graph = onnx::decode(&bytes.into(), &onnx::Limits::default()).unwrap();
        if batch > 1 {
            graph.values.clear();
            let ports = graph.inputs.iter_mut().chain(&mut graph.outputs);
            ports.filter_map(|port| port.shape.as_mut()).for_each(|shape| shape[0] = Extent::Fixed(batch));
        }
        let program = block_on(accelerator.load(&graph))?;
        let read = |name: &str| npy::read(&models.join(format!("{model}.{name}.npy"))).unwrap();
        let inputs = program.signature().inputs.iter().map(|port| repeated(&read(&port.name), batch)).collect();
        Ok(Self { accelerator, program, inputs })
    }

    /// Milliseconds of a run, from inputs in host memory to outputs there.
    pub fn run(&self) -> f64 {
        let start = Instant::now();
        let outputs = block_on(self.program.run(self.inputs.clone(), start + Duration::from_secs(600))).unwrap();
        outputs.iter().for_each(|output| drop(block_on(self.accelerator.download(output)).unwrap()));
        start.elapsed().as_secs_f64() * 1e3
    }

    /// Milliseconds of each run after the first few.
    pub fn times(&self, runs_min: usize) -> Vec<f64> {
        for _ in 0..WARM_UPS.min(runs_min) {
            self.run();
        }
        let (begin, mut taken) = (Instant::now(), Vec::new());
        while taken.len() < runs_min || taken.len() < RUNS_MAX && begin.elapsed() < SECONDS_MAX {
            taken.push(self.run());
        }
        taken
    }
}

/// The same input so many times.
fn repeated(input: &Tensor, batch: usize) -> Tensor {
    if batch == 1 {
        return input.clone();
    }
    let mut extents = input.spec().shape.extents().to_vec();
    extents[0] *= batch;
    let contents: Vec<u8> = input.contents().unwrap().repeat(batch);
    Tensor::host(Spec::new(input.spec().element, extents).unwrap(), contents).unwrap()
}

/// The median that models.py measures; `None` without its packages.
pub fn onnx_runtime(model: &str, threads: usize, batch: usize) -> Option<f64> {
    let output = Command::new(python()?)
        .args(["tests/bench/models.py", "--only", model, "--time"])
        .args(["--threads", &threads.to_string(), "--batch", &batch.to_string()])
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
