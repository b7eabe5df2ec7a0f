//! A model loaded on the GPU: its weights once, a trail of plans for each set of shapes.

use super::{
    GpuAccelerator,
    device::Gpu,
    lower,
    memory::{Block, Memory},
    plan::Weights,
    recent::Recent,
    trail::{RECENT_MAX, Start, Then, Trail},
    transfer,
};
use async_trait::async_trait;
use burst_host::{
    nouns::{Extent, Fault, Graph, Op, Port, Signature, Spec, Tensor},
    ports::{Device, Program},
};
use bytes::Bytes;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Times that a run may stop to read numbers back.
const STOPS_MAX: usize = 256;

/// A loaded graph.
pub struct GpuProgram {
    pub(super) gpu: Arc<Gpu>,
    pub(super) memory: Arc<Memory>,
    pub(super) graph: Graph,
    pub(super) weights: Weights,
    signature: Signature,
    /// Inputs whose numbers decide over shapes; learned from the first plan.
    by_value: Mutex<BTreeSet<usize>>,
    trails: Recent<Key, Trail>,
}

/// What a trail was made for.
#[derive(PartialEq, Eq, Clone)]
pub(super) struct Key {
    pub specs: Vec<Spec>,
    /// Contents of the inputs that decide over shapes.
    pub values: Vec<(usize, Bytes)>,
}

impl GpuProgram {
    /// Checks that every operator is known here, and makes the plan of a graph whose extents are.
    pub async fn load(accelerator: &GpuAccelerator, graph: Graph) -> Result<Self, Fault> {
        supported(&graph.ops)?;
        let mut program = Self {
            gpu: accelerator.gpu.clone(),
            memory: accelerator.memory.clone(),
            signature: graph.signature(),
            graph,
            weights: Weights::default(),
            by_value: Mutex::default(),
            trails: Recent::new(RECENT_MAX),
        };
        if let Some(specs) = fixed(&program.graph.inputs) {
            program.prepare(specs).await?;
        }
        Ok(program)
    }

    async fn prepare(&mut self, specs: Vec<Spec>) -> Result<(), Fault> {
        let key = Key { specs, values: Vec::new() };
        match Trail::first(self, &key).await? {
            Start::Made(trail) => {
                for (port, spec) in self.signature.outputs.iter_mut().zip(trail.specs()) {
                    port.element = Some(spec.element);
                    port.shape = Some(spec.shape.extents().iter().map(|&extent| Extent::Fixed(extent)).collect());
                }
                self.trails.keep(key, *trail);
            }
            Start::NeedsInput(index) => drop(self.needs(index)),
        }
        Ok(())
    }

    fn needs(&self, input: usize) -> bool {
        self.by_value.lock().unwrap_or_else(PoisonError::into_inner).insert(input)
    }

    async fn trail(&self, inputs: &[Tensor]) -> Result<Arc<Trail>, Fault> {
        loop {
            let wanted = self.by_value.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let key = self.key(inputs, &wanted).await?;
            if let Some(trail) = self.trails.get(&key) {
                return Ok(trail);
            }
            match Trail::first(self, &key).await? {
                Start::Made(trail) => return Ok(self.trails.keep(key, *trail)),
                Start::NeedsInput(index) => drop(self.needs(index)),
            }
        }
    }

    async fn key(&self, inputs: &[Tensor], wanted: &BTreeSet<usize>) -> Result<Key, Fault> {
        let mut values = Vec::new();
        for &index in wanted {
            let host = transfer::download(&self.gpu, &inputs[index]).await?;
            values.push((index, host.contents().cloned().unwrap_or_default()));
        }
        Ok(Key { specs: inputs.iter().map(|input| input.spec().clone()).collect(), values })
    }

    async fn blocks(&self, tensors: &[Tensor]) -> Result<Vec<Arc<Block>>, Fault> {
        let mut blocks = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            blocks.push(transfer::place(&self.gpu, &self.memory, tensor).await?);
        }
        Ok(blocks)
    }
}

/// The specs of inputs that are all fixed.
fn fixed(ports: &[Port]) -> Option<Vec<Spec>> {
    let extent = |extent: &Extent| if let Extent::Fixed(extent) = extent { Some(*extent) } else { None };
    let spec = |port: &Port| {
        let extents: Option<Vec<usize>> = port.shape.as_ref()?.iter().map(extent).collect();
        Spec::new(port.element?, extents?).ok()
    };
    ports.iter().map(spec).collect()
}

/// `Unsupported` with the first operator that is not known here.
fn supported(ops: &[Op]) -> Result<(), Fault> {
    for op in ops {
        lower::known(op)?;
        for graph in lower::branches(op) {
            supported(&graph.ops)?;
        }
    }
    Ok(())
}

#[async_trait]
impl Program for GpuProgram {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn device(&self) -> &Device {
        &self.gpu.description
    }

    async fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> Result<Vec<Tensor>, Fault> {
        self.signature.fits(&inputs)?;
        in_time(deadline)?;
        let mut trail = self.trail(&inputs).await?;
        let mut given = self.blocks(&inputs).await?;
        for _ in 0..STOPS_MAX {
            in_time(deadline)?;
            let computed = trail.plan.run(&self.gpu, &self.memory, &given).await?;
            match &trail.then {
                Then::End(outputs) => return Ok(outputs.iter().map(|output| output.of(&computed)).collect()),
                Then::Read(stop) => {
                    let numbers = transfer::download(&self.gpu, &computed[0]).await?;
                    given = self.blocks(&computed[1..]).await?;
                    trail = stop.next(self, numbers).await?;
                }
            }
        }
        Err(Fault::Unsupported(format!("more than {STOPS_MAX} shapes that are computed from data, on the GPU")))
    }
}

fn in_time(deadline: Instant) -> Result<(), Fault> {
    if Instant::now() < deadline { Ok(()) } else { Err(Fault::TimedOut) }
}
