//! A GPU that lasts: opened again after it was lost.

use super::device::{Gpu, Options, Wanted, forget_drivers};
use burst_host::{nouns::Fault, ports::Device};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Tries to open a lost device are at least so far apart.
const PAUSE: Duration = Duration::from_secs(1);

/// The device that is there now, and how to get the next one.
pub struct Lasting {
    wanted: Wanted,
    options: Options,
    /// What answers name; another device does not take its place.
    pub description: Arc<Device>,
    current: Mutex<Arc<Gpu>>,
    /// When opening failed last. Held while one opens, so that the others wait for it.
    failed: tokio::sync::Mutex<Option<Instant>>,
}

impl Lasting {
    pub async fn open(wanted: &Wanted, options: Options) -> Result<Self, Fault> {
        let gpu = Gpu::open(wanted, &options).await?;
        Ok(Self {
            wanted: wanted.clone(),
            options,
            description: gpu.description.clone(),
            current: Mutex::new(Arc::new(gpu)),
            failed: tokio::sync::Mutex::default(),
        })
    }

    /// The device as it was last seen, lost or not.
    pub fn last(&self) -> Arc<Gpu> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A device that is there. Fails with `DeviceLost` where it does not come back.
    pub async fn get(&self) -> Result<Arc<Gpu>, Fault> {
        let gpu = self.last();
        if gpu.alive().is_ok() {
            return Ok(gpu);
        }
        let mut failed = self.failed.lock().await;
        let gpu = self.last();
        if gpu.alive().is_ok() {
            return Ok(gpu);
        }
        if failed.is_some_and(|failed| failed.elapsed() < PAUSE) {
            return Err(Fault::DeviceLost);
        }
        *failed = Some(Instant::now());
        let gpu = Arc::new(self.reopen().await?);
        *failed = None;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = gpu.clone();
        Ok(gpu)
    }

    async fn reopen(&self) -> Result<Gpu, Fault> {
        forget_drivers();
        match Gpu::open(&self.wanted, &self.options).await {
            Ok(gpu) if gpu.description == self.description => {
                tracing::warn!(device = %gpu.description, "the GPU was opened again");
                Ok(gpu)
            }
            Ok(gpu) => {
                tracing::error!(device = %gpu.description, "the GPU was lost, and another one is no replacement");
                Err(Fault::DeviceLost)
            }
            Err(fault) => {
                tracing::error!(%fault, "the GPU was lost and can't be opened again");
                Err(Fault::DeviceLost)
            }
        }
    }
}
