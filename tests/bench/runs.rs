//! What a run costs the host: the CPU time of the thread that submits it.

use crate::{
    rates::{graph, loaded},
    report::{Flags, Report, Row, median, quantile},
    support::{House, block_on, guest},
};
use burst_host::{
    nouns::{Element, Tensor},
    ports::Accelerator,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const SHAPE: [usize; 2] = [8, 8];

pub fn measure(accelerator: &dyn Accelerator, flags: &Flags, report: &mut Report) {
    let runs = flags.pick(50, 1000);
    for ops in [0, 100] {
        let (cpu, whole) = costs(accelerator, ops, runs);
        report.add(Row::alone(format!("run_host_us_{ops}ops"), "us", median(&cpu), runs));
        report.add(Row::alone(format!("run_whole_us_{ops}ops"), "us", median(&whole), runs));
    }
}

/// From a guest to the device and back: a fresh guest uploads an image, runs the digits' model and answers.
pub fn guests(accelerator: Arc<dyn Accelerator>, flags: &Flags, report: &mut Report) {
    const MANIFEST: &str = "models.digits = \"guests/digits/model/digits.onnx\"\nlimits.deadline_ms = 30000";
    let house = block_on(House::on(accelerator, &guest("digits"), MANIFEST));
    let runs = flags.pick(50, 2000);
    let ask = |_| {
        let image = Tensor::from_slice(Element::Fp32, [1, 1, 8, 8], &[7.0f32; 64]).unwrap();
        let start = Instant::now();
        block_on(house.ask(&[("image", image)])).unwrap();
        start.elapsed().as_secs_f64() * 1e6
    };
    let took: Vec<f64> = (0..runs).map(ask).skip(runs / 10).collect();
    for (share, name) in [(0.5, "p50"), (0.99, "p99")] {
        let metric = format!("guest_round_trip_{name}_us");
        report.add(Row::alone(metric, "us", quantile(&took, share), took.len()));
    }
}

/// Microseconds of CPU to submit a run; and of time until its output is in host memory.
fn costs(accelerator: &dyn Accelerator, ops: usize, runs: usize) -> (Vec<f64>, Vec<f64>) {
    // Nothing fuses them.
    let chain: Vec<(&str, &[&str])> =
        (0..ops).map(|at| ("Softmax", if at == 0 { &["x"][..] } else { &[""] })).collect();
    let (program, inputs) = loaded(accelerator, &graph(&chain, &[("x", SHAPE)]));
    let one = |_| {
        let (start, before) = (Instant::now(), thread_cpu_us());
        let outputs = block_on(program.run(inputs.clone(), start + Duration::from_secs(60))).unwrap();
        let cpu = thread_cpu_us() - before;
        block_on(accelerator.download(&outputs[0])).unwrap();
        (cpu, start.elapsed().as_secs_f64() * 1e6)
    };
    (0..runs).map(one).skip(runs / 10).unzip()
}

fn thread_cpu_us() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to a value that lives until it returns.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}
