//! A graph at fixed shapes, recorded: one run is one submit, and one pass unless something is cleared between its kernels.

use super::{
    device::Gpu,
    doubt::{self, Doubt},
    draft::{Draft, Step, Storage, StorageId},
    memory::{self, Block, Memory},
    places::{Bound, Place, Tensors, places},
    weights::Weights,
};
use burst_host::nouns::{Fault, Spec, Tensor};
use std::{collections::HashMap, num::NonZeroU64, sync::Arc};

/// A plan that can run, from many threads: the queue keeps runs apart.
pub struct Plan {
    /// Cleared before anything else: kernels may touch it, and runs of others were there.
    tails: Vec<Tail>,
    steps: Vec<Ready>,
    outputs: Vec<Output>,
    /// What each check has to say; the word that they leave comes after the outputs.
    whys: Option<Arc<[String]>>,
    /// What bind groups only refer to.
    _held: Vec<Arc<Block>>,
}

struct Output {
    spec: Spec,
    bytes: u64,
    /// Where it is copied from; `None` where a step writes it.
    from: Option<Place>,
}

/// What follows a value in its last few bytes.
#[derive(PartialEq)]
struct Tail {
    place: Place,
    first: u64,
    bytes: u64,
}

enum Ready {
    Clear(Bound),
    Dispatch { pipeline: Arc<wgpu::ComputePipeline>, bindings: Bindings, groups: [u32; 3] },
}

/// What a dispatch is bound to.
enum Bindings {
    /// To memory of the plan alone.
    Fixed(wgpu::BindGroup),
    /// To tensors of each run, too.
    Open { layout: wgpu::BindGroupLayout, parameters: Parameters, bound: Vec<Bound> },
}

/// The parameters of one dispatch, in the buffer of all.
#[derive(Clone)]
struct Parameters {
    block: Arc<Block>,
    offset: u64,
    size: Option<NonZeroU64>,
}

impl Plan {
    /// Gives memory to what a draft needs, and compiles it.
    pub async fn new(draft: &Draft, gpu: &Gpu, memory: &Memory, weights: &Weights) -> Result<Self, Fault> {
        let most = gpu.device.limits().max_compute_workgroups_per_dimension;
        for dispatch in draft.steps.iter().filter_map(Step::dispatch) {
            dispatch.kernel.check_iterations(&dispatch.parameters, gpu.target.choice.family)?;
            dispatch.check_groups(most)?;
        }
        draft.inputs.iter().try_for_each(|spec| memory::bound(gpu, memory::bytes(spec)?).map(drop))?;
        let places = places(draft, gpu, memory, weights).await?;
        let bound = |(storage, place): (&StorageId, &Place)| {
            Ok((*storage, Bound::new(place, &draft.storages[*storage], draft)?))
        };
        let bound = places.iter().map(bound).collect::<Result<_, Fault>>()?;
        let parameters = parameters(draft, gpu, memory).await?;
        let steps = gpu.guarded(|| compile(draft, gpu, &bound, &parameters)).await?;
        gpu.guarded(|| forget(draft, gpu, &places)).await?;
        let output = |(index, (spec, storage)): (usize, &(Spec, StorageId))| {
            let place = &places[storage];
            let written = matches!(place, Place::Result(result) if *result == index);
            let bytes = match draft.storages[*storage] {
                Storage::Temporary { bytes } if written => bytes,
                _ => memory::bytes(spec)?,
            };
            memory::bound(gpu, bytes)?;
            Ok(Output { spec: spec.clone(), bytes, from: (!written).then(|| place.clone()) })
        };
        let outputs = draft.outputs.iter().enumerate().map(output).collect::<Result<_, Fault>>()?;
        let whys = draft.checks.word.as_ref().map(|_| draft.checks.whys.clone().into());
        let held = places.values().filter_map(Place::held).chain([&parameters.0]).cloned().collect();
        Ok(Self { tails: tails(draft, &places), steps, outputs, whys, _held: held })
    }

    /// What an output is.
    pub fn output(&self, index: usize) -> &Spec {
        &self.outputs[index].spec
    }

    /// Submits a run and returns at once; the device does it after everything submitted before.
    pub async fn run(&self, gpu: &Gpu, memory: &Memory, inputs: &[Arc<Block>]) -> Result<Vec<Tensor>, Fault> {
        let mut results = Vec::with_capacity(self.outputs.len() + 1);
        let word = self.whys.as_ref().map(|_| Doubt::WORD_BYTES);
        for bytes in self.outputs.iter().map(|output| output.bytes).chain(word) {
            results.push(memory.block(gpu, bytes).await?);
        }
        let mut doubts = doubt::inherited(gpu, inputs).await?;
        gpu.guarded(|| self.submit(gpu, Tensors { inputs, results: &results })).await?;
        let word = results.get(self.outputs.len()).cloned();
        doubts.extend(word.zip(self.whys.as_ref()).map(|(word, whys)| Doubt::new(word, whys.clone())));
        let tensor = |(output, block): (&Output, Arc<Block>)| {
            block.doubt(doubts.clone());
            Tensor::device(output.spec.clone(), block)
        };
        Ok(self.outputs.iter().zip(results).map(tensor).collect())
    }

    fn submit(&self, gpu: &Gpu, tensors: Tensors<'_>) {
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for Tail { place, first, bytes } in &self.tails {
            encoder.clear_buffer(place.buffer(tensors), *first, Some(*bytes));
        }
        for steps in self.steps.chunk_by(|a, b| a.is_dispatch() == b.is_dispatch()) {
            record(&mut encoder, steps, gpu, tensors);
        }
        for (output, to) in self.outputs.iter().zip(tensors.results) {
            if let Some(from) = &output.from {
                encoder.copy_buffer_to_buffer(from.buffer(tensors), 0, &to.buffer, 0, memory::extent(output.bytes));
            }
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
fn record(encoder: &mut wgpu::CommandEncoder, steps: &[Ready], gpu: &Gpu, tensors: Tensors<'_>) {
    let mut pass = None;
    for step in steps {
        match step {
            Ready::Clear(bound) => encoder.clear_buffer(bound.place.buffer(tensors), 0, Some(bound.size)),
            Ready::Dispatch { pipeline, bindings, groups: [x, y, z] } => {
                let pass = pass.get_or_insert_with(|| {
                    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime()
                });
                pass.set_pipeline(pipeline);
                match bindings {
                    Bindings::Fixed(group) => pass.set_bind_group(0, group, &[]),
                    Bindings::Open { layout, parameters, bound } => {
                        pass.set_bind_group(0, &bind(gpu, layout, parameters, bound, tensors), &[]);
                    }
                }
                pass.dispatch_workgroups(*x, *y, *z);
            }
        }
    }
}

/// Nothing of what others had in memory that a plan keeps is there when it runs.
fn forget(draft: &Draft, gpu: &Gpu, places: &HashMap<StorageId, Place>) {
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let temporary = |storage: &StorageId| matches!(draft.storages[*storage], Storage::Temporary { .. });
    let kept = places.iter().filter(|(storage, _)| temporary(storage)).filter_map(|(_, place)| place.held());
    let blocks: HashMap<_, _> = kept.map(|block| (Arc::as_ptr(block), block)).collect();
    blocks.values().for_each(|block| encoder.clear_buffer(&block.buffer, 0, None));
    gpu.submit(encoder.finish());
}

/// Of all values that are written. Those of inputs and constants were written with them.
fn tails(draft: &Draft, places: &HashMap<StorageId, Place>) -> Vec<Tail> {
    let mut tails = Vec::new();
    for (storage, place) in places {
        let Storage::Temporary { bytes } = draft.storages[*storage] else { continue };
        let first = bytes / 4 * 4;
        let tail = Tail { place: place.clone(), first, bytes: memory::extent(bytes) - first };
        if tail.bytes > 0 && !tails.contains(&tail) {
            tails.push(tail);
        }
    }
    tails
}

fn compile(
    draft: &Draft,
    gpu: &Gpu,
    bound: &HashMap<StorageId, Bound>,
    (block, offsets): &(Arc<Block>, Vec<u64>),
) -> Vec<Ready> {
    let mut offsets = offsets.iter().copied();
    let none = Tensors { inputs: &[], results: &[] };
    let ready = |step: &Step| {
        let Some(dispatch) = step.dispatch() else { return Ready::Clear(bound[&step.write()].clone()) };
        let size = NonZeroU64::new(4 * dispatch.parameters.len() as u64);
        let parameters = Parameters { block: block.clone(), offset: offsets.next().unwrap_or_default(), size };
        let touched = dispatch.reads.iter().chain([&dispatch.write]);
        let bound: Vec<Bound> = touched.map(|storage| bound[storage].clone()).collect();
        let pipeline = gpu.kernels.pipeline(&dispatch.kernel);
        let layout = pipeline.get_bind_group_layout(0);
        let bindings = if bound.iter().all(|bound| bound.place.held().is_some()) {
            Bindings::Fixed(bind(gpu, &layout, &parameters, &bound, none))
        } else {
            Bindings::Open { layout, parameters, bound }
        };
        Ready::Dispatch { pipeline, bindings, groups: dispatch.groups }
    };
    draft.steps.iter().map(ready).collect()
}

fn bind(
    gpu: &Gpu,
    layout: &wgpu::BindGroupLayout,
    parameters: &Parameters,
    bound: &[Bound],
    tensors: Tensors<'_>,
) -> wgpu::BindGroup {
    let Parameters { block, offset, size } = parameters;
    let first = wgpu::BufferBinding { buffer: &block.buffer, offset: *offset, size: *size };
    let first = wgpu::BindingResource::Buffer(first);
    let bound = bound.iter().map(|bound| bound.binding(tensors));
    let entry = |(binding, resource)| wgpu::BindGroupEntry { binding, resource };
    let entries: Vec<_> = (0..).zip([first].into_iter().chain(bound)).map(entry).collect();
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
}

/// The parameters of all dispatches in one block, and where each begins.
async fn parameters(draft: &Draft, gpu: &Gpu, memory: &Memory) -> Result<(Arc<Block>, Vec<u64>), Fault> {
    let grain = gpu.device.limits().min_storage_buffer_offset_alignment as usize;
    let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
    for dispatch in draft.steps.iter().filter_map(Step::dispatch) {
        bytes.resize(bytes.len().next_multiple_of(grain), 0);
        offsets.push(bytes.len() as u64);
        bytes.extend_from_slice(bytemuck::cast_slice(&dispatch.parameters));
    }
    let block = memory.block(gpu, bytes.len() as u64).await?;
    gpu.guarded(|| gpu.queue.write_buffer(&block.buffer, 0, &bytes)).await?;
    Ok((block, offsets))
}
