//! Device memory: buffers that hold tensors, kept for the next tensor when the last one lets go.

use super::device::Gpu;
use burst_host::nouns::{Fault, Resident, Spec};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use wgpu::BufferUsages;

/// What a tensor's buffer is used for.
const USAGE: BufferUsages = BufferUsages::STORAGE.union(BufferUsages::COPY_SRC).union(BufferUsages::COPY_DST);

/// Kernels write four elements at a time, of at most eight bytes.
const GRAIN_BYTES: u64 = 32;

/// Buffers that wait for their next tensor may hold this much.
const IDLE_BYTES_MAX: u64 = 256 << 20;

/// A block of device memory; back on the shelf when dropped.
pub struct Block {
    pub buffer: wgpu::Buffer,
    shelf: Arc<Shelf>,
}

impl Resident for Block {}

impl Drop for Block {
    fn drop(&mut self) {
        self.shelf.keep(self.buffer.clone());
    }
}

/// Buffers without a tensor, by size in bytes.
#[derive(Default)]
struct Shelf(Mutex<Idle>);

#[derive(Default)]
struct Idle {
    bytes: u64,
    buffers: BTreeMap<u64, Vec<wgpu::Buffer>>,
}

/// Gives out device memory.
pub struct Memory {
    shelf: Arc<Shelf>,
}

impl Memory {
    pub fn new() -> Self {
        Self { shelf: Arc::default() }
    }

    /// A block of at least `bytes`. What it holds is not defined.
    pub async fn block(&self, gpu: &Gpu, bytes: u64) -> Result<Arc<Block>, Fault> {
        let size = size_class(bytes);
        let limit = gpu.device.limits().max_storage_buffer_binding_size;
        if size > limit {
            return Err(Fault::TooLarge(format!("a tensor of {bytes} bytes; this GPU binds {limit} at most")));
        }
        let buffer = match self.shelf.take(size) {
            Some(buffer) => buffer,
            None => gpu.guarded(|| create(&gpu.device, size)).await?,
        };
        Ok(Arc::new(Block { buffer, shelf: self.shelf.clone() }))
    }
}

fn create(device: &wgpu::Device, size: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("tensor"),
        size,
        usage: USAGE,
        mapped_at_creation: false,
    })
}

/// Bytes that the contents of a tensor take on the device.
pub fn bytes(spec: &Spec) -> Result<u64, Fault> {
    let bytes = spec.bytes().ok_or_else(|| Fault::Unsupported("BYTES on the GPU".into()))?;
    Ok((bytes as u64).next_multiple_of(GRAIN_BYTES).max(GRAIN_BYTES))
}

/// Rounded up to an eighth of its power of two, so that blocks fit again.
fn size_class(bytes: u64) -> u64 {
    let step = (bytes.next_power_of_two() / 16).max(GRAIN_BYTES);
    bytes.next_multiple_of(step)
}

impl Shelf {
    fn take(&self, size: u64) -> Option<wgpu::Buffer> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = idle.buffers.get_mut(&size)?.pop()?;
        idle.bytes -= size;
        Some(buffer)
    }

    fn keep(&self, buffer: wgpu::Buffer) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = buffer.size();
        if idle.bytes + size <= IDLE_BYTES_MAX {
            idle.bytes += size;
            idle.buffers.entry(size).or_default().push(buffer);
        }
    }
}
