//! A graph at fixed shapes, recorded: one run is one pass and one submit.

use super::{
    device::Gpu,
    doubt::{self, Doubt},
    draft::{Draft, Step, Storage, StorageId},
    memory::{self, Block, Memory},
    places::{Place, Tensors, places},
    weights::Weights,
};
use burst_host::nouns::{Fault, Spec, Tensor};
use std::{collections::HashMap, num::NonZeroU64, sync::Arc};

/// A plan that can run, from many threads: the queue keeps runs apart.
pub struct Plan {
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

enum Ready {
    Clear(Place),
    Dispatch { pipeline: Arc<wgpu::ComputePipeline>, bindings: Bindings, groups: [u32; 3] },
}

/// What a dispatch is bound to.
enum Bindings {
    /// To memory of the plan alone.
    Fixed(wgpu::BindGroup),
    /// To tensors of each run, too.
    Open { layout: wgpu::BindGroupLayout, parameters: Parameters, places: Vec<Place> },
}

/// The parameters of one dispatch, in the buffer of all.
#[derive(Clone)]
struct Parameters {
    buffer: wgpu::Buffer,
    offset: u64,
    size: Option<NonZeroU64>,
}

impl Plan {
    /// Gives memory to what a draft needs, and compiles it.
    pub async fn new(draft: &Draft, gpu: &Gpu, memory: &Memory, weights: &Weights) -> Result<Self, Fault> {
        for dispatch in draft.steps.iter().filter_map(Step::dispatch) {
            dispatch.kernel.check_iterations(&dispatch.parameters, gpu.target.choice.family)?;
        }
        draft.inputs.iter().try_for_each(|spec| memory::bound(gpu, memory::bytes(spec)?).map(drop))?;
        let places = places(draft, gpu, memory, weights).await?;
        let steps = gpu.guarded(|| compile(draft, gpu, &places)).await?;
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
        let held = places.values().filter_map(Place::held).cloned().collect();
        Ok(Self { steps, outputs, whys, _held: held })
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
        for steps in self.steps.chunk_by(|a, b| a.is_dispatch() == b.is_dispatch()) {
            record(&mut encoder, steps, gpu, tensors);
        }
        for (output, to) in self.outputs.iter().zip(tensors.results) {
            if let Some(from) = &output.from {
                encoder.copy_buffer_to_buffer(from.buffer(tensors), 0, &to.buffer, 0, output.bytes);
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
            Ready::Clear(place) => encoder.clear_buffer(place.buffer(tensors), 0, None),
            Ready::Dispatch { pipeline, bindings, groups: [x, y, z] } => {
                let pass = pass.get_or_insert_with(|| {
                    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime()
                });
                pass.set_pipeline(pipeline);
                match bindings {
                    Bindings::Fixed(group) => pass.set_bind_group(0, group, &[]),
                    Bindings::Open { layout, parameters, places } => {
                        pass.set_bind_group(0, &bind(gpu, layout, parameters, places, tensors), &[]);
                    }
                }
                pass.dispatch_workgroups(*x, *y, *z);
            }
        }
    }
}

fn compile(draft: &Draft, gpu: &Gpu, places: &HashMap<StorageId, Place>) -> Vec<Ready> {
    let (buffer, offsets) = parameters(draft, gpu);
    let mut offsets = offsets.into_iter();
    let none = Tensors { inputs: &[], results: &[] };
    let ready = |step: &Step| {
        let Some(dispatch) = step.dispatch() else { return Ready::Clear(places[&step.write()].clone()) };
        let size = NonZeroU64::new(4 * dispatch.parameters.len() as u64);
        let parameters = Parameters { buffer: buffer.clone(), offset: offsets.next().unwrap_or_default(), size };
        let bound = dispatch.reads.iter().chain([&dispatch.write]);
        let places: Vec<Place> = bound.map(|storage| places[storage].clone()).collect();
        let pipeline = gpu.kernels.pipeline(&dispatch.kernel);
        let layout = pipeline.get_bind_group_layout(0);
        let bindings = if places.iter().all(|place| place.held().is_some()) {
            Bindings::Fixed(bind(gpu, &layout, &parameters, &places, none))
        } else {
            Bindings::Open { layout, parameters, places }
        };
        Ready::Dispatch { pipeline, bindings, groups: dispatch.groups }
    };
    draft.steps.iter().map(ready).collect()
}

fn bind(
    gpu: &Gpu,
    layout: &wgpu::BindGroupLayout,
    parameters: &Parameters,
    places: &[Place],
    tensors: Tensors<'_>,
) -> wgpu::BindGroup {
    let Parameters { buffer, offset, size } = parameters;
    let first = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: *offset, size: *size });
    let bound = places.iter().map(|place| place.buffer(tensors).as_entire_binding());
    let entry = |(binding, resource)| wgpu::BindGroupEntry { binding, resource };
    let entries: Vec<_> = (0..).zip([first].into_iter().chain(bound)).map(entry).collect();
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
}

/// The parameters of all dispatches in one buffer, and where each begins.
fn parameters(draft: &Draft, gpu: &Gpu) -> (wgpu::Buffer, Vec<u64>) {
    let grain = gpu.device.limits().min_storage_buffer_offset_alignment as usize;
    let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
    for dispatch in draft.steps.iter().filter_map(Step::dispatch) {
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
