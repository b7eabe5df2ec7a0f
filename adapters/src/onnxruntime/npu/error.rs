//! Why there is no NPU, and what to do about it.

use super::super::LibraryError;
use burst_host::nouns::manifest::NpuProvider;

/// An NPU that can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NpuError {
    #[error("no NPU is named: set npu.provider to openvino, qnn or vitisai")]
    Unnamed,
    #[error("npu.device = \"{0}\" lets the provider choose the device; name one")]
    ManyDevices(String),
    #[error("{0}")]
    Library(LibraryError),
    #[error("ONNX Runtime {version} has no {provider} provider built in; it has {}", .found.join(", "))]
    NoProvider { provider: NpuProvider, version: String, found: Vec<String> },
    #[error("the {provider} provider's library {library} can't be loaded: {reason}")]
    Plugin { provider: NpuProvider, library: String, reason: String },
    #[error("the {provider} provider has no device `{device}` that computes ({reason}); found: {}", .found.join(", "))]
    NoDevice { provider: NpuProvider, device: String, reason: String, found: Vec<String> },
}

impl NpuError {
    /// What an operator can do about it.
    pub fn help(&self) -> &'static str {
        let provider = match self {
            Self::Unnamed | Self::ManyDevices(_) => {
                return "burst never chooses an NPU by itself, and never lets another device stand in for one";
            }
            Self::Library(_) => return LibraryError::HELP,
            Self::NoProvider { provider, .. } | Self::Plugin { provider, .. } | Self::NoDevice { provider, .. } => {
                provider
            }
        };
        match provider {
            NpuProvider::OpenVino => {
                "`pip install onnxruntime-openvino` brings an ONNX Runtime with OpenVINO: name its directory \
                 onnxruntime/capi with `onnxruntime.library` or ORT_DYLIB_PATH. The NPU needs Intel's driver \
                 (/dev/accel/accel0; packages intel-driver-compiler-npu and intel-level-zero-npu)"
            }
            NpuProvider::Qnn => {
                "`pip install onnxruntime-qnn` brings the provider as a plugin: name its library with `npu.library`. The \
                 NPU needs Qualcomm's FastRPC driver"
            }
            NpuProvider::VitisAi => {
                "AMD's Ryzen AI software brings an ONNX Runtime with VitisAI: name its library with `onnxruntime.library` \
                 or ORT_DYLIB_PATH. The NPU needs the amdxdna driver (/dev/accel/accel0)"
            }
        }
    }
}
