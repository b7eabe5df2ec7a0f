//! ONNX Runtime's errors as faults, by what the caller can do.

use super::empty_batch;
use burst_host::nouns::Fault;
use ort::ErrorCode;

/// Longer messages are cut: ONNX Runtime prints whole shapes and paths into them.
const TEXT_MAX: usize = 400;

/// A call around a run that failed: the tensor is at fault.
pub(super) fn of_call(error: ort::Error) -> Fault {
    Fault::Invalid(short(error.message()))
}

/// A model that can't be loaded.
pub(super) fn of_load(error: ort::Error) -> Fault {
    match exhausted(error.message()) {
        true => Fault::OutOfMemory,
        false => unsupported(error.message()),
    }
}

/// A run that failed.
pub(super) fn of_run(error: ort::Error) -> Fault {
    let message = error.message();
    match error.code() {
        // The deadline passed, or nobody waits for the answer any more.
        _ if message.contains("terminate flag") => Fault::TimedOut,
        _ if exhausted(message) => Fault::OutOfMemory,
        _ if message.contains(empty_batch::NAME) || lacking(message) => unsupported(message),
        ErrorCode::NotImplemented => unsupported(message),
        ErrorCode::DeviceReset => Fault::DeviceLost,
        _ => Fault::Invalid(short(message)),
    }
}

fn unsupported(message: &str) -> Fault {
    Fault::Unsupported(format!("on ONNX Runtime: {}", short(message)))
}

/// Whether a kernel says that it lacks something, which some say with the code of another error.
fn lacking(message: &str) -> bool {
    ["is not supported", "not implemented"].iter().any(|sign| message.contains(sign))
}

/// Whether memory ran out, or what the arena may take of it. There is no code for it.
fn exhausted(message: &str) -> bool {
    ["Failed to allocate memory", "Available memory of", "bad_alloc", "bad allocation"]
        .iter()
        .any(|sign| message.contains(sign))
}

/// The first line without the place in ONNX Runtime's sources, shortened.
fn short(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    // `/onnxruntime_src/…/file.cc:123 void function(…) the reason`, and before it what failed.
    let mut short: String = line.chars().take(TEXT_MAX).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}
