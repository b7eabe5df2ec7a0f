//! Device memory: buffers that hold tensors, booked before they are there, and kept for the next tensor when the last
//! one lets go.

use super::{device::Gpu, doubt::Doubt};
use burst_host::nouns::{Charge, Fault, Ledger, Resident, Spec};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use wgpu::BufferUsages;

/// What a tensor's buffer is used for.
const USAGE: BufferUsages = BufferUsages::STORAGE.union(BufferUsages::COPY_SRC).union(BufferUsages::COPY_DST);
/// What a tensor is read through.
pub const STAGING: BufferUsages = BufferUsages::MAP_READ.union(BufferUsages::COPY_DST);

/// Kernels write four elements at a time, of at most eight bytes.
pub const GRAIN_BYTES: u64 = 32;

/// Buffers that wait for their next tensor may hold this much.
const IDLE_BYTES_MAX: u64 = 256 << 20;

/// A block of device memory; back on the shelf when dropped.
pub struct Block {
    pub buffer: wgpu::Buffer,
    /// Of what it holds; the buffer is larger, and has what others left there.
    pub bytes: u64,
    /// The device's memory; it stays booked while the buffer is kept. Only `drop` takes it.
    room: Option<Charge>,
    /// The holder's account.
    _booked: Charge,
    doubts: OnceLock<Vec<Arc<Doubt>>>,
    shelf: Arc<Shelf>,
}

impl Resident for Block {}

impl Block {
    /// Notes what may be wrong with the contents.
    pub fn doubt(&self, doubts: Vec<Arc<Doubt>>) {
        self.doubts.get_or_init(|| doubts);
    }

    /// What may be wrong with the contents, as far as it was not read yet.
    pub fn doubts(&self) -> impl Iterator<Item = &Arc<Doubt>> {
        self.doubts.get().into_iter().flatten().filter(|doubt| !doubt.is_settled())
    }

    /// Whether the block is of this device, and not of one that was lost.
    pub fn is_of(&self, gpu: &Gpu) -> bool {
        Arc::ptr_eq(&self.shelf, &gpu.shelf)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(room) = self.room.take() {
            self.shelf.keep(self.buffer.clone(), room);
        }
    }
}

/// One device's memory, and its buffers without a tensor, by size in bytes.
pub struct Shelf {
    /// Everything that is allocated, idle or not.
    room: Ledger,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    bytes: u64,
    buffers: BTreeMap<u64, Vec<(wgpu::Buffer, Charge)>>,
}

/// Gives out device memory on one account.
#[derive(Clone)]
pub struct Memory {
    pub shelf: Arc<Shelf>,
    pub account: Ledger,
}

impl Memory {
    /// A block of at least `bytes`. What it holds is not defined.
    ///
    /// Fails with `TooLarge` where the account or the device's bindings are too small, and with `OutOfMemory` where the
    /// device has no room for it now.
    pub async fn block(&self, gpu: &Gpu, bytes: u64) -> Result<Arc<Block>, Fault> {
        let size = bound(gpu, bytes)?;
        let booked = self.account.charge(usize::try_from(size).unwrap_or(usize::MAX))?;
        let (buffer, room) = match self.shelf.take(size) {
            Some(kept) => kept,
            None => self.shelf.create(gpu, USAGE, size).await?,
        };
        Ok(Arc::new(Block {
            buffer,
            bytes,
            room: Some(room),
            _booked: booked,
            doubts: OnceLock::new(),
            shelf: self.shelf.clone(),
        }))
    }
}

/// The size of a block of at least `bytes`. Fails with `TooLarge` where the device's bindings are too small.
pub fn bound(gpu: &Gpu, bytes: u64) -> Result<u64, Fault> {
    let size = size_class(extent(bytes));
    let limit = gpu.device.limits().max_storage_buffer_binding_size;
    if size <= limit {
        return Ok(size);
    }
    Err(Fault::TooLarge(format!("a tensor of {bytes} bytes; this GPU binds {limit} at most")))
}

fn buffer(device: &wgpu::Device, usage: BufferUsages, size: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor { label: Some("tensor"), size, usage, mapped_at_creation: false })
}

/// Bytes of a tensor's contents.
pub fn bytes(spec: &Spec) -> Result<u64, Fault> {
    spec.bytes().map(|bytes| bytes as u64).ok_or_else(|| Fault::Unsupported("BYTES on the GPU".into()))
}

/// What kernels may touch of a block that holds so many bytes.
pub fn extent(bytes: u64) -> u64 {
    bytes.next_multiple_of(GRAIN_BYTES).max(GRAIN_BYTES)
}

/// Rounded up to an eighth of its power of two, so that blocks fit again.
fn size_class(bytes: u64) -> u64 {
    let step = (bytes.next_power_of_two() / 16).max(GRAIN_BYTES);
    bytes.next_multiple_of(step)
}

impl Shelf {
    pub fn new(room: Ledger) -> Self {
        Self { room, idle: Mutex::default() }
    }

    /// Everything that may be allocated, and is.
    pub fn room(&self) -> &Ledger {
        &self.room
    }

    /// Bytes that are allocated, idle or not.
    pub fn held_bytes(&self) -> u64 {
        self.room.held() as u64
    }

    /// A new buffer; where there is no room for it, idle ones make some.
    pub async fn create(&self, gpu: &Gpu, usage: BufferUsages, size: u64) -> Result<(wgpu::Buffer, Charge), Fault> {
        match self.try_create(gpu, usage, size).await {
            Err(Fault::OutOfMemory) => {
                self.clear();
                // A buffer is freed once the device is done with it.
                gpu.settle().await?;
                self.try_create(gpu, usage, size).await
            }
            created => created,
        }
    }

    async fn try_create(&self, gpu: &Gpu, usage: BufferUsages, size: u64) -> Result<(wgpu::Buffer, Charge), Fault> {
        let amount = usize::try_from(size).map_err(|_| Fault::OutOfMemory)?;
        let room = self.room.try_charge(amount).ok_or(Fault::OutOfMemory)?;
        Ok((gpu.guarded(|| buffer(&gpu.device, usage, size)).await?, room))
    }

    fn take(&self, size: u64) -> Option<(wgpu::Buffer, Charge)> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle.buffers.get_mut(&size)?.pop()?;
        idle.bytes -= size;
        Some(kept)
    }

    fn keep(&self, buffer: wgpu::Buffer, room: Charge) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let size = buffer.size();
        if idle.bytes + size <= IDLE_BYTES_MAX {
            idle.bytes += size;
            idle.buffers.entry(size).or_default().push((buffer, room));
        }
    }

    /// Lets go of all idle buffers.
    pub fn clear(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        drop(idle);
    }
}
