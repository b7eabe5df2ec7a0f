//! Chooses a device's kernels by measuring a few, once; what was chosen is kept on disk.

use super::{
    device::Gpu,
    entry::Entry,
    family::Family,
    halving::Halving,
    memory,
    planner::{Halt, Placed, Planner, Value},
    tiling::TILE_MIN,
    weights::Weights,
};
use burst_host::{
    mechanisms::cache::Cache,
    nouns::{Attribute, Element, Fault, Ledger, Spec, Tensor},
};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long runs of a candidate are measured, and how many lie between two looks at the clock.
const BUDGET: Duration = Duration::from_millis(20);
const RUNS: usize = 4;
/// Rows, columns and steps of the product that is measured, on GPUs and on the CPU.
const SIDE: usize = 1024;
const CPU_SIDE: usize = 256;
/// Channels, and rows and columns, of the convolution that is measured: one of ResNet-50's.
const CHANNELS: usize = 128;
const PIXELS: usize = 28;

/// What `shared.wgsl` takes of a workgroup's memory.
const SHARED_BYTES: u32 = 16_384;

/// Kernels of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub family: Family,
    /// Rows and columns of the tile of a product that a workgroup computes in its memory: 64 or 128.
    pub tile: usize,
    pub halving: Halving,
    /// Whether convolutions of 3 by 3 go by Winograd's way.
    pub winograd: bool,
}

impl Choice {
    /// The one that runs on every device of the family.
    pub fn of(family: Family) -> Self {
        Self { family, tile: TILE_MIN, halving: Halving::Widened, winograd: true }
    }

    /// The one that fits a device before any are measured. Native halves are for GPUs, though not measured on one: on
    /// lavapipe products of them take a fifth longer than those of halves that are widened.
    pub fn fitting(info: &wgpu::AdapterInfo, features: wgpu::Features) -> Self {
        let family = Family::of(info, features);
        let native = family == Family::Shared && features.contains(wgpu::Features::SHADER_F16);
        Self { halving: if native { Halving::Native } else { Halving::Widened }, ..Self::of(family) }
    }

    /// The same in both ways, the likelier first.
    fn with_and_without_winograd(self) -> [Self; 2] {
        [true, false].map(|winograd| Self { winograd, ..self })
    }

    /// The same with halves widened.
    pub fn widening(self) -> Self {
        Self { halving: Halving::Widened, ..self }
    }

    /// Whether a device computes with them at all.
    pub fn runs_on(self, info: &wgpu::AdapterInfo, device: &wgpu::Device) -> bool {
        let limits = device.limits();
        let known = [TILE_MIN, 2 * TILE_MIN].contains(&self.tile);
        let invocations = (self.tile / 8).pow(2) as u32 <= limits.max_compute_invocations_per_workgroup;
        let room = SHARED_BYTES <= limits.max_compute_workgroup_storage_size;
        let halves = self.halving == Halving::Widened || device.features().contains(wgpu::Features::SHADER_F16);
        known
            && halves
            && self.family.runs_on(info, device.features())
            && (self.family != Family::Shared || (invocations && room))
    }

    /// What is worth measuring, the likeliest first.
    fn candidates(info: &wgpu::AdapterInfo, features: wgpu::Features) -> Vec<Self> {
        let fitting = Self::fitting(info, features);
        let all = match fitting.family {
            Family::Apart => vec![fitting],
            Family::Together => [Family::Together, Family::Apart].map(|family| Self { family, ..fitting }).to_vec(),
            Family::Shared => [TILE_MIN, 2 * TILE_MIN].map(|tile| Self { tile, ..fitting }).to_vec(),
        };
        all.into_iter().flat_map(Self::with_and_without_winograd).collect()
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, tile, halving, winograd } = self;
        f.write_str(family.name())?;
        if *family == Family::Shared {
            write!(f, " of {tile} by {tile}")?;
        }
        f.write_str(if *halving == Halving::Native { ", native halves" } else { "" })?;
        f.write_str(if *winograd { ", Winograd's convolutions" } else { "" })
    }
}

/// Chooses the fastest kernels; those that it has where there is nothing to choose, or nothing can be measured.
pub async fn tune(gpu: &mut Gpu, info: &wgpu::AdapterInfo, disk: Option<&Cache>) {
    let mut candidates = Choice::candidates(info, gpu.device.features());
    candidates.retain(|choice| choice.runs_on(info, &gpu.device));
    let on_cpu = info.device_type == wgpu::DeviceType::Cpu;
    // On the CPU one is about as good as the other: not worth measuring at every start.
    if candidates.len() < 2 || (on_cpu && disk.is_none()) {
        return;
    }
    let entry = disk.map(|disk| Entry::new(disk, "tuning", info));
    let kept = entry.as_ref().and_then(|entry| parse(&entry.get()?, &candidates));
    if let Some(choice) = kept {
        return gpu.choose(choice);
    }
    let before = gpu.target.choice;
    match fastest(gpu, &candidates, if on_cpu { CPU_SIDE } else { SIDE }).await {
        Ok(choice) => {
            gpu.choose(choice);
            tracing::info!(device = %gpu.description, kernels = %choice, "the fastest kernels were measured");
            if let Some(entry) = entry {
                entry.put(choice.to_string().as_bytes());
            }
        }
        Err(fault) => {
            gpu.choose(before);
            tracing::warn!(%fault, kernels = %before, "kernels can't be measured");
        }
    }
}

/// What was chosen for an adapter before.
pub fn kept(disk: &Cache, info: &wgpu::AdapterInfo, features: wgpu::Features) -> Option<Choice> {
    parse(&Entry::new(disk, "tuning", info).get()?, &Choice::candidates(info, features))
}

fn parse(bytes: &[u8], candidates: &[Choice]) -> Option<Choice> {
    candidates.iter().copied().find(|candidate| candidate.to_string().as_bytes() == bytes)
}

async fn fastest(gpu: &mut Gpu, candidates: &[Choice], side: usize) -> Result<Choice, Fault> {
    let alike: Vec<_> = candidates.iter().copied().filter(|choice| choice.winograd).collect();
    let best = fastest_at(gpu, &alike, |planner| product(planner, side)).await?;
    fastest_at(gpu, &best.with_and_without_winograd(), convolution).await
}

/// What is measured.
type Work = Result<Value, Halt>;

async fn fastest_at(
    gpu: &mut Gpu,
    candidates: &[Choice],
    work: impl Fn(&mut Planner) -> Work,
) -> Result<Choice, Fault> {
    let mut best = (candidates[0], f64::INFINITY);
    for &choice in candidates {
        gpu.choose(choice);
        let seconds = seconds(gpu, &work).await?;
        tracing::debug!(kernels = %choice, seconds, "measured");
        if seconds < best.1 {
            best = (choice, seconds);
        }
    }
    Ok(best.0)
}

fn given<const N: usize>(planner: &mut Planner, extents: [usize; N]) -> Work {
    let spec = Spec::new(Element::Fp32, extents).map_err(|error| Fault::TooLarge(error.to_string()))?;
    Ok(Value::Placed(Placed { spec: spec.clone(), storage: planner.input(spec) }))
}

/// A product of square matrices.
fn product(planner: &mut Planner, side: usize) -> Work {
    let factors = vec![given(planner, [side; 2])?, given(planner, [side; 2])?];
    planner.apply("MatMul", Vec::new(), factors)
}

/// A convolution of 3 by 3.
fn convolution(planner: &mut Planner) -> Work {
    let x = given(planner, [1, CHANNELS, PIXELS, PIXELS])?;
    let extents = [CHANNELS, CHANNELS, 3, 3];
    let weights = Tensor::from_slice(Element::Fp32, extents, &vec![0.5f32; extents.iter().product()]);
    let weights = weights.map_err(|error| Fault::Invalid(error.to_string()))?;
    planner.apply("Conv", vec![("pads".into(), Attribute::Ints(vec![1; 4]))], vec![x, Value::Known(weights)])
}

/// Seconds of a run, the best of a few.
async fn seconds(gpu: &Gpu, work: impl Fn(&mut Planner) -> Work) -> Result<f64, Fault> {
    let memory = gpu.memory(&Ledger::new("tuning", usize::MAX));
    let mut planner = Planner::new(17, gpu.target, Arc::default());
    let result = work(&mut planner).and_then(|result| planner.place(&result)).map_err(Halt::fault)?;
    let mut inputs = Vec::new();
    for spec in &planner.draft.inputs {
        inputs.push(memory.block(gpu, memory::bytes(spec)?).await?);
    }
    planner.draft.outputs.push((result.spec, result.storage));
    let plan = planner.draft.finish(gpu, &memory, &Weights::default()).await?;
    let (mut best, mut end) = (f64::INFINITY, None);
    while end.is_none_or(|end| Instant::now() < end) {
        let start = Instant::now();
        for _ in 0..RUNS {
            plan.run(gpu, &memory, &inputs).await?;
        }
        gpu.settle().await?;
        // The first ones only warm up.
        if end.is_some() {
            best = best.min(start.elapsed().as_secs_f64() / RUNS as f64);
        }
        end = end.or_else(|| Some(Instant::now() + BUDGET));
    }
    Ok(best)
}
