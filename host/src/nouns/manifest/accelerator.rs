//! What computes graphs, and what stands in for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
};

/// What computes graphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AcceleratorChoice {
    /// A hardware GPU, else ONNX Runtime where its library is, else the CPU; `burst doctor` says which and why.
    #[default]
    Auto,
    /// tract: pure Rust, no library.
    Cpu,
    Gpu,
    /// ONNX Runtime on the CPU, from a shared library.
    OnnxRuntime,
    /// The NPU of the section `npu`, and nothing else.
    Npu,
}

/// What stands in for the accelerator, a model at a time. Answers say what computed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    OnnxRuntime,
    Cpu,
}

/// Accelerators that stand in, the first one first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "OneOrMany", into = "Vec<Fallback>")]
#[schemars(with = "OneOrMany")]
pub struct Fallbacks(pub Vec<Fallback>);

/// How a manifest writes them.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "`onnxruntime`, `cpu`, or a list of them")]
enum OneOrMany {
    One(Fallback),
    Many(Vec<Fallback>),
}

impl From<OneOrMany> for Fallbacks {
    fn from(written: OneOrMany) -> Self {
        Self(match written {
            OneOrMany::One(fallback) => vec![fallback],
            OneOrMany::Many(fallbacks) => fallbacks,
        })
    }
}

impl From<Fallbacks> for Vec<Fallback> {
    fn from(Fallbacks(fallbacks): Fallbacks) -> Self {
        fallbacks
    }
}

/// How ONNX Runtime is loaded, for the whole process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OnnxRuntimeConfig {
    /// The shared library, or a directory that holds it. `$ORT_DYLIB_PATH` and the usual places when left out.
    pub library: Option<PathBuf>,
    /// Threads that compute; the cores of the machine when left out.
    pub threads: Option<NonZeroUsize>,
    /// What models may allocate together: weights that are packed, and values while they run. The memory of the process
    /// when left out.
    pub arena_max_bytes: Option<NonZeroU64>,
    pub math: Math,
}

/// How closely the numbers of quantised models are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Math {
    /// As the model says.
    #[default]
    Exact,
    /// Activations may be rounded to 8 bits where weights have few bits.
    Fast,
}
