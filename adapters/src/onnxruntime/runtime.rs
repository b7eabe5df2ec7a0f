//! ONNX Runtime in this process: one library, one environment, one thread pool and one arena for all sessions.

use super::library::{self, LibraryError};
use ort::{
    AsPointer,
    environment::{Environment, GlobalThreadPoolOptions},
    logging::LogLevel,
    memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType},
    session::{Session, builder::SessionBuilder},
    sys,
};
use std::{
    ffi::{CStr, c_char},
    num::{NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    ptr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// What the process-wide environment is made with. Those who come later get the environment of who came first.
#[derive(Clone, Debug)]
pub struct Options {
    /// The library, or a directory that holds it. The environment variable and the usual places when left out.
    pub library: Option<PathBuf>,
    /// Threads that compute one operator together, the calling one included.
    pub threads: NonZeroUsize,
    /// What sessions may allocate together, weights that they pack included; no limit when left out.
    pub arena_max_bytes: Option<NonZeroU64>,
}

/// The environment and what sessions share. It is never torn down: ONNX Runtime can't be set up twice in a process.
pub(super) struct Runtime {
    pub environment: Environment,
    /// Describes host memory to ONNX Runtime.
    pub host: MemoryInfo<'static>,
    /// `1.31.1`
    pub version: String,
    /// The shared arena as a session sees it: the environment's own view of it has no statistics.
    arena: OnceLock<Mutex<Allocator>>,
}

static RUNTIME: Mutex<Option<Arc<Runtime>>> = Mutex::new(None);

impl Runtime {
    /// The runtime of this process, which is started by the first call that finds a library. Later options are ignored.
    pub(super) fn start(options: &Options) -> Result<Arc<Self>, LibraryError> {
        let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
        match &*runtime {
            Some(started) => Ok(started.clone()),
            None => {
                let started = Arc::new(Self::new(options, &library::find(options.library.as_deref())?)?);
                *runtime = Some(started.clone());
                Ok(started)
            }
        }
    }

    fn new(options: &Options, library: &Path) -> Result<Self, LibraryError> {
        let failed = |error: ort::Error| LibraryError::NotStarted(error.to_string());
        let version = version(library)?;
        // Refuses a version that lacks functions which are called here.
        let builder = ort::init_from(library).map_err(|error| LibraryError::NotLoadable(error.to_string()))?;
        let threads = GlobalThreadPoolOptions::default();
        let threads = threads.with_intra_threads(options.threads.get()).map_err(failed)?;
        // One operator after the other: guests that run at the same time fill the cores.
        let threads = threads.with_inter_threads(1).map_err(failed)?;
        // Threads that wait for the next operator spin for a moment before they sleep: to wake them costs a quarter of the
        // time of a small model. With nothing to compute they sleep.
        let threads = threads.with_spin_control(true).map_err(failed)?;
        let builder = builder.with_name("burst").with_telemetry(false).with_global_thread_pool(threads);
        let environment = builder.with_logger(Arc::new(log)).build().map_err(failed)?;
        environment.set_log_level(LogLevel::Warning);
        let host = MemoryInfo::default();
        share_arena(&environment, options.arena_max_bytes).map_err(failed)?;
        Ok(Self { environment, host, version, arena: OnceLock::new() })
    }

    /// A builder of sessions on ONNX Runtime's own CPU kernels. ort lets ONNX Runtime choose where no provider is named: with
    /// a plugin in the process that would be another one.
    pub(super) fn on_cpu(&self) -> ort::Result<SessionBuilder> {
        let cpu = self.environment.devices().find(|device| device.ep().is_ok_and(|ep| ep == "CPUExecutionProvider"));
        let cpu = cpu.ok_or_else(|| ort::Error::new("ONNX Runtime shows no CPU"))?;
        Ok(Session::builder(&self.environment)?.with_devices([cpu], None)?)
    }

    /// Takes note of the arena that the sessions share, once there is one of them.
    pub(super) fn note_arena(&self, session: &Session) -> ort::Result<()> {
        if self.arena.get().is_none() {
            let allocator = Allocator::new(session, arena_info()?)?;
            // Only fails where another session was quicker.
            let _ = self.arena.set(Mutex::new(allocator));
        }
        Ok(())
    }

    /// What the arena holds; `None` before the first session.
    pub(super) fn arena(&self) -> Option<Arena> {
        let allocator = self.arena.get()?.lock().unwrap_or_else(PoisonError::into_inner);
        let (api, mut statistics) = (ort::api(), ptr::null_mut());
        // SAFETY: the allocator is alive; the result is checked before it is used.
        unsafe { check((api.AllocatorGetStats)(allocator.ptr(), &mut statistics)) }.ok()?;
        if statistics.is_null() {
            return None;
        }
        let value = |key: &CStr| {
            // SAFETY: the statistics are released below only, and a value is a string that they own.
            let text = unsafe { text((api.GetKeyValue)(statistics, key.as_ptr())) };
            text.and_then(|text| text.parse().ok())
        };
        let (held, used) = (value(c"TotalAllocated"), value(c"InUse"));
        // SAFETY: nothing refers to the statistics any more.
        unsafe { (api.ReleaseKeyValuePairs)(statistics) };
        Some(Arena { held_bytes: held?, used_bytes: used? })
    }
}

/// What the shared arena holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arena {
    /// Taken from the system.
    pub held_bytes: u64,
    /// Of these, in use by weights, values of runs, and results that somebody still has.
    pub used_bytes: u64,
}

/// Host memory by the arena. Memory of another type would be registered without one, and its limit ignored.
fn arena_info() -> ort::Result<MemoryInfo<'static>> {
    MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Arena, MemoryType::Default)
}

/// Gives all sessions one arena, which never grows above its limit.
fn share_arena(environment: &Environment, max_bytes: Option<NonZeroU64>) -> ort::Result<()> {
    let info = arena_info()?;
    let keys = [c"max_mem".as_ptr(), c"arena_extend_strategy".as_ptr()];
    // 0 is no limit; a strategy of 1 takes what is asked for, where the default takes twice as much each time.
    let values = [max_bytes.map_or(0, |bytes| bytes.get() as usize), 1];
    let (api, mut config) = (ort::api(), ptr::null_mut());
    // SAFETY: keys and values are of one length and live through the call; the configuration is released once the
    // allocator has copied it.
    unsafe {
        check((api.CreateArenaCfgV2)(keys.as_ptr(), values.as_ptr(), keys.len(), &mut config))?;
        let registered = check((api.CreateAndRegisterAllocator)(environment.ptr().cast_mut(), info.ptr(), config));
        (api.ReleaseArenaCfg)(config);
        registered
    }
}

/// The error behind a status, which is released.
///
/// # Safety
/// The status is one that ONNX Runtime returned and that nobody has released.
pub(super) unsafe fn check(status: sys::OrtStatusPtr) -> ort::Result<()> {
    // SAFETY: as the caller says.
    unsafe { ort::Error::result_from_status(status) }
}

/// A string of ONNX Runtime's.
///
/// # Safety
/// The pointer is null or points to a string that ends with a zero and lives as long as the result is used.
unsafe fn text<'a>(pointer: *const c_char) -> Option<&'a str> {
    // SAFETY: as the caller says.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) })?.to_str().ok()
}

/// What the library calls its version: `1.31.1`.
fn version(library: &Path) -> Result<String, LibraryError> {
    let not_loadable = |error: libloading::Error| LibraryError::NotLoadable(error.to_string());
    // SAFETY: this runs the library's initialisers; it is the library that is about to be used for everything else.
    let library = unsafe { libloading::Library::new(library) }.map_err(not_loadable)?;
    // SAFETY: the type is that of ONNX Runtime's C API since its first version.
    let base = unsafe { library.get::<unsafe extern "C" fn() -> *const sys::OrtApiBase>(b"OrtGetApiBase") };
    let base = base.map_err(not_loadable)?;
    // SAFETY: the base is static, and `text` checks the string that its function returns.
    let version = unsafe { base().as_ref().and_then(|base| text((base.GetVersionString)())).map(str::to_owned) };
    version.ok_or_else(|| LibraryError::NotLoadable("it does not tell its version".into()))
}

/// Passes on what ONNX Runtime logs. An error comes back from the call that failed, too: a guest must not fill the log.
fn log(level: LogLevel, category: &str, _: &str, location: &str, message: &str) {
    tracing::debug!(target: "onnxruntime", ?level, category, location, message);
}
