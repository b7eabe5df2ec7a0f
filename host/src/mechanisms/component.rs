//! From the bytes of a component to a guest that can be made in microseconds.

use super::{
    bindings::events::Event as WitEvent,
    cache::Cache,
    imports::{FrameHandle, Grants, GuestState, TensorHandle},
    sandbox::{Capacity, Sandbox},
    snapshot::{self, Snapshot},
    statistics::Retired,
};
use crate::{
    nouns::{Digest, Event, Frame, Tensor},
    ports::{Artefact, Device},
};
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::{
    Store, Trap, UpdateDeadline,
    component::{Component, ComponentExportIndex, Instance, InstancePre, Resource},
};

/// `prepare` may take this long.
pub const PREPARE_MS_MAX: u64 = 30_000;

/// Epochs that a guest runs before others get their turn.
const SLICE_TICKS: u64 = 2;

/// How a lease starts.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// From a snapshot of the memory after `prepare`.
    Snapshot,
    /// With `prepare` in each lease, in the background.
    PrepareEach { reason: String },
    /// As compiled: the guest exports no `prepare`.
    Plain,
}

impl Start {
    /// One word for a table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::PrepareEach { .. } => "prepare",
            Self::Plain => "plain",
        }
    }
}

impl std::fmt::Display for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::PrepareEach { reason } => write!(f, "prepare in each lease ({reason})"),
            Self::Snapshot | Self::Plain => f.write_str(self.word()),
        }
    }
}

/// A guest, compiled, with what it was given.
pub struct CompiledGuest {
    sandbox: Arc<Sandbox>,
    grants: Arc<Grants>,
    pre: InstancePre<GuestState>,
    exports: Exports,
    pub digest: Digest,
    pub start: Start,
    /// Whether the code came from the cache.
    pub cached: bool,
}

/// Why a component can't be a guest.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("this is not a component: {0}")]
    Invalid(String),
    #[error("the component asks for what no guest gets: {0}")]
    Linking(String),
    #[error("the component exports neither `responder` nor `watcher` of burst:edge@0.1.0")]
    NoExport,
    #[error("the component needs {needed} {what}, a guest has at most {limit}")]
    TooLarge { what: &'static str, needed: u32, limit: u32 },
    #[error("prepare failed: {0}")]
    Prepare(String),
}

impl CompileError {
    pub(super) fn linking(error: wasmtime::Error) -> Self {
        Self::Linking(format!("{error:#}"))
    }

    pub(super) fn preparing(error: wasmtime::Error) -> Self {
        Self::Prepare(format!("{error:#}"))
    }
}

/// Where a component keeps what the host calls.
#[derive(Clone, Copy)]
pub(super) struct Exports {
    respond: Option<ComponentExportIndex>,
    watch: Option<ComponentExportIndex>,
    prepare: Option<ComponentExportIndex>,
}

impl Exports {
    pub fn of(component: &Component) -> Self {
        let find = |interface, function| {
            let outer = component.get_export_index(None, interface)?;
            component.get_export_index(Some(&outer), function)
        };
        Self {
            respond: find("burst:edge/responder@0.1.0", "respond"),
            watch: find("burst:edge/watcher@0.1.0", "watch"),
            prepare: find("burst:edge/lifecycle@0.1.0", "prepare"),
        }
    }
}

impl CompiledGuest {
    /// Compiles a component, or takes it from the cache.
    pub async fn new(
        sandbox: Arc<Sandbox>,
        cache: Option<&Cache>,
        artefact: &Artefact,
        grants: Arc<Grants>,
    ) -> Result<Self, CompileError> {
        let subject = subject(&sandbox, &grants);
        let cached = cache.and_then(|cache| cache.get(&artefact.digest, &subject));
        let cached = cached.and_then(|entry| revive(&sandbox, &entry));
        let was_cached = cached.is_some();
        let (component, start) = match cached {
            Some(revived) => revived,
            None => {
                let (component, start) = compile(&sandbox, &artefact.bytes, grants.clone()).await?;
                if let (Some(cache), Some(entry)) = (cache, entry(&component, &start)) {
                    cache.put(&artefact.digest, &subject, &entry);
                }
                (component, start)
            }
        };
        check_size(&component)?;
        let exports = Exports::of(&component);
        if exports.respond.is_none() && exports.watch.is_none() {
            return Err(CompileError::NoExport);
        }
        component.initialize_copy_on_write_image().map_err(|error| CompileError::Invalid(format!("{error:#}")))?;
        let pre = sandbox.linker.instantiate_pre(&component).map_err(CompileError::linking)?;
        Ok(Self { sandbox, grants, pre, exports, digest: artefact.digest, start, cached: was_cached })
    }

    /// Whether it answers requests.
    pub fn responds(&self) -> bool {
        self.exports.respond.is_some()
    }

    /// Whether it looks at frames.
    pub fn watches(&self) -> bool {
        self.exports.watch.is_some()
    }

    /// What it was given.
    pub fn grants(&self) -> &Arc<Grants> {
        &self.grants
    }

    /// Makes one: a new store in a pooled slot, prepared.
    pub async fn instantiate(&self) -> Result<LiveGuest, CompileError> {
        let mut store = new_store(&self.sandbox, self.grants.clone());
        // Also a snapshot runs code here: what links its core modules.
        let _running = self.sandbox.ticker.run();
        store.data_mut().begin(Instant::now() + Duration::from_millis(PREPARE_MS_MAX));
        let instance = self.pre.instantiate_async(&mut store).await.map_err(CompileError::preparing)?;
        if self.start != Start::Snapshot {
            prepare(&mut store, &instance, &self.exports).await?;
        }
        Ok(LiveGuest { sandbox: self.sandbox.clone(), store, instance, exports: self.exports })
    }
}

/// A guest that exists: its memory, its handles, and nothing of anybody else.
pub struct LiveGuest {
    sandbox: Arc<Sandbox>,
    store: Store<GuestState>,
    instance: Instance,
    exports: Exports,
}

/// Why a call ended without an answer. After [`CallError::Refused`] the guest is whole, after the others it is gone.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The guest said no; its own words.
    #[error("the guest refused: {0}")]
    Refused(String),
    /// The request doesn't fit into the guest's quota.
    #[error("{0}")]
    OverQuota(String),
    #[error("the guest failed: {0}")]
    Failed(&'static str),
    #[error("the guest asked for more than its limits allow")]
    OverLimit,
    #[error("the deadline passed")]
    TimedOut,
}

impl CallError {
    /// How the lease ends.
    pub fn retires(&self) -> Retired {
        match self {
            Self::Refused(_) | Self::OverQuota(_) => Retired::Used,
            Self::Failed(_) => Retired::Trapped,
            Self::OverLimit => Retired::OverLimit,
            Self::TimedOut => Retired::TimedOut,
        }
    }
}

/// What a guest answered, and what computed it.
pub struct Response {
    pub outputs: Vec<(String, Tensor)>,
    pub device: Option<Device>,
}

impl LiveGuest {
    /// Hands the guest named tensors and takes named tensors back.
    pub async fn respond(&mut self, inputs: Vec<(String, Tensor)>, deadline: Instant) -> Result<Response, CallError> {
        type Named = Vec<(String, Resource<TensorHandle>)>;
        let _running = self.begin(deadline);
        let give = |(name, tensor)| Ok((name, self.store.data_mut().push_tensor(tensor)?));
        let handles: Named = inputs.into_iter().map(give).collect::<Result<_, _>>().map_err(over_quota)?;
        let index = self.exports.respond.ok_or(CallError::Failed("it does not answer requests"))?;
        let answer = async {
            let respond = self.instance.get_typed_func::<(Named,), (Result<Named, String>,)>(&mut self.store, index)?;
            Ok(respond.call_async(&mut self.store, (handles,)).await?.0)
        };
        let answer = within(deadline, answer).await;
        let handles = self.judge(answer, deadline)?;
        let named_twice =
            |index: usize, (name, _): &(String, _)| handles[..index].iter().any(|(other, _)| other == name);
        if handles.iter().enumerate().any(|(index, output)| named_twice(index, output)) {
            return Err(CallError::Failed("it named an output twice"));
        }
        let state = self.store.data_mut();
        let take = |(name, handle)| Ok((name, state.take_tensor(handle)?));
        let outputs = handles.into_iter().map(take).collect::<Result<_, _>>().map_err(over_quota)?;
        Ok(Response { outputs, device: state.take_device() })
    }

    /// Hands the guest a frame and takes what it says of it.
    pub async fn watch(&mut self, frame: Frame, deadline: Instant) -> Result<Vec<Event>, CallError> {
        type Events = Result<Vec<WitEvent>, String>;
        let _running = self.begin(deadline);
        let handle = self.store.data_mut().push_frame(frame).map_err(over_quota)?;
        let index = self.exports.watch.ok_or(CallError::Failed("it does not look at frames"))?;
        let events = async {
            let watch = self.instance.get_typed_func::<(Resource<FrameHandle>,), (Events,)>(&mut self.store, index)?;
            Ok(watch.call_async(&mut self.store, (handle,)).await?.0)
        };
        let events = within(deadline, events).await;
        Ok(self.judge(events, deadline)?.into_iter().map(Event::from).collect())
    }

    fn begin(&mut self, deadline: Instant) -> super::ticker::Running {
        self.store.data_mut().begin(deadline);
        self.store.set_epoch_deadline(SLICE_TICKS);
        self.sandbox.ticker.run()
    }

    fn judge<T>(&self, answer: Option<wasmtime::Result<Result<T, String>>>, deadline: Instant) -> Result<T, CallError> {
        match answer {
            None => Err(CallError::TimedOut),
            // Most likely the guest passes on what a graph told it.
            Some(Ok(Err(_))) if Instant::now() >= deadline => Err(CallError::TimedOut),
            Some(Ok(Ok(answer))) => Ok(answer),
            Some(Ok(Err(refusal))) => Err(CallError::Refused(refusal)),
            Some(Err(error)) => Err(explain(&error, self.store.data().is_over_limit())),
        }
    }
}

/// Epochs stop a guest that computes; this stops one that waits for the host.
async fn within<T>(deadline: Instant, call: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout_at(deadline.into(), call).await.ok()
}

fn over_quota(fault: super::imports::GuestFault) -> CallError {
    match fault {
        super::imports::GuestFault::Fault(fault) => CallError::OverQuota(fault.to_string()),
        super::imports::GuestFault::Trap(_) => CallError::Failed("it gave away a handle that it does not hold"),
    }
}

/// The epoch callback's word for a deadline.
#[derive(Debug, thiserror::Error)]
#[error("the deadline passed")]
struct DeadlinePassed;

/// A fixed vocabulary: what a guest did never carries addresses or its own text to a client.
fn explain(error: &wasmtime::Error, over_limit: bool) -> CallError {
    if over_limit {
        return CallError::OverLimit;
    }
    if error.is::<DeadlinePassed>() {
        return CallError::TimedOut;
    }
    tracing::debug!(error = format!("{error:#}"), "a guest failed");
    // wasmtime keeps the type of this error to itself.
    if error.root_cause().to_string().contains("fuel allocated for hostcalls") {
        return CallError::Failed("it handed over more than call_max_bytes at once");
    }
    CallError::Failed(match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => "its stack overflowed",
        Some(Trap::MemoryOutOfBounds | Trap::HeapMisaligned) => "it reached outside its memory",
        Some(Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature) => "it called what is no function",
        Some(Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger) => {
            "its arithmetic has no result"
        }
        Some(Trap::UnreachableCodeReached) => "it panicked",
        Some(_) => "it trapped",
        None => "it broke the contract of a call",
    })
}

pub(super) fn new_store(sandbox: &Sandbox, grants: Arc<Grants>) -> Store<GuestState> {
    let limits = &grants.limits;
    let (call_max_bytes, handles_max) = (limits.call_max_bytes.get(), limits.handles_max.get());
    let mut store = Store::new(&sandbox.engine, GuestState::new(grants));
    store.limiter(|state| state);
    store.set_hostcall_fuel(call_max_bytes);
    store.set_max_component_handles(handles_max);
    store.set_epoch_deadline(SLICE_TICKS);
    store.epoch_deadline_callback(|context| {
        if Instant::now() < context.data().deadline() {
            Ok(UpdateDeadline::Yield(SLICE_TICKS))
        } else {
            Err(DeadlinePassed.into())
        }
    });
    store
}

pub(super) async fn prepare(
    store: &mut Store<GuestState>,
    instance: &Instance,
    exports: &Exports,
) -> Result<(), CompileError> {
    let Some(index) = exports.prepare else { return Ok(()) };
    let prepare =
        instance.get_typed_func::<(), (Result<(), String>,)>(&mut *store, index).map_err(CompileError::linking)?;
    let deadline = store.data().deadline();
    let Some(outcome) = within(deadline, prepare.call_async(&mut *store, ())).await else {
        return Err(CompileError::Prepare("it took too long".into()));
    };
    outcome.map_err(CompileError::preparing)?.0.map_err(CompileError::Prepare)
}

async fn compile(
    sandbox: &Arc<Sandbox>,
    wasm: &Bytes,
    grants: Arc<Grants>,
) -> Result<(Component, Start), CompileError> {
    let component = build(sandbox, wasm.clone()).await?;
    check_size(&component)?;
    if Exports::of(&component).prepare.is_none() {
        return Ok((component, Start::Plain));
    }
    match snapshot::take(sandbox, wasm, grants).await? {
        Snapshot::Taken(snapshot) => Ok((build(sandbox, snapshot.into()).await?, Start::Snapshot)),
        Snapshot::Refused(reason) => Ok((component, Start::PrepareEach { reason })),
    }
}

/// Compiles off the reactor: it takes tens of milliseconds and both cores.
pub(super) async fn build(sandbox: &Sandbox, wasm: Bytes) -> Result<Component, CompileError> {
    let engine = sandbox.engine.clone();
    let built = tokio::task::spawn_blocking(move || Component::from_binary(&engine, &wasm)).await;
    let invalid = |why: &dyn std::fmt::Display| CompileError::Invalid(format!("{why:#}"));
    built.map_err(|error| invalid(&error))?.map_err(|error| invalid(&error))
}

fn check_size(component: &Component) -> Result<(), CompileError> {
    let check = |what, needed, limit| {
        if needed <= limit { Ok(()) } else { Err(CompileError::TooLarge { what, needed, limit }) }
    };
    let Some(needed) = component.resources_required() else {
        return Err(CompileError::Linking("core modules, which only a host process may give".into()));
    };
    check("linear memories", needed.num_memories, Capacity::MEMORIES)?;
    check("tables", needed.num_tables, Capacity::TABLES)
}

/// Everything besides the component itself that the compiled code depends on.
fn subject(sandbox: &Sandbox, grants: &Grants) -> Vec<u8> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    sandbox.engine.precompile_compatibility_hash().hash(&mut hasher);
    let models: Vec<_> = grants.models.iter().map(|(name, model)| format!("{name}{}", model.signature())).collect();
    format!("burst {} {:016x} {}", env!("CARGO_PKG_VERSION"), hasher.finish(), models.join(";")).into_bytes()
}

/// How a compiled guest is kept: how it starts as one line of JSON, then the code.
fn entry(component: &Component, start: &Start) -> Option<Vec<u8>> {
    let mut entry = serde_json::to_vec(&start.kept()).ok()?;
    entry.push(b'\n');
    entry.extend(component.serialize().ok()?);
    Some(entry)
}

fn revive(sandbox: &Sandbox, entry: &[u8]) -> Option<(Component, Start)> {
    let line = entry.iter().position(|&byte| byte == b'\n')?;
    let kept: Option<String> = serde_json::from_slice(&entry[..line]).ok()?;
    // SAFETY: the cache gives back only bytes that this node signed, and it signs only what `Component::serialize` made.
    let component = unsafe { Component::deserialize(&sandbox.engine, &entry[line + 1..]) }.ok()?;
    let plain = Exports::of(&component).prepare.is_none();
    let start = match kept {
        Some(reason) => Start::PrepareEach { reason },
        None if plain => Start::Plain,
        None => Start::Snapshot,
    };
    Some((component, start))
}

impl Start {
    /// What can't be told from the component: why it has no snapshot.
    fn kept(&self) -> Option<&str> {
        match self {
            Self::PrepareEach { reason } => Some(reason),
            Self::Snapshot | Self::Plain => None,
        }
    }
}
