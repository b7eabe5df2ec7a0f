//! From the bytes of a component to a guest that can be made in microseconds.

use super::{
    address_space::Capacity,
    cache::Cache,
    imports::{Grants, GuestState},
    live::{LiveGuest, new_store, prepare},
    sandbox::Sandbox,
    snapshot::{self, Snapshot},
};
use crate::{nouns::Digest, ports::Artefact};
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

/// `prepare` may take this long.
pub const PREPARE_MS_MAX: u64 = 30_000;

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
    pub respond: Option<ComponentExportIndex>,
    pub watch: Option<ComponentExportIndex>,
    pub prepare: Option<ComponentExportIndex>,
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
        let name = Digest::of(&[artefact.digest.as_bytes(), subject.as_slice()].concat());
        let cached = cache.and_then(|cache| cache.get(&name, &subject));
        let cached = cached.and_then(|entry| revive(&sandbox, &entry));
        let was_cached = cached.is_some();
        let (component, start) = match cached {
            Some(revived) => revived,
            None => {
                let (component, start) = compile(&sandbox, &artefact.bytes, grants.clone()).await?;
                if let (Some(cache), Some(entry)) = (cache, entry(&component, &start)) {
                    cache.put(&name, &subject, &entry);
                }
                (component, start)
            }
        };
        check_size(&sandbox, &component)?;
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
        store.data_mut().begin_prepare(Instant::now() + Duration::from_millis(PREPARE_MS_MAX));
        let instance = self.pre.instantiate_async(&mut store).await.map_err(CompileError::preparing)?;
        if self.start != Start::Snapshot {
            prepare(&mut store, &instance, &self.exports).await?;
        }
        Ok(LiveGuest { sandbox: self.sandbox.clone(), store, instance, exports: self.exports })
    }
}

async fn compile(
    sandbox: &Arc<Sandbox>,
    wasm: &Bytes,
    grants: Arc<Grants>,
) -> Result<(Component, Start), CompileError> {
    let component = build(sandbox, wasm.clone()).await?;
    check_size(sandbox, &component)?;
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

/// Linear memories that the modules of a component define, at least 1; `None` of what is no component.
pub fn memories(component: &[u8]) -> Option<u32> {
    let mut memories = 0;
    for payload in wasmparser::Parser::new(0).parse_all(component) {
        if let wasmparser::Payload::MemorySection(section) = payload.ok()? {
            memories += section.count();
        }
    }
    Some(memories.max(1))
}

fn check_size(sandbox: &Sandbox, component: &Component) -> Result<(), CompileError> {
    let check = |what, needed, limit| {
        if needed <= limit { Ok(()) } else { Err(CompileError::TooLarge { what, needed, limit }) }
    };
    let Some(needed) = component.resources_required() else {
        return Err(CompileError::Linking("core modules, which only a host process may give".into()));
    };
    check("linear memories", needed.num_memories, sandbox.memories_max())?;
    check("tables", needed.num_tables, Capacity::TABLES)
}

/// Everything besides the component itself that the compiled code depends on: `prepare` may have read its models.
fn subject(sandbox: &Sandbox, grants: &Grants) -> Vec<u8> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    sandbox.engine.precompile_compatibility_hash().hash(&mut hasher);
    let models: Vec<_> = grants.digests.iter().map(|(name, digest)| format!("{name}={digest}")).collect();
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
