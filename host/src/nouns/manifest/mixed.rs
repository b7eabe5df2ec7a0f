//! What may compute fragments of cut models beside the accelerator.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Another accelerator of this box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MixedChoice {
    /// The one that `device` names, else a hardware GPU.
    Gpu,
    OnnxRuntime,
    Cpu,
    /// The one of the section `npu`.
    Npu,
}
