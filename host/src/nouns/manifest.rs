//! What the operator wants: guests, models, cameras, limits. Every queue, pool and buffer takes its size from here.

mod accelerator;
mod cluster;
mod mixed;
mod npu;

use super::{Element, Extent, Port, VocabularyEntry};
pub use accelerator::{AcceleratorChoice, Fallback, Fallbacks, Math, OnnxRuntimeConfig};
pub use cluster::{Cluster, Papers};
pub use mixed::MixedChoice;
pub use npu::{NpuConfig, NpuProvider};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
};

/// A whole manifest. Paths in it are relative to its own directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Manifest {
    pub server: Server,
    /// What computes every graph.
    pub accelerator: AcceleratorChoice,
    /// A part of the GPU's name or driver, where `accelerator` is `gpu` or `mixed` names one. A driver that computes on the CPU is taken only
    /// by its name.
    pub device: Option<String>,
    /// What the process may hold in memory. The limit of its control group when left out, else what the machine has. Of a
    /// cut model that is larger, fragments are read from disk for each run.
    pub memory_max_bytes: Option<NonZeroU64>,
    /// Device memory for everything together: models, plans, tensors and buffers kept for the next ones. What the driver
    /// gives when left out.
    pub device_max_bytes: Option<NonZeroUsize>,
    /// What computes the models that the accelerator lacks an operator of, or a list, the first one first; such a model
    /// is refused when left out.
    pub fallback: Fallbacks,
    /// Other accelerators of this box that may compute fragments of cut models: each fragment is measured on all of them
    /// when its model is loaded, and computed where one run of the model takes the least time. Everything is computed on
    /// the accelerator alone when left out, and where a model is larger than memory.
    pub mixed: Vec<MixedChoice>,
    /// How ONNX Runtime is loaded.
    pub onnxruntime: OnnxRuntimeConfig,
    /// Which NPU computes, where `accelerator` is `npu`.
    pub npu: NpuConfig,
    /// What may be compiled and kept on disk.
    pub cache: Cache,
    /// The cluster that this node belongs to; it stands alone when left out.
    pub cluster: Option<Cluster>,
    /// By the name that guests open them with.
    pub cameras: BTreeMap<String, Camera>,
    /// By the name that clients call them with.
    pub guests: BTreeMap<String, Guest>,
}

/// Sockets and their limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Open Inference Protocol and events.
    pub http: SocketAddr,
    /// Prometheus.
    pub metrics: SocketAddr,
    /// The largest request body, after decompression.
    pub body_max_bytes: NonZeroUsize,
    /// Open connections; one more waits in the kernel's backlog.
    pub connections_max: NonZeroUsize,
    /// From the first byte of a request to the end of its headers.
    pub header_timeout_ms: NonZeroU64,
    /// From the end of the headers to the end of the body.
    pub body_timeout_ms: NonZeroU64,
    /// How long requests in flight may go on after SIGTERM.
    pub drain_ms: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 8000)),
            metrics: SocketAddr::from(([127, 0, 0, 1], 8002)),
            body_max_bytes: nonzero(64 << 20),
            connections_max: nonzero(4096),
            header_timeout_ms: nonzero_u64(5_000),
            body_timeout_ms: nonzero_u64(30_000),
            drain_ms: 10_000,
        }
    }
}

/// Compiled guests on disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Compiled guests and the key that signs them. The user's cache directory when left out.
    pub directory: Option<PathBuf>,
}

/// A camera, or what stands for one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    /// `{ scene = {} }` or `{ replay = { path = "…" } }`.
    pub source: CameraSource,
    /// A frame that waited longer is dropped: a camera that waits shows the past.
    #[serde(default = "max_age_ms")]
    pub max_age_ms: NonZeroU64,
}

fn max_age_ms() -> NonZeroU64 {
    nonzero_u64(500)
}

/// Where a camera's frames come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum CameraSource {
    /// A directory of PNG and JPEG images in the order of their names, or a `.y4m` file; over and over.
    Replay {
        path: PathBuf,
        /// Frames per second; a `.y4m` file's own rate when left out, else 5.
        fps: Option<f32>,
    },
    /// A drawn shop with people walking through it.
    Scene {
        #[serde(default = "scene_width")]
        width: NonZeroU32,
        #[serde(default = "scene_height")]
        height: NonZeroU32,
        #[serde(default = "scene_fps")]
        fps: f32,
        /// The same seed draws the same scene.
        #[serde(default)]
        seed: u64,
    },
}

fn scene_width() -> NonZeroU32 {
    NonZeroU32::new(640).unwrap_or(NonZeroU32::MIN)
}

fn scene_height() -> NonZeroU32 {
    NonZeroU32::new(480).unwrap_or(NonZeroU32::MIN)
}

fn scene_fps() -> f32 {
    5.0
}

/// One guest and what it is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guest {
    /// Where the component is.
    pub component: String,
    /// Models that it may open, by the name that it opens them with.
    #[serde(default)]
    pub models: BTreeMap<String, String>,
    /// What a request must and may carry; anything when left out.
    #[serde(default)]
    pub inputs: Vec<PortConfig>,
    /// What an answer carries, for clients that ask.
    #[serde(default)]
    pub outputs: Vec<PortConfig>,
    /// Cameras whose frames it may see. A guest with cameras can't answer requests.
    #[serde(default)]
    pub cameras: Vec<String>,
    /// What it may say of the frames.
    #[serde(default)]
    pub vocabulary: Vec<VocabularyEntry>,
    /// Events per camera and second; more are dropped and counted.
    #[serde(default = "events_per_second")]
    pub events_per_second: NonZeroU32,
    #[serde(default)]
    pub pool: PoolConfig,
    #[serde(default)]
    pub limits: Limits,
    /// For guests with a model that keeps states.
    #[serde(default)]
    pub sequences: SequencesConfig,
}

fn events_per_second() -> NonZeroU32 {
    NonZeroU32::new(100).unwrap_or(NonZeroU32::MIN)
}

/// How leases are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PoolConfig {
    /// Leases kept ready through silence.
    pub ready: usize,
    /// Ready and busy leases together.
    pub max: NonZeroUsize,
    /// Requests that may wait for a lease; one more is answered 429 at once.
    pub queue_max: usize,
    pub reuse: Reuse,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { ready: 8, max: nonzero(128), queue_max: 1024, reuse: Reuse::Never }
    }
}

/// How long a guest lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reuse {
    /// One request or one frame: no request sees another's memory.
    #[default]
    Never,
    /// The frames of one camera, up to [`Reuse::LANE_CALLS_MAX`] of them or [`Reuse::LANE_MS_MAX`].
    Lane,
}

impl Reuse {
    /// Frames after which a lane's guest is retired.
    pub const LANE_CALLS_MAX: u32 = 1_000;
    /// Milliseconds after which a lane's guest is retired.
    pub const LANE_MS_MAX: u64 = 60_000;
}

/// What one lease may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// For one request or one frame, waiting for a lease included.
    pub deadline_ms: NonZeroU64,
    /// Linear memory. At most 256 MiB: copying within it can't be interrupted.
    pub memory_max_bytes: NonZeroUsize,
    /// Tensors that the guest holds at once, in bytes; and each result inside of a graph.
    pub tensor_max_bytes: NonZeroUsize,
    /// Device memory of all leases of the guest together, in bytes: tensors, and graphs that they build with weights and
    /// plans. As much again for each model that it opens, whoever shares it. Whatever the device, what a run of a graph
    /// holds at its worst moment.
    pub device_max_bytes: NonZeroUsize,
    /// Graph runs of all leases together that are on the device and not done; the next one waits.
    pub device_runs_max: NonZeroUsize,
    /// Operations of one graph run: a multiplication with what is added to it is one.
    pub graph_operations_max: NonZeroU64,
    /// Handles that the guest holds at once.
    pub handles_max: NonZeroUsize,
    /// What one call may hand to the host as lists and strings, in bytes.
    pub call_max_bytes: NonZeroUsize,
}

impl Limits {
    /// The most linear memory that a manifest may ask for.
    pub const MEMORY_CEILING_BYTES: usize = 256 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline_ms: nonzero_u64(1_000),
            memory_max_bytes: nonzero(64 << 20),
            tensor_max_bytes: nonzero(128 << 20),
            device_max_bytes: nonzero(1 << 30),
            device_runs_max: nonzero(32),
            graph_operations_max: nonzero_u64(1 << 40),
            handles_max: nonzero(1024),
            call_max_bytes: nonzero(16 << 20),
        }
    }
}

/// Requests that belong together, whose states the host keeps from one to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SequencesConfig {
    /// Sequences that are open at once; a request that begins one more is answered 429.
    pub max: NonZeroUsize,
    /// A sequence that nobody goes on with for so long has ended.
    pub idle_ms: NonZeroU64,
    /// States of all sequences together, in bytes; those that nodes of a cluster keep are not among them.
    pub state_max_bytes: NonZeroUsize,
}

impl Default for SequencesConfig {
    fn default() -> Self {
        Self { max: nonzero(16), idle_ms: nonzero_u64(60_000), state_max_bytes: nonzero(1 << 30) }
    }
}

/// An input or output as the Open Inference Protocol shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PortConfig {
    pub name: String,
    /// `FP32`, `INT64`, …; any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datatype: Option<Element>,
    /// Extents, outermost first, -1 for any; any number of axes when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<i64>>,
    /// Whether a request may leave it out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

impl From<&PortConfig> for Port {
    fn from(config: &PortConfig) -> Self {
        let extent = |&extent: &i64| usize::try_from(extent).map_or(Extent::Any, Extent::Fixed);
        Self {
            name: config.name.clone(),
            element: config.datatype,
            shape: config.shape.as_ref().map(|shape| shape.iter().map(extent).collect()),
            optional: config.optional,
        }
    }
}

/// What is wrong with a manifest that parses, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ManifestError {
    /// Keys from the root: `guests`, `digits`, `pool`, `ready`.
    pub path: Vec<String>,
    pub reason: String,
}

impl Manifest {
    /// Checks what the types can't say: names, references between parts, limits that contradict each other.
    pub fn check(&self) -> Result<(), ManifestError> {
        for (name, camera) in &self.cameras {
            check_name(&["cameras", name])?;
            camera.check(name)?;
        }
        for (name, guest) in &self.guests {
            guest.check(name)?;
            for camera in &guest.cameras {
                let known = self.cameras.contains_key(camera);
                require(known, &["guests", name, "cameras"], || format!("there is no camera `{camera}`"))?;
            }
        }
        // The nodes of a cluster measure fragments on one accelerator each.
        require(self.mixed.is_empty() || self.cluster.is_none(), &["mixed"], || {
            "a node of a cluster computes all of its fragments on `accelerator`: leave out `mixed`".into()
        })?;
        self.check_leases()
    }

    /// A node of a cluster makes room for releases at its start, and its own guests have to fit there.
    fn check_leases(&self) -> Result<(), ManifestError> {
        let reserved = self.cluster.as_ref().and_then(|cluster| cluster.leases_max).map_or(u32::MAX, NonZeroU32::get);
        let own = self.leases();
        require(own <= reserved as usize, &["cluster", "leases_max"], || {
            format!("pool.max of all guests comes to {own}, above leases_max ({reserved})")
        })
    }

    /// Leases of all guests together.
    pub fn leases(&self) -> usize {
        self.guests.values().map(|guest| guest.pool.max.get()).fold(0, usize::saturating_add)
    }
}

impl Camera {
    fn check(&self, name: &str) -> Result<(), ManifestError> {
        let fps = match self.source {
            CameraSource::Replay { fps, .. } => fps,
            CameraSource::Scene { fps, width, height, .. } => {
                require(width.get() <= 8192 && height.get() <= 8192, &["cameras", name], || {
                    "a scene is at most 8192 pixels wide and high".into()
                })?;
                Some(fps)
            }
        };
        require(fps.is_none_or(|fps| (0.001..=1000.0).contains(&fps)), &["cameras", name, "fps"], || {
            "fps is at least 0.001 and at most 1000".into()
        })
    }
}

impl Guest {
    /// Checks what concerns it alone.
    pub(super) fn check(&self, name: &str) -> Result<(), ManifestError> {
        let at = |key| ["guests", name, key];
        check_name(&["guests", name])?;
        super::Vocabulary::new(self.vocabulary.iter().cloned())
            .map(drop)
            .or_else(|id| require(false, &at("vocabulary"), || format!("id {id} occurs twice")))?;
        require(self.pool.ready <= self.pool.max.get(), &["guests", name, "pool", "ready"], || {
            format!("ready ({}) is above max ({})", self.pool.ready, self.pool.max)
        })?;
        let memory = self.limits.memory_max_bytes.get();
        require(memory <= Limits::MEMORY_CEILING_BYTES, &["guests", name, "limits", "memory_max_bytes"], || {
            format!("at most {} bytes: copying within guest memory can't be interrupted", Limits::MEMORY_CEILING_BYTES)
        })?;
        check_ports(&self.inputs, &at("inputs"))?;
        check_ports(&self.outputs, &at("outputs"))
    }
}

fn check_ports(ports: &[PortConfig], path: &[&str]) -> Result<(), ManifestError> {
    for (index, port) in ports.iter().enumerate() {
        let twice = ports[..index].iter().any(|other| other.name == port.name);
        require(!twice, path, || format!("`{}` occurs twice", port.name))?;
        let shape = port.shape.as_deref().unwrap_or_default();
        require(shape.len() <= super::Shape::RANK_MAX, path, || format!("`{}` has too many axes", port.name))?;
        require(shape.iter().all(|&extent| extent >= -1), path, || {
            format!("an extent of `{}` is below -1; -1 means any", port.name)
        })?;
    }
    Ok(())
}

fn check_name(path: &[&str]) -> Result<(), ManifestError> {
    let name = path.last().copied().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let good = !name.is_empty() && name.len() <= 128 && name.chars().all(plain) && !name.starts_with('.');
    require(good, path, || format!("`{name}` is not a name: letters, digits, `-`, `_` and `.`, at most 128 of them"))
}

fn require(holds: bool, path: &[&str], reason: impl FnOnce() -> String) -> Result<(), ManifestError> {
    if holds {
        return Ok(());
    }
    Err(ManifestError { path: path.iter().map(ToString::to_string).collect(), reason: reason() })
}

const fn nonzero(value: usize) -> NonZeroUsize {
    match NonZeroUsize::new(value) {
        Some(value) => value,
        None => NonZeroUsize::MIN,
    }
}

const fn nonzero_u64(value: u64) -> NonZeroU64 {
    match NonZeroU64::new(value) {
        Some(value) => value,
        None => NonZeroU64::MIN,
    }
}
