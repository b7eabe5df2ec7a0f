//! The outside world behind the ports of `burst-host`: models, devices, cameras, sinks, registries and client protocols.
//!
//! Nothing here knows wasmtime; nothing in `burst-host` knows what is here.

pub mod api;
pub mod budget;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod constants;
pub mod cost;
pub mod cpu;
pub mod fabric;
pub mod fallback;
pub mod frames;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod keys;
pub mod memory;
pub mod mixed;
pub mod onnx;
#[cfg(feature = "onnxruntime")]
pub mod onnxruntime;
pub mod registry;
pub mod sinks;
