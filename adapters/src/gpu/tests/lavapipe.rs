//! One graph after the other on the driver that computes on the CPU, from tests that are not asynchronous.

use super::{open, open_with};
use crate::{
    conformance::Sketch,
    gpu::{Choice, Family, GpuAccelerator},
};
use burst_host::{
    nouns::{Attribute, Element, Fault, Tensor},
    ports::{Accelerator, Program},
};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub struct Lavapipe {
    runtime: tokio::runtime::Runtime,
    accelerator: GpuAccelerator,
}

impl Lavapipe {
    /// `None` where it is not installed and need not be.
    pub fn open() -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
        let accelerator = runtime.block_on(open("llvmpipe"))?;
        Some(Self { runtime, accelerator })
    }

    /// One for every kernel family; none where it is not installed and need not be.
    pub fn families() -> Vec<Self> {
        Family::ALL.into_iter().filter_map(|family| Self::with(Choice::of(family))).collect()
    }

    /// One with certain kernels.
    pub fn with(kernels: Choice) -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
        let accelerator = runtime.block_on(open_with("llvmpipe", kernels))?;
        Some(Self { runtime, accelerator })
    }

    /// One operator on these inputs; those that are `None` are left out.
    pub fn apply<const N: usize>(
        &self,
        kind: &str,
        inputs: &[Option<Tensor>],
        outputs: &str,
        attributes: [(&str, Attribute); N],
    ) -> Result<Vec<Tensor>, Fault> {
        let name =
            |(index, input): (usize, &Option<Tensor>)| input.as_ref().map_or("_".into(), |_| format!("x{index}"));
        let names: Vec<String> = inputs.iter().enumerate().map(name).collect();
        let mut sketch = Sketch::new(kind);
        for (name, tensor) in names.iter().zip(inputs) {
            if let Some(tensor) = tensor {
                let extents = tensor.spec().shape.extents().iter().map(usize::to_string).collect::<Vec<_>>();
                sketch = sketch.input(name, tensor.spec().element, &extents.join(" "));
            }
        }
        sketch = sketch.op_with(kind, &names.join(" "), outputs, attributes);
        for output in outputs.split_whitespace() {
            sketch = sketch.output(output);
        }
        self.run(sketch, &inputs.iter().flatten().cloned().collect::<Vec<_>>())
    }

    /// A graph on these inputs.
    pub fn run(&self, sketch: Sketch, inputs: &[Tensor]) -> Result<Vec<Tensor>, Fault> {
        let outputs = self.compute(&self.load(sketch)?, inputs)?;
        outputs.iter().map(|output| self.download(output)).collect()
    }

    pub fn load(&self, sketch: Sketch) -> Result<Arc<dyn Program>, Fault> {
        self.runtime.block_on(self.accelerator.load(&sketch.graph()))
    }

    /// Leaves the outputs on the device.
    pub fn compute(&self, program: &Arc<dyn Program>, inputs: &[Tensor]) -> Result<Vec<Tensor>, Fault> {
        self.runtime.block_on(program.run(inputs.to_vec(), Instant::now() + Duration::from_secs(60)))
    }

    pub fn download(&self, tensor: &Tensor) -> Result<Tensor, Fault> {
        self.runtime.block_on(self.accelerator.download(tensor))
    }
}

/// Where random cases begin, unless `BURST_SEED` says otherwise.
const SEED: u64 = 2026;

/// Random cases, the same each time; fewer than elsewhere: each compiles kernels.
pub fn random(cases: u32) -> TestRunner {
    let seed = std::env::var("BURST_SEED").map_or(SEED, |seed| seed.parse().unwrap());
    eprintln!("{cases} random cases, BURST_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

pub fn floats(extents: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_slice(Element::Fp32, extents, values).unwrap()
}

pub fn longs(extents: &[usize], values: &[i64]) -> Tensor {
    Tensor::from_slice(Element::I64, extents, values).unwrap()
}
