//! What the driver made of kernels, kept on disk for the next start.

use super::entry::Entry;
use burst_host::{mechanisms::cache::Cache, nouns::Digest};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

/// Kernels that go into the driver's cache in one life of a device: nothing is ever taken out of it.
pub const KERNELS_MAX: usize = 4096;
/// Of what is written: an entry that grew from start to start is left as it was.
pub const ENTRY_MAX_BYTES: usize = 64 << 20;

/// The driver's cache of one device, and its entry on disk.
pub struct Stored {
    cache: wgpu::PipelineCache,
    entry: Entry,
    /// Whether something was compiled since it was written.
    changed: AtomicBool,
    /// Kernels that were compiled.
    compiled: AtomicUsize,
    /// What is on disk: most of the time nothing new is in the cache.
    written: Mutex<Option<Digest>>,
}

impl Stored {
    /// The cache for this adapter; `None` where the driver has none. An entry that does not hold is made again.
    pub fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo, disk: Option<&Cache>) -> Option<Arc<Self>> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let entry = Entry::new(disk?, "kernels", info);
        let data = entry.get();
        // SAFETY: the entry's tag says that this node wrote these very bytes, as `get_data` gave them, for this driver.
        let cache = unsafe {
            device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
                label: Some("burst"),
                data: data.as_deref(),
                fallback: true,
            })
        };
        let written = Mutex::new(data.as_deref().map(Digest::of));
        Some(Arc::new(Self { cache, entry, changed: AtomicBool::new(false), compiled: AtomicUsize::new(0), written }))
    }

    /// The cache for the next kernel that is compiled, as long as there is room.
    pub fn cache(&self) -> Option<&wgpu::PipelineCache> {
        let room = self.compiled.fetch_add(1, Relaxed) < KERNELS_MAX;
        self.changed.fetch_or(room, Relaxed);
        room.then_some(&self.cache)
    }

    /// Writes what is new, off the reactor; without waiting.
    pub fn keep(self: &Arc<Self>) {
        if self.changed.swap(false, Relaxed) {
            let stored = self.clone();
            drop(tokio::task::spawn_blocking(move || stored.write()));
        }
    }

    fn write(&self) {
        let Some(data) = self.cache.get_data().filter(|data| data.len() <= ENTRY_MAX_BYTES) else { return };
        let digest = Digest::of(&data);
        // One at a time: the last one to write has everything.
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if *written != Some(digest) {
            self.entry.put(&data);
            *written = Some(digest);
        }
    }
}
