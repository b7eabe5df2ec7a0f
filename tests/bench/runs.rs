//! What a run costs the host: the CPU time of the thread that submits it.

use crate::{
    rates::{graph, loaded},
    report::{Flags, Report, Row, median},
    support::block_on,
};
use burst_host::ports::Accelerator;
use std::{
    fs,
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
    let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    told.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e3
}
