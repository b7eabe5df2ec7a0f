//! One open GPU: what it is, whether it is still there, and how it is waited for.

use super::kernels::Kernels;
use burst_host::{
    nouns::Fault,
    ports::{Device as Description, DeviceKind},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};
use wgpu::{Backends, DeviceType, Features, PollType};

/// After which a device that has not finished is taken for hung: nothing in this process can stop its work.
const HUNG: Duration = Duration::from_secs(60);

/// Which adapter is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A discrete GPU, else an integrated one. Never a driver that computes on the CPU.
    Hardware,
    /// The first whose name or driver contains this, in any case; a CPU driver too.
    Named(String),
}

/// An open device with its queue.
pub struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub kernels: Kernels,
    pub description: Arc<Description>,
    lost: Arc<AtomicBool>,
}

impl Gpu {
    /// Opens the adapter that is wanted. Fails with `Unsupported`, naming what was seen.
    pub async fn open(wanted: &Wanted) -> Result<Self, Fault> {
        let adapter = adapter(wanted).await?;
        let limits = adapter.limits();
        let features = adapter.features() & (Features::PIPELINE_CACHE | Features::SHADER_F16);
        let request = wgpu::DeviceDescriptor {
            label: Some("burst"),
            required_features: features,
            required_limits: limits,
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&request)
            .await
            .map_err(|error| Fault::Unsupported(format!("{} can't be opened: {error}", adapter.get_info().name)))?;
        let lost = Arc::new(AtomicBool::new(false));
        watch(&device, lost.clone());
        let info = adapter.get_info();
        Ok(Self { kernels: Kernels::new(device.clone()), description: Arc::new(describe(&info)), device, queue, lost })
    }

    /// `Err` once the device went away; it never comes back.
    pub fn alive(&self) -> Result<(), Fault> {
        if self.lost.load(SeqCst) { Err(Fault::DeviceLost) } else { Ok(()) }
    }

    /// Waits, off the reactor, until everything submitted so far is done.
    pub async fn settle(&self) -> Result<(), Fault> {
        let device = self.device.clone();
        let wait = PollType::Wait { submission_index: None, timeout: Some(HUNG) };
        let polled = tokio::task::spawn_blocking(move || device.poll(wait)).await;
        match polled {
            Ok(Ok(_)) => self.alive(),
            _ => Err(Fault::DeviceLost),
        }
    }

    /// Runs what may allocate, and tells apart what went wrong.
    pub async fn guarded<T>(&self, work: impl FnOnce() -> T) -> Result<T, Fault> {
        self.alive()?;
        let scopes = [wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::Internal]
            .map(|filter| self.device.push_error_scope(filter));
        let done = work();
        let mut faults = Vec::new();
        // The innermost first.
        for scope in scopes.into_iter().rev() {
            faults.push(scope.pop());
        }
        match futures::future::join_all(faults).await.into_iter().flatten().next() {
            Some(fault) => Err(explain(&fault)),
            None => self.alive().map(|()| done),
        }
    }
}

fn explain(error: &wgpu::Error) -> Fault {
    match error {
        wgpu::Error::OutOfMemory { .. } => Fault::OutOfMemory,
        other => {
            tracing::error!(error = %other, "the GPU refuses what burst built");
            Fault::Unsupported("the GPU's driver refuses a kernel or a buffer; the log says which".into())
        }
    }
}

fn watch(device: &wgpu::Device, lost: Arc<AtomicBool>) {
    let gone = lost.clone();
    device.set_device_lost_callback(move |reason, why| {
        if reason != wgpu::DeviceLostReason::Destroyed || !why.is_empty() {
            tracing::error!(?reason, why, "the GPU was lost");
        }
        gone.store(true, SeqCst);
    });
    // Outside of a scope nothing should fail; never a panic.
    device.on_uncaptured_error(Arc::new(move |error| tracing::error!(%error, "the GPU reports an error")));
}

async fn adapter(wanted: &Wanted) -> Result<wgpu::Adapter, Fault> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: Backends::PRIMARY,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let mut adapters = instance.enumerate_adapters(Backends::PRIMARY).await;
    adapters.sort_by_key(|adapter| rank(adapter.get_info().device_type));
    let seen: Vec<_> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
    let found = adapters.into_iter().find(|adapter| fits(&adapter.get_info(), wanted));
    found.ok_or_else(|| Fault::Unsupported(format!("no GPU here is {wanted}; the drivers show {seen:?}")))
}

fn rank(kind: DeviceType) -> u8 {
    match kind {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    }
}

fn fits(info: &wgpu::AdapterInfo, wanted: &Wanted) -> bool {
    match wanted {
        Wanted::Hardware => !matches!(info.device_type, DeviceType::Cpu | DeviceType::Other),
        Wanted::Named(part) => {
            let part = part.to_lowercase();
            [&info.name, &info.driver].iter().any(|name| name.to_lowercase().contains(&part))
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hardware => f.write_str("hardware (a CPU driver has to be asked for by its name)"),
            Self::Named(part) => write!(f, "called `{part}`"),
        }
    }
}

fn describe(info: &wgpu::AdapterInfo) -> Description {
    Description {
        kind: DeviceKind::Gpu,
        name: info.name.clone(),
        driver: format!("{} {}, {:?}", info.driver, info.driver_info, info.backend),
        memory_bytes: None,
    }
}
