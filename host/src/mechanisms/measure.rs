//! How long a program takes here: what places are chosen by.

use crate::{
    nouns::{Fault, Measured, Tensor},
    ports::{Accelerator, Program},
};
use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

/// Runs before the first one that counts: plans are made, caches filled.
const WARM_UPS: usize = 3;
/// For one run.
const DEADLINE: Duration = Duration::from_secs(600);

/// Runs a program again and again, at most so often and not much longer than `window`; its last outputs come along. A
/// run has ended when its smallest output can be read: a device may go on computing after the call.
pub async fn measure(
    program: &dyn Program,
    accelerator: &dyn Accelerator,
    inputs: Vec<Tensor>,
    runs: NonZeroUsize,
    window: Duration,
) -> Result<(Measured, Vec<Tensor>), Fault> {
    let mut times = Vec::new();
    let until = Instant::now() + window;
    let mut outputs = Vec::new();
    for run in 0..WARM_UPS + runs.get() {
        let started = Instant::now();
        outputs = program.run(inputs.clone(), started + DEADLINE).await?;
        if let Some(smallest) = outputs.iter().min_by_key(|output| output.spec().shape.elements()) {
            accelerator.download(smallest).await?;
        }
        if run >= WARM_UPS || started >= until {
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
        if !times.is_empty() && Instant::now() >= until {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times.get((part * (times.len() - 1) as f64).round() as usize).copied().unwrap_or_default();
    Ok((Measured { compute_us: at(0.5), compute_p90_us: at(0.9), runs: times.len() }, outputs))
}
