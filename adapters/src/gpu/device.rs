//! One open GPU: what it is, whether it is still there, and how it is waited for.

use super::{
    family::{Target, cooperates},
    flights::{Flight, Flights},
    halving::Halving,
    kernels::Kernels,
    memory::{Memory, Shelf},
    stored::Stored,
    trial,
    tuning::{self, Choice},
    view::Views,
    waiter::Waiter,
};
use burst_host::{
    mechanisms::cache::Cache,
    nouns::{Fault, Ledger},
    ports::{Device as Description, DeviceKind},
};
use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use wgpu::{Backends, DeviceType, ExperimentalFeatures, Features, PollType, SubmissionIndex};

/// Runs of all holders together that are on the device and not done; the next one waits.
const RUNS_MAX: usize = 256;

/// After which a device that has not finished is taken for hung: nothing in this process can stop its work.
const PATIENCE: Duration = Duration::from_secs(60);

/// What kernels use where a device has it.
const USED: Features = Features::PIPELINE_CACHE
    .union(Features::SHADER_F16)
    .union(Features::SUBGROUP)
    .union(Features::SHADER_F64)
    .union(Features::SHADER_INT64);

/// Which adapter is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A discrete GPU, else an integrated one. Never a driver that computes on the CPU.
    Hardware,
    /// The first whose name or driver contains this, in any case; a CPU driver too.
    Named(String),
}

/// How a device is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Device memory for everything together; what the driver gives when left out.
    pub max_bytes: Option<NonZeroUsize>,
    /// Where compiled kernels are kept for the next start.
    pub cache: Option<Cache>,
    /// How long the device may take for what it was given before it is taken for hung; a minute when left out.
    pub patience: Option<Duration>,
    /// Which kernels; those that are the fastest on the device when left out.
    pub kernels: Option<Choice>,
}

/// An open device with its queue, its memory and what was made for it.
pub struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub kernels: Kernels,
    pub description: Arc<Description>,
    /// What operators are lowered for.
    pub target: Target,
    pub shelf: Arc<Shelf>,
    pub views: Views,
    runs: Ledger,
    flights: Flights,
    waiter: Waiter,
    newest: Mutex<Option<SubmissionIndex>>,
    lost: Arc<AtomicBool>,
}

impl Gpu {
    /// Opens the adapter that is wanted. Fails with `Unsupported`, naming what was seen.
    pub async fn open(wanted: &Wanted, options: &Options) -> Result<Self, Fault> {
        let adapter = adapter(wanted).await?;
        let limits = adapter.limits();
        let mut features = adapter.features() & USED;
        let mut experimental_features = ExperimentalFeatures::disabled();
        if cooperates(&adapter) {
            features |= Features::EXPERIMENTAL_COOPERATIVE_MATRIX;
            // SAFETY: one kernel uses what is experimental, and only where the adapter has the very matrices it names.
            experimental_features = unsafe { ExperimentalFeatures::enabled() };
        }
        let request = wgpu::DeviceDescriptor {
            label: Some("burst"),
            required_features: features,
            required_limits: limits,
            experimental_features,
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&request)
            .await
            .map_err(|error| Fault::Unsupported(format!("{} can't be opened: {error}", adapter.get_info().name)))?;
        let (lost, flights) = (Arc::new(AtomicBool::new(false)), Flights::default());
        watch(&device, lost.clone(), flights.clone());
        let (hung, cut, endless) = (lost.clone(), flights.clone(), queue.clone());
        let waiter = Waiter::start(device.clone(), options.patience.unwrap_or(PATIENCE), move || {
            hung.store(true, SeqCst);
            cut.close();
            // Whoever lets go of a queue waits for its work, which does not end.
            std::mem::forget(endless.clone());
        })?;
        let info = adapter.get_info();
        let choice = kernels(options.kernels, &info, &device)?;
        let stored = Stored::open(&device, &info, options.cache.as_ref());
        let room = options.max_bytes.map_or(usize::MAX, NonZeroUsize::get);
        let mut gpu = Self {
            kernels: Kernels::new(device.clone(), choice, stored),
            description: Arc::new(describe(&info)),
            shelf: Arc::new(Shelf::new(Ledger::new("device_max_bytes", room))),
            views: Views::new(),
            runs: Ledger::new("runs of the device", RUNS_MAX),
            flights,
            waiter,
            newest: Mutex::default(),
            target: Target::new(choice, features),
            device,
            queue,
            lost,
        };
        if options.kernels.is_none() {
            tuning::tune(&mut gpu, &info, options.cache.as_ref()).await;
        }
        gpu.try_experiments().await;
        Ok(gpu)
    }

    /// Computes without what its driver does not do rightly.
    async fn try_experiments(&mut self) {
        let native = self.target.choice.halving == Halving::Native;
        if native && !matches!(trial::rounds_halves(self).await, Ok(true)) {
            tracing::warn!(device = %self.description, "it rounds halves otherwise; they are widened instead");
            self.choose(self.target.choice.widening());
            self.target = self.target.uncooperative();
        }
        if self.target.cooperates() && !matches!(trial::multiplies_halves(self).await, Ok(true)) {
            tracing::warn!(device = %self.description, "its cooperative matrices are wrong; halves are widened instead");
            self.target = self.target.uncooperative();
        }
    }

    /// Computes with other kernels from now on.
    pub fn choose(&mut self, choice: Choice) {
        self.target = Target::new(choice, self.device.features());
        self.kernels = self.kernels.of(choice);
    }

    /// Bytes of the largest tensor that kernels can be given; sizes of blocks are coarse.
    pub fn binding_max(&self) -> usize {
        usize::try_from(self.device.limits().max_storage_buffer_binding_size / 16 * 15).unwrap_or(usize::MAX)
    }

    /// Its memory, on one account.
    pub fn memory(&self, account: &Ledger) -> Memory {
        Memory { shelf: self.shelf.clone(), account: account.clone() }
    }

    /// `Err` once the device went away; this one never comes back.
    pub fn alive(&self) -> Result<(), Fault> {
        if self.lost.load(SeqCst) { Err(Fault::DeviceLost) } else { Ok(()) }
    }

    /// Hands work to the device; it is done after everything that was handed to it before.
    pub fn submit(&self, commands: wgpu::CommandBuffer) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: of two at once the later one has to be the newest.
        *newest = Some(self.queue.submit([commands]));
    }

    /// Waits, off the reactor, until everything submitted so far is done.
    pub async fn settle(&self) -> Result<(), Fault> {
        if let Some(index) = self.newest() {
            self.waiter.wait(index).await?;
        }
        self.alive()
    }

    /// A place for a run, once there is one on the holder's account and on the device.
    pub async fn admit(&self, runs: &Ledger, deadline: Instant) -> Result<Flight, Fault> {
        loop {
            self.alive()?;
            if let (Some(own), Some(shared)) = (runs.try_charge(1), self.runs.try_charge(1)) {
                return Ok([own, shared]);
            }
            tokio::time::timeout_at(deadline.into(), self.settle()).await.map_err(|_| Fault::TimedOut)??;
            // Places that are held by runs not submitted yet: let them come on.
            tokio::task::yield_now().await;
            if Instant::now() >= deadline {
                return Err(Fault::TimedOut);
            }
        }
    }

    /// Gives the place back once everything submitted so far is done.
    pub fn launch(&self, flight: Flight) {
        let (flights, name) = (self.flights.clone(), self.flights.begin(flight));
        self.queue.on_submitted_work_done(move || flights.end(name));
        if let Some(index) = self.newest() {
            self.waiter.follow(index);
        }
    }

    fn newest(&self) -> Option<SubmissionIndex> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs what may allocate, and tells apart what went wrong.
    pub async fn guarded<T>(&self, work: impl FnOnce() -> T) -> Result<T, Fault> {
        self.alive()?;
        let scopes = [wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::Internal]
            .map(|filter| self.device.push_error_scope(filter));
        let done = work();
        // A loss is told by polling only.
        let _ = self.device.poll(PollType::Poll);
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

/// The kernels that are asked for, or those that fit before any are measured.
fn kernels(asked: Option<Choice>, info: &wgpu::AdapterInfo, device: &wgpu::Device) -> Result<Choice, Fault> {
    let choice = asked.unwrap_or_else(|| Choice::fitting(info, device.features()));
    if choice.runs_on(info, device) {
        return Ok(choice);
    }
    Err(Fault::Unsupported(format!("{} does not compute with {choice}", info.name)))
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

fn watch(device: &wgpu::Device, lost: Arc<AtomicBool>, flights: Flights) {
    device.set_device_lost_callback(move |reason, why| {
        if reason != wgpu::DeviceLostReason::Destroyed || !why.is_empty() {
            tracing::error!(?reason, why, "the GPU was lost");
        }
        lost.store(true, SeqCst);
        flights.close();
    });
    // Outside of a scope nothing should fail; never a panic.
    device.on_uncaptured_error(Arc::new(move |error| tracing::error!(%error, "the GPU reports an error")));
}

/// The drivers of this machine. The last ones are never unloaded: one that goes while the process ends takes with it
/// what runs then.
static DRIVERS: Mutex<Option<wgpu::Instance>> = Mutex::new(None);

fn drivers() -> wgpu::Instance {
    let open = || {
        wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: Backends::PRIMARY,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        })
    };
    DRIVERS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(open).clone()
}

/// Looks for drivers anew the next time: one that was reset, replaced or taken away shows only then.
pub fn forget_drivers() {
    *DRIVERS.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

async fn adapter(wanted: &Wanted) -> Result<wgpu::Adapter, Fault> {
    let adapters = adapters().await;
    let seen: Vec<_> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
    let found = adapters.into_iter().find(|adapter| fits(&adapter.get_info(), wanted));
    found.ok_or_else(|| Fault::Unsupported(format!("no GPU here is {wanted}; the drivers show {seen:?}")))
}

/// What the drivers show, the best first.
pub async fn adapters() -> Vec<wgpu::Adapter> {
    let mut adapters = drivers().enumerate_adapters(Backends::PRIMARY).await;
    adapters.sort_by_key(|adapter| rank(adapter.get_info().device_type));
    adapters
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

/// Whether an adapter is the one that is wanted.
pub fn fits(info: &wgpu::AdapterInfo, wanted: &Wanted) -> bool {
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

/// How answers and reports name an adapter.
pub fn describe(info: &wgpu::AdapterInfo) -> Description {
    Description {
        kind: DeviceKind::Gpu,
        name: info.name.clone(),
        driver: format!("{} {}, {:?}", info.driver, info.driver_info, info.backend),
        memory_bytes: None,
    }
}
