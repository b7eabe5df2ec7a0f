//! What is kept on disk for one driver; a foreign or damaged entry is as good as none.

use burst_host::{mechanisms::cache::Cache, nouns::Digest};

/// One entry of a kind.
pub struct Entry {
    disk: Cache,
    /// Of the driver.
    name: Digest,
    /// The driver in full, and what writes the entry.
    subject: Vec<u8>,
}

impl Entry {
    pub fn new(disk: &Cache, kind: &'static str, info: &wgpu::AdapterInfo) -> Self {
        let wgpu::AdapterInfo { name, vendor, device, driver, driver_info, backend, .. } = info;
        let driver = format!("{name}\n{vendor:#x}:{device:#x}\n{driver}\n{driver_info}\n{backend:?}");
        let subject = format!("{kind} of burst {}\n{driver}", env!("CARGO_PKG_VERSION"));
        Self { disk: disk.of_kind(kind), name: Digest::of(driver.as_bytes()), subject: subject.into_bytes() }
    }

    /// What this node wrote for this very driver.
    pub fn get(&self) -> Option<Vec<u8>> {
        self.disk.get(&self.name, &self.subject)
    }

    pub fn put(&self, bytes: &[u8]) {
        self.disk.put(&self.name, &self.subject, bytes);
    }
}
