//! Names every adapter once and wires it to a port.

use super::{cluster, config::Loaded};
use burst_adapters::{
    budget::Budgeted, cpu::CpuAccelerator, fallback, memory::Machine, mixed::Mixed, onnx::Onnx, registry::Directory,
};
use burst_host::{
    loops::{
        deploy::{COMPONENT_MAX_BYTES, Deployer, capacity, leases},
        member::Member,
        models::Models,
    },
    mechanisms::{address_space::Capacity, cache::Cache, component, sandbox::Sandbox},
    nouns::{
        Ledger, Manifest,
        manifest::{self, AcceleratorChoice, Cluster, Fallback, MixedChoice},
    },
    ports::{Accelerator, Memory, Registry},
};
#[cfg(not(all(feature = "onnxruntime", feature = "gpu")))]
use miette::bail;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::{
    fs,
    num::{NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    thread,
};
use tokio::task::JoinSet;

/// The accelerator that was asked for; others stand in for it only where the manifest says so.
pub async fn accelerator(manifest: &Manifest, cache: Option<&Cache>) -> Result<Arc<dyn Accelerator>> {
    let first: Arc<dyn Accelerator> = match manifest.accelerator {
        AcceleratorChoice::Cpu => cpu()?,
        AcceleratorChoice::Gpu => gpu(manifest, manifest.device.as_deref(), cache).await?,
        AcceleratorChoice::OnnxRuntime => onnxruntime(manifest)?,
        AcceleratorChoice::Auto => automatic(manifest, cache).await?,
        AcceleratorChoice::Npu => npu(manifest, cache)?,
    };
    with_others(with_fallbacks(first, manifest)?, manifest, cache).await
}

/// A hardware GPU, else ONNX Runtime where its library is, else tract. A driver that computes on the CPU is slower than
/// either: it has to be named.
async fn automatic(manifest: &Manifest, cache: Option<&Cache>) -> Result<Arc<dyn Accelerator>> {
    match gpu(manifest, None, cache).await {
        Ok(gpu) => return Ok(gpu),
        Err(reason) if shows_hardware().await => tracing::warn!(%reason, "auto: the GPU that is here can't be used"),
        Err(reason) => tracing::debug!(%reason, "auto: no GPU"),
    }
    match onnxruntime(manifest) {
        Ok(onnxruntime) => return Ok(onnxruntime),
        Err(reason) if names_library(manifest) => tracing::warn!(%reason, "auto: no ONNX Runtime"),
        Err(reason) => tracing::debug!(%reason, "auto: no ONNX Runtime"),
    }
    cpu()
}

/// Whether somebody said where ONNX Runtime's library is.
fn names_library(manifest: &Manifest) -> bool {
    manifest.onnxruntime.library.is_some() || std::env::var_os("ORT_DYLIB_PATH").is_some_and(|path| !path.is_empty())
}

#[cfg(feature = "onnxruntime")]
fn onnxruntime(manifest: &Manifest) -> Result<Arc<dyn Accelerator>> {
    use burst_adapters::onnxruntime::{LibraryError, Math, OnnxRuntimeAccelerator};
    let math = match manifest.onnxruntime.math {
        manifest::Math::Exact => Math::Exact,
        manifest::Math::Fast => Math::Fast,
    };
    let accelerator = OnnxRuntimeAccelerator::new(&onnxruntime_options(manifest), math);
    Ok(budgeted(accelerator.map_err(|error| miette!(help = LibraryError::HELP, "{error}"))?))
}

#[cfg(feature = "onnxruntime")]
fn onnxruntime_options(manifest: &Manifest) -> burst_adapters::onnxruntime::Options {
    let config = &manifest.onnxruntime;
    let limit = NonZeroU64::new(memory(manifest).limit_bytes);
    burst_adapters::onnxruntime::Options {
        library: config.library.clone(),
        threads: config.threads.unwrap_or_else(cores),
        arena_max_bytes: config.arena_max_bytes.or(limit),
    }
}

/// The NPU that the manifest names, and nothing else.
#[cfg(feature = "onnxruntime")]
pub fn opened_npu(manifest: &Manifest, cache: Option<&Cache>) -> Result<burst_adapters::onnxruntime::NpuAccelerator> {
    let opened =
        burst_adapters::onnxruntime::NpuAccelerator::open(&onnxruntime_options(manifest), &manifest.npu, cache);
    opened.map_err(|error| miette!(help = error.help(), "{error}"))
}

#[cfg(feature = "onnxruntime")]
fn npu(manifest: &Manifest, cache: Option<&Cache>) -> Result<Arc<dyn Accelerator>> {
    Ok(budgeted(opened_npu(manifest, cache)?))
}

#[cfg(not(feature = "onnxruntime"))]
fn npu(_: &Manifest, _: Option<&Cache>) -> Result<Arc<dyn Accelerator>> {
    bail!(help = "use accelerator = \"cpu\" or \"auto\"", "this build of burst has no NPU accelerator")
}

#[cfg(not(feature = "onnxruntime"))]
fn onnxruntime(_: &Manifest) -> Result<Arc<dyn Accelerator>> {
    bail!(help = "use accelerator = \"cpu\" or \"auto\"", "this build of burst has no ONNX Runtime accelerator")
}

#[cfg(feature = "gpu")]
async fn gpu(manifest: &Manifest, device: Option<&str>, cache: Option<&Cache>) -> Result<Arc<dyn Accelerator>> {
    use burst_adapters::gpu::{GpuAccelerator, Options, Wanted};
    let wanted = device.map_or(Wanted::Hardware, |name| Wanted::Named(name.into()));
    let options = Options { max_bytes: manifest.device_max_bytes, cache: cache.cloned(), ..Options::default() };
    // Boxed and typed: what wgpu holds is nested deeper than the compiler follows from the outermost future.
    let opening: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async move {
        let opened = GpuAccelerator::open_with(&wanted, options).await;
        opened.map(budgeted)
    });
    opening.await.map_err(|fault| {
        miette!(help = "`burst doctor` lists what the drivers show; `device` names one of them", "{fault}")
    })
}

#[cfg(not(feature = "gpu"))]
async fn gpu(_: &Manifest, _: Option<&str>, _: Option<&Cache>) -> Result<Arc<dyn Accelerator>> {
    bail!(help = "use accelerator = \"cpu\" or \"auto\"", "this build of burst has no GPU accelerator")
}

/// Whether a driver shows a GPU, whatever became of opening it.
#[cfg(feature = "gpu")]
async fn shows_hardware() -> bool {
    let looking: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(burst_adapters::gpu::survey(None));
    looking.await.iter().any(|found| found.hardware)
}

#[cfg(not(feature = "gpu"))]
async fn shows_hardware() -> bool {
    false
}

/// The first one, and behind it those of the manifest in their order.
fn with_fallbacks(first: Arc<dyn Accelerator>, manifest: &Manifest) -> Result<Arc<dyn Accelerator>> {
    manifest.fallback.0.iter().try_fold(first, |first, fallback| {
        let second: Arc<dyn Accelerator> = match fallback {
            Fallback::OnnxRuntime => onnxruntime(manifest)?,
            Fallback::Cpu => cpu()?,
        };
        Ok(Arc::new(fallback::Fallback { first, second }) as Arc<dyn Accelerator>)
    })
}

/// The first one, and beside it those that may compute fragments of cut models.
async fn with_others(
    first: Arc<dyn Accelerator>,
    manifest: &Manifest,
    cache: Option<&Cache>,
) -> Result<Arc<dyn Accelerator>> {
    let mut others: Vec<Arc<dyn Accelerator>> = Vec::new();
    for other in &manifest.mixed {
        others.push(match other {
            MixedChoice::Gpu => gpu(manifest, manifest.device.as_deref(), cache).await?,
            MixedChoice::OnnxRuntime => onnxruntime(manifest)?,
            MixedChoice::Cpu => cpu()?,
            MixedChoice::Npu => npu(manifest, cache)?,
        });
    }
    Ok(if others.is_empty() { first } else { Arc::new(Mixed::new(first, others)) })
}

fn cpu() -> Result<Arc<dyn Accelerator>> {
    let cpu = CpuAccelerator::new(cores()).map_err(|fault| miette!("the CPU accelerator can't start: {fault}"))?;
    // tract writes the windows of a convolution side by side.
    Ok(Arc::new(Budgeted::new(Arc::new(cpu), true)))
}

/// Behind the limits of who uses it.
#[cfg(any(feature = "gpu", feature = "onnxruntime"))]
fn budgeted(accelerator: impl Accelerator + 'static) -> Arc<dyn Accelerator> {
    Arc::new(Budgeted::new(Arc::new(accelerator), false))
}

fn cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Everything that deploys the guests of a manifest, on this node alone.
pub async fn deployer(loaded: &Loaded) -> Result<Deployer> {
    Ok(open(loaded).await?.0)
}

/// The same, and the node's part in the cluster of its manifest.
pub async fn open(loaded: &Loaded) -> Result<(Deployer, Option<Arc<Member>>)> {
    let Loaded { manifest, base } = loaded;
    let registry = Arc::new(registry(base)?);
    let sandbox = sandbox(manifest, &*registry).await?;
    let directory = manifest.cache.directory.as_ref().map(|directory| base.join(directory));
    let directory = directory.or_else(cache_directory).wrap_err("there is no home directory; set cache.directory")?;
    let cache = Cache::open(&directory).into_diagnostic()?;
    let accelerator = accelerator(manifest, Some(&cache)).await?;
    tracing::info!(device = %accelerator.describe(), "computes graphs");
    let memory = memory(manifest);
    let member = match &manifest.cluster {
        Some(cluster) => {
            // Nodes of one box may share a cache.
            let shelf = directory.join("shelf").join(cluster.node.as_str());
            let most = cluster.memory_max_bytes.map_or(memory.room_bytes() / 2, NonZeroU64::get);
            let (memory, registry) = (memory.clone(), registry.clone());
            Some(cluster::join(cluster, most, memory, base, &shelf, registry, accelerator.clone()).await?)
        }
        None => None,
    };
    let models = Models::new(accelerator, registry, Arc::new(Onnx)).within(memory).over(member.clone());
    let leases = Ledger::new("cluster.leases_max", leases(manifest));
    Ok((Deployer { sandbox: Arc::new(sandbox), cache: Some(cache), models, leases }, member))
}

/// Reserves what the manifest asks for, or what there is address space for.
async fn sandbox(manifest: &Manifest, registry: &dyn Registry) -> Result<Sandbox> {
    let capacity = Capacity { memories: memories(manifest, registry).await, ..capacity(manifest) };
    let sandbox = Sandbox::new(capacity).into_diagnostic()?;
    let (Capacity { leases: asked, memory_max_bytes, .. }, layout) = sandbox.layout();
    if layout.leases < asked {
        tracing::warn!(
            leases = layout.leases,
            asked,
            memory_max_bytes,
            "address space has room for fewer leases than pools ask for: raise `ulimit -v`, lower pool.max or \
             limits.memory_max_bytes"
        );
    } else if layout.is_checked() {
        tracing::info!(leases = asked, memory_max_bytes, "address space is short: guests check the bounds of accesses");
    }
    Ok(sandbox)
}

/// Linear memories that a guest has at most. What a cluster will give is not known.
async fn memories(manifest: &Manifest, registry: &dyn Registry) -> u32 {
    let mut most = 1;
    for guest in manifest.guests.values().filter(|_| manifest.cluster.is_none()) {
        let component = registry.fetch(&guest.component, COMPONENT_MAX_BYTES).await.ok();
        // What can't be read is told when it is deployed.
        most = most.max(component.and_then(|component| component::memories(&component.bytes)).unwrap_or(most));
    }
    if manifest.cluster.is_some() { Capacity::MEMORIES } else { most.min(Capacity::MEMORIES) }
}

/// What this process may hold.
fn memory(manifest: &Manifest) -> Arc<Machine> {
    let machine = Machine::new(manifest.memory_max_bytes.map(NonZeroU64::get));
    tracing::debug!(bytes = machine.limit_bytes, source = machine.source, "memory");
    Arc::new(machine)
}

/// Models by their path from the root, for commands that take them from anywhere.
pub async fn models(manifest: &Manifest) -> Result<Models> {
    let accelerator = accelerator(manifest, cache().as_ref()).await?;
    let models = Models::new(accelerator, Arc::new(registry(Path::new("/"))?), Arc::new(Onnx));
    Ok(models.within(memory(manifest)))
}

/// The same over a cluster whose nodes run every fragment: this process is a way in, and no more. It leaves when what
/// comes along is dropped.
pub async fn models_over(manifest: &Manifest, cluster: &Cluster, base: &Path) -> Result<(Models, JoinSet<()>)> {
    let accelerator = accelerator(manifest, cache().as_ref()).await?;
    let registry = Arc::new(registry(Path::new("/"))?);
    // Several commands at once may be ways in; none keeps what it fetched.
    let shelf = tempfile::tempdir().into_diagnostic().wrap_err("a directory for what the cluster gives")?;
    let member =
        cluster::join(cluster, 0, memory(manifest), base, shelf.path(), registry.clone(), accelerator.clone()).await?;
    let (mut rounds, round) = (JoinSet::new(), member.clone());
    rounds.spawn(async move {
        round.run().await;
        drop(shelf);
    });
    Ok((Models::new(accelerator, registry, Arc::new(Onnx)).over(Some(member)), rounds))
}

/// A manifest without guests, for commands that compute on the CPU or not at all.
pub fn on_cpu() -> Manifest {
    Manifest { accelerator: AcceleratorChoice::Cpu, ..Manifest::default() }
}

/// A path as the registry at the root names it.
pub fn below_root(path: &Path) -> Result<String> {
    let whole = fs::canonicalize(path).into_diagnostic().wrap_err_with(|| format!("`{}`", path.display()))?;
    let below = whole.strip_prefix("/").into_diagnostic()?.to_str();
    below.map(str::to_owned).ok_or_else(|| miette!("`{}` is not UTF-8", path.display()))
}

/// The files beside a manifest.
pub fn registry(base: &Path) -> Result<Directory> {
    Directory::open(base).into_diagnostic().wrap_err_with(|| format!("can't open the directory `{}`", base.display()))
}

/// The cache of whoever has no manifest; `None` where there is none to be had.
pub fn cache() -> Option<Cache> {
    Cache::open(&cache_directory()?).inspect_err(|error| tracing::warn!(%error, "nothing is cached")).ok()
}

/// `$XDG_CACHE_HOME/burst`, or `~/.cache/burst`.
fn cache_directory() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
    Some(cache.join("burst"))
}
