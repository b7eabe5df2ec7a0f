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
    let line = without_place(message.lines().next().unwrap_or_default());
    let mut short: String = line.chars().take(TEXT_MAX).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

/// Leaves out `/onnxruntime_src/…/file.cc:123 void function(…) const `, which stands between what failed and why.
fn without_place(line: &str) -> String {
    let parted = line.split_once("/onnxruntime_src/").and_then(|(what, place)| {
        let (_, mut why) = place.split_once(' ')?;
        why = &why[why.find('(')?..];
        // Twice for `operator()(…)`.
        while why.starts_with('(') {
            why = &why[closing(why)? + 1..];
        }
        Some(format!("{what}{}", why.trim_start_matches(" const").trim_start()))
    });
    parted.unwrap_or_else(|| line.to_owned())
}

/// Where the parenthesis closes that a text begins with.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(at, c)| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        (depth == 0).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_foreign_sources_are_left_out() {
        let of = "Node 'a' Status Message: ";
        let place =
            "/onnxruntime_src/core/a.cc:12 virtual Status ns::Op::Compute(const std::function<void(int)>&) const ";
        assert_eq!(short(&format!("{of}{place}x (y) was false.\nMore")), format!("{of}x (y) was false."));
        assert_eq!(short("/onnxruntime_src/b.h:1 auto ns::Op::operator()(int) too new"), "too new");
        for whole in ["no place", "/onnxruntime_src/b.h:1", "/onnxruntime_src/b.h:1 f(", "", "é/onnxruntime_src/ ("] {
            assert_eq!(short(whole), whole);
        }
    }
}
