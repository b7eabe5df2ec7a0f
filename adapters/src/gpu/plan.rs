//! A graph at fixed shapes: what is dispatched, in which order, on which memory.

use super::{
    chain::Chain,
    device::Gpu,
    doubt::{self, Checks, Doubt},
    fuse, hoist,
    kernels::Kernel,
    memory::{self, Block, Memory},
    product::Product,
    weights::Weights,
};
use burst_host::nouns::{Fault, Spec, Tensor};
use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

/// A block of memory while a plan is made.
pub type StorageId = usize;

/// What a block of memory holds.
#[derive(Clone)]
pub enum Storage {
    /// An input of the plan.
    Input(usize),
    /// A weight, or what was folded to one.
    Constant(Tensor),
    /// What a dispatch writes.
    Temporary { bytes: u64 },
    /// What was computed from constants when the plan was made.
    Held(Arc<Block>),
    /// What begins as this, and is changed by each run.
    State(Tensor),
}

/// One kernel on some blocks.
#[derive(Clone)]
pub struct Dispatch {
    pub kernel: Kernel,
    pub parameters: Vec<u32>,
    /// Blocks that are read, in the order of their bindings; the one that is written is bound last.
    pub reads: Vec<StorageId>,
    pub write: StorageId,
    pub groups: [u32; 3],
}

/// What is done on the device.
pub enum Step {
    /// Sets a block to zero.
    Clear(StorageId),
    Dispatch(Dispatch),
    /// A dispatch that may still grow.
    Chain(Chain),
    /// A dispatch that may still take in what comes after it.
    Product(Box<Product>),
}

/// A plan that has no memory yet.
#[derive(Default)]
pub struct Draft {
    pub storages: Vec<Storage>,
    pub inputs: Vec<Spec>,
    pub steps: Vec<Step>,
    pub outputs: Vec<(Spec, StorageId)>,
    pub checks: Checks,
}

/// A plan that can run, from many threads: the queue keeps runs apart.
pub struct Plan {
    inputs: Vec<(u64, Option<Arc<Block>>)>,
    steps: Vec<Ready>,
    outputs: Vec<Output>,
    /// The word that checks leave, and what each has to say.
    checks: Option<(Arc<Block>, Arc<[String]>)>,
    /// What bind groups only refer to.
    _held: Vec<Arc<Block>>,
}

struct Output {
    spec: Spec,
    bytes: u64,
    from: Arc<Block>,
}

enum Ready {
    Clear(Arc<Block>),
    Dispatch { pipeline: Arc<wgpu::ComputePipeline>, bindings: wgpu::BindGroup, groups: [u32; 3] },
}

impl Step {
    pub fn reads(&self) -> Vec<StorageId> {
        match self {
            Self::Clear(_) => Vec::new(),
            Self::Dispatch(dispatch) => dispatch.reads.clone(),
            Self::Chain(chain) => chain.operands().iter().map(|operand| operand.storage).collect(),
            Self::Product(product) => product.operands().map(|operand| operand.storage).to_vec(),
        }
    }

    pub fn write(&self) -> StorageId {
        match self {
            Self::Clear(storage) => *storage,
            Self::Dispatch(dispatch) => dispatch.write,
            Self::Chain(chain) => chain.y.storage,
            Self::Product(product) => product.y.storage,
        }
    }

    /// Its kernel and what that is given; `None` for one that only clears.
    pub fn dispatch(&self) -> Option<Cow<'_, Dispatch>> {
        match self {
            Self::Clear(_) => None,
            Self::Dispatch(dispatch) => Some(Cow::Borrowed(dispatch)),
            Self::Chain(chain) => Some(Cow::Owned(chain.dispatch())),
            Self::Product(product) => Some(Cow::Owned(product.dispatch())),
        }
    }
}

impl Draft {
    /// Drops what no output needs, joins what can be, does once what never changes, and compiles the rest.
    pub async fn finish(mut self, gpu: &Gpu, memory: &Memory, weights: &Weights) -> Result<Plan, Fault> {
        self.prune();
        fuse::fuse(&mut self);
        hoist::hoist(&mut self, gpu, memory, weights).await?;
        self.assemble(gpu, memory, weights).await
    }

    /// Gives memory to what is there, and compiles it.
    pub async fn assemble(self, gpu: &Gpu, memory: &Memory, weights: &Weights) -> Result<Plan, Fault> {
        for dispatch in self.steps.iter().filter_map(Step::dispatch) {
            dispatch.kernel.check_iterations(&dispatch.parameters, gpu.target.choice.family)?;
        }
        let blocks = self.allocate(gpu, memory, weights).await?;
        let steps = gpu.guarded(|| self.compile(gpu, &blocks)).await?;
        let input = |(index, spec): (usize, &Spec)| {
            let find = |storage: &Storage| matches!(storage, Storage::Input(input) if *input == index);
            let storage = self.storages.iter().position(find);
            Ok((memory::bytes(spec)?, storage.and_then(|storage| blocks.get(&storage).cloned())))
        };
        let inputs = self.inputs.iter().enumerate().map(input).collect::<Result<_, Fault>>()?;
        let output = |(spec, storage): &(Spec, StorageId)| {
            Ok(Output { spec: spec.clone(), bytes: memory::bytes(spec)?, from: blocks[storage].clone() })
        };
        let outputs = self.outputs.iter().map(output).collect::<Result<_, Fault>>()?;
        let word = self.checks.word.as_ref().and_then(|word| blocks.get(&word.storage).cloned());
        let checks = word.map(|word| (word, self.checks.whys.into()));
        Ok(Plan { inputs, steps, outputs, checks, _held: blocks.into_values().collect() })
    }

    /// Drops what no output needs.
    pub fn prune(&mut self) {
        let mut needed: Vec<bool> = vec![false; self.storages.len()];
        self.lasting().for_each(|storage| needed[storage] = true);
        let mut kept = Vec::new();
        for step in std::mem::take(&mut self.steps).into_iter().rev() {
            if needed[step.write()] {
                step.reads().iter().for_each(|&storage| needed[storage] = true);
                kept.push(step);
            }
        }
        kept.reverse();
        self.steps = kept;
    }

    /// Blocks whose contents are no longer needed hold what comes later.
    async fn allocate(
        &self,
        gpu: &Gpu,
        memory: &Memory,
        weights: &Weights,
    ) -> Result<HashMap<StorageId, Arc<Block>>, Fault> {
        let last = self.last_uses();
        let mut blocks: HashMap<StorageId, Arc<Block>> = HashMap::new();
        let mut free: Vec<Arc<Block>> = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            for storage in step.reads().into_iter().chain([step.write()]) {
                if let Entry::Vacant(place) = blocks.entry(storage) {
                    place.insert(self.block(storage, &mut free, gpu, memory, weights).await?);
                }
            }
            for storage in step.reads().into_iter().chain([step.write()]) {
                let ends =
                    last.get(&storage) == Some(&at) && matches!(self.storages[storage], Storage::Temporary { .. });
                let block = &blocks[&storage];
                if ends && !free.iter().any(|other| Arc::ptr_eq(other, block)) {
                    free.push(block.clone());
                }
            }
        }
        for (_, storage) in &self.outputs {
            if let Entry::Vacant(place) = blocks.entry(*storage) {
                place.insert(self.block(*storage, &mut free, gpu, memory, weights).await?);
            }
        }
        Ok(blocks)
    }

    /// What is read once everything is done.
    fn lasting(&self) -> impl Iterator<Item = StorageId> {
        let outputs = self.outputs.iter().map(|(_, storage)| *storage);
        outputs.chain(self.checks.word.iter().map(|word| word.storage))
    }

    fn last_uses(&self) -> HashMap<StorageId, usize> {
        let mut last = HashMap::new();
        for (at, step) in self.steps.iter().enumerate() {
            for storage in step.reads().into_iter().chain([step.write()]) {
                last.insert(storage, at);
            }
        }
        last.extend(self.lasting().map(|storage| (storage, usize::MAX)));
        last
    }

    async fn block(
        &self,
        storage: StorageId,
        free: &mut Vec<Arc<Block>>,
        gpu: &Gpu,
        memory: &Memory,
        weights: &Weights,
    ) -> Result<Arc<Block>, Fault> {
        let bytes = match &self.storages[storage] {
            Storage::Held(block) => return Ok(block.clone()),
            Storage::Constant(tensor) | Storage::State(tensor) => return weights.block(tensor, gpu, memory).await,
            Storage::Input(index) => return memory.block(gpu, memory::bytes(&self.inputs[*index])?).await,
            Storage::Temporary { bytes } => *bytes,
        };
        let fitting = free.iter().enumerate().filter(|(_, block)| block.buffer.size() >= bytes);
        match fitting.min_by_key(|(_, block)| block.buffer.size()).map(|(index, _)| index) {
            Some(index) => Ok(free.swap_remove(index)),
            None => memory.block(gpu, bytes).await,
        }
    }

    fn compile(&self, gpu: &Gpu, blocks: &HashMap<StorageId, Arc<Block>>) -> Vec<Ready> {
        let (parameters, offsets) = self.parameters(gpu);
        let mut offsets = offsets.into_iter();
        let ready = |step: &Step| match step.dispatch() {
            None => Ready::Clear(blocks[&step.write()].clone()),
            Some(dispatch) => {
                let pipeline = gpu.kernels.pipeline(&dispatch.kernel);
                let size = std::num::NonZeroU64::new(4 * dispatch.parameters.len() as u64);
                let first =
                    wgpu::BufferBinding { buffer: &parameters, offset: offsets.next().unwrap_or_default(), size };
                let bound = dispatch.reads.iter().chain([&dispatch.write]);
                let bound = bound.map(|storage| blocks[storage].buffer.as_entire_binding());
                let resources = [wgpu::BindingResource::Buffer(first)].into_iter().chain(bound);
                let entry = |(binding, resource)| wgpu::BindGroupEntry { binding, resource };
                let entries: Vec<_> = (0..).zip(resources).map(entry).collect();
                let bindings = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: None,
                    layout: &pipeline.get_bind_group_layout(0),
                    entries: &entries,
                });
                Ready::Dispatch { pipeline, bindings, groups: dispatch.groups }
            }
        };
        self.steps.iter().map(ready).collect()
    }

    /// The parameters of all dispatches in one buffer, and where each begins.
    fn parameters(&self, gpu: &Gpu) -> (wgpu::Buffer, Vec<u64>) {
        let grain = gpu.device.limits().min_storage_buffer_offset_alignment as usize;
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        for dispatch in self.steps.iter().filter_map(Step::dispatch) {
            bytes.resize(bytes.len().next_multiple_of(grain), 0);
            offsets.push(bytes.len() as u64);
            bytes.extend_from_slice(bytemuck::cast_slice(&dispatch.parameters));
        }
        let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: bytes.len().max(4) as u64,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        gpu.queue.write_buffer(&buffer, 0, &bytes);
        (buffer, offsets)
    }
}

impl Plan {
    /// What an output is.
    pub fn output(&self, index: usize) -> &Spec {
        &self.outputs[index].spec
    }

    /// Submits a run and returns at once; the device does it after everything submitted before.
    pub async fn run(&self, gpu: &Gpu, memory: &Memory, inputs: &[Arc<Block>]) -> Result<Vec<Tensor>, Fault> {
        let mut results = Vec::with_capacity(self.outputs.len());
        for output in &self.outputs {
            results.push(memory.block(gpu, output.bytes).await?);
        }
        let word = match &self.checks {
            Some((word, _)) => Some(memory.block(gpu, word.buffer.size()).await?),
            None => None,
        };
        let mut doubts = doubt::inherited(gpu, inputs).await?;
        gpu.guarded(|| self.submit(gpu, inputs, &results, word.as_deref())).await?;
        doubts.extend(word.zip(self.checks.as_ref()).map(|(word, (_, whys))| Doubt::new(word, whys.clone())));
        for block in &results {
            block.doubt(doubts.clone());
        }
        let tensor = |(output, block): (&Output, Arc<Block>)| Tensor::device(output.spec.clone(), block);
        Ok(self.outputs.iter().zip(results).map(tensor).collect())
    }

    fn submit(&self, gpu: &Gpu, inputs: &[Arc<Block>], results: &[Arc<Block>], word: Option<&Block>) {
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for ((bytes, to), from) in self.inputs.iter().zip(inputs) {
            if let Some(to) = to {
                encoder.copy_buffer_to_buffer(&from.buffer, 0, &to.buffer, 0, *bytes);
            }
        }
        for steps in self.steps.chunk_by(|a, b| a.is_dispatch() == b.is_dispatch()) {
            record(&mut encoder, steps);
        }
        for (output, to) in self.outputs.iter().zip(results) {
            encoder.copy_buffer_to_buffer(&output.from.buffer, 0, &to.buffer, 0, output.bytes);
        }
        if let Some(((from, _), to)) = self.checks.as_ref().zip(word) {
            encoder.copy_buffer_to_buffer(&from.buffer, 0, &to.buffer, 0, Doubt::WORD_BYTES);
        }
        gpu.submit(encoder.finish());
    }
}

impl Ready {
    fn is_dispatch(&self) -> bool {
        matches!(self, Self::Dispatch { .. })
    }
}

/// Dispatches in one pass.
fn record(encoder: &mut wgpu::CommandEncoder, steps: &[Ready]) {
    let mut pass = None;
    for step in steps {
        match step {
            Ready::Clear(block) => encoder.clear_buffer(&block.buffer, 0, None),
            Ready::Dispatch { pipeline, bindings, groups: [x, y, z] } => {
                let pass = pass.get_or_insert_with(|| {
                    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime()
                });
                pass.set_pipeline(pipeline);
                pass.set_bind_group(0, bindings, &[]);
                pass.dispatch_workgroups(*x, *y, *z);
            }
        }
    }
}
