//! Where a run finds each value: in memory of the plan, or in the very tensors that it takes and yields.

use super::{
    device::Gpu,
    draft::{Draft, Storage, StorageId},
    memory::{self, Block, Memory},
    weights::Weights,
};
use burst_host::nouns::Fault;
use std::{
    collections::{HashMap, hash_map::Entry},
    num::NonZeroU64,
    sync::Arc,
};

/// Where a value is.
#[derive(Clone)]
pub enum Place {
    /// In memory that every run of the plan uses.
    Held(Arc<Block>),
    /// In the tensor that a run is given.
    Input(usize),
    /// In the tensor that a run yields.
    Result(usize),
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

/// What a step is bound to: all of a value, and nothing beside it.
#[derive(Clone)]
pub struct Bound {
    pub place: Place,
    pub size: u64,
}

/// The tensors of one run.
#[derive(Clone, Copy)]
pub struct Tensors<'a> {
    pub inputs: &'a [Arc<Block>],
    pub results: &'a [Arc<Block>],
}

impl Bound {
    pub fn new(place: &Place, storage: &Storage, draft: &Draft) -> Result<Self, Fault> {
        let bytes = match storage {
            Storage::Temporary { bytes } => *bytes,
            Storage::Held(block) => block.bytes,
            Storage::Constant(tensor) | Storage::State(tensor) => memory::bytes(tensor.spec())?,
            Storage::Input(index) => memory::bytes(&draft.inputs[*index])?,
        };
        Ok(Self { place: place.clone(), size: memory::extent(bytes) })
    }

    pub fn binding<'a>(&'a self, tensors: Tensors<'a>) -> wgpu::BindingResource<'a> {
        let (buffer, size) = (self.place.buffer(tensors), NonZeroU64::new(self.size));
        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: 0, size })
    }
}

impl Place {
    pub fn buffer<'a>(&'a self, tensors: Tensors<'a>) -> &'a wgpu::Buffer {
        match self {
            Self::Held(block) => &block.buffer,
            Self::Input(index) => &tensors.inputs[*index].buffer,
            Self::Result(index) => &tensors.results[*index].buffer,
        }
    }

    fn key(&self) -> (usize, usize) {
        match self {
            Self::Held(block) => (0, Arc::as_ptr(block) as usize),
            Self::Input(index) => (1, *index),
            Self::Result(index) => (2, *index),
        }
    }

    /// The block that every run uses.
    pub fn held(&self) -> Option<&Arc<Block>> {
        if let Self::Held(block) = self { Some(block) } else { None }
    }
}

/// A place for each value of a draft. Blocks whose contents are no longer needed hold what comes later.
pub async fn places(
    draft: &Draft,
    gpu: &Gpu,
    memory: &Memory,
    weights: &Weights,
) -> Result<HashMap<StorageId, Place>, Fault> {
    let last = draft.last_uses();
    let mut places: HashMap<StorageId, Place> = HashMap::new();
    for (index, storage) in draft.lasting().enumerate() {
        if let (Storage::Temporary { .. }, Entry::Vacant(place)) = (&draft.storages[storage], places.entry(storage)) {
            place.insert(Place::Result(index));
        }
    }
    let mut free: Vec<Arc<Block>> = Vec::new();
    for (at, step) in draft.steps.iter().enumerate() {
        let touched = || step.reads().into_iter().chain([step.write()]);
        for storage in touched() {
            if let Entry::Vacant(place) = places.entry(storage) {
                place.insert(find(&draft.storages[storage], &mut free, gpu, memory, weights).await?);
            }
        }
        for storage in touched() {
            let ends = last.get(&storage) == Some(&at) && matches!(draft.storages[storage], Storage::Temporary { .. });
            if let Some(block) = places[&storage].held().filter(|_| ends)
                && !free.iter().any(|other| Arc::ptr_eq(other, block))
            {
                free.push(block.clone());
            }
        }
    }
    for storage in draft.lasting() {
        if let Entry::Vacant(place) = places.entry(storage) {
            place.insert(find(&draft.storages[storage], &mut free, gpu, memory, weights).await?);
        }
    }
    Ok(places)
}

async fn find(
    storage: &Storage,
    free: &mut Vec<Arc<Block>>,
    gpu: &Gpu,
    memory: &Memory,
    weights: &Weights,
) -> Result<Place, Fault> {
    let bytes = match storage {
        Storage::Held(block) => return Ok(Place::Held(block.clone())),
        Storage::Constant(tensor) | Storage::State(tensor) => {
            return Ok(Place::Held(weights.block(tensor, gpu, memory).await?));
        }
        Storage::Input(index) => return Ok(Place::Input(*index)),
        Storage::Temporary { bytes } => *bytes,
    };
    let fitting = free.iter().enumerate().filter(|(_, block)| block.buffer.size() >= memory::extent(bytes));
    match fitting.min_by_key(|(_, block)| block.buffer.size()).map(|(index, _)| index) {
        Some(index) => Ok(Place::Held(free.swap_remove(index))),
        None => Ok(Place::Held(memory.block(gpu, bytes).await?)),
    }
}
