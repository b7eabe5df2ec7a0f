//! Which NPU computes graphs, and at which shapes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, num::NonZeroUsize, path::PathBuf, str::FromStr};

/// The NPU behind `accelerator = "npu"`: an execution provider of ONNX Runtime.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NpuConfig {
    /// `openvino`, `qnn` or `vitisai`. An NPU is never chosen by itself.
    pub provider: Option<NpuProvider>,
    /// The device by its provider's name: `NPU` of OpenVINO, `htp` of QNN. The provider's NPU when left out.
    pub device: Option<String>,
    /// The provider's plugin library, where ONNX Runtime's own library has it not built in.
    pub library: Option<PathBuf>,
    /// The provider's own options, passed on as they are.
    pub options: BTreeMap<String, String>,
    /// Lengths of axes that a model leaves open, by the axis's name, or `<input>.<axis>` for one without: a program is
    /// compiled for each combination. Requests of other lengths are refused.
    pub buckets: BTreeMap<String, Vec<NonZeroUsize>>,
    /// Axes along which shorter requests are filled with zeros up to the next bucket, and answers cut again: right where
    /// the model computes each row by itself, such as the axis of a batch.
    pub pad: Vec<String>,
}

/// Execution providers that drive NPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NpuProvider {
    /// Intel.
    OpenVino,
    /// Qualcomm.
    Qnn,
    /// AMD.
    VitisAi,
}

impl fmt::Display for NpuProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenVino => "openvino",
            Self::Qnn => "qnn",
            Self::VitisAi => "vitisai",
        })
    }
}

impl FromStr for NpuProvider {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let all = [Self::OpenVino, Self::Qnn, Self::VitisAi];
        let found = all.into_iter().find(|provider| provider.to_string() == word);
        found.ok_or_else(|| format!("`{word}` is none of openvino, qnn, vitisai"))
    }
}
