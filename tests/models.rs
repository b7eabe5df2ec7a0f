//! `burst run` computes what ONNX Runtime computes.

use crate::support::{Burst, npy, root};
use burst_host::nouns::Element;
use half::f16;
use std::path::Path;

/// Within this of the largest absolute value of the expected output, by its element.
const TOLERANCE: f32 = 1e-4;
const TOLERANCE_FP16: f32 = 1e-2;

/// The numbers of an array, and how far others may be from them.
fn floats(path: &Path) -> (Vec<f32>, f32) {
    let tensor = npy::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match tensor.spec().element {
        Element::Fp16 => (tensor.to_vec::<f16>().unwrap().into_iter().map(f16::to_f32).collect(), TOLERANCE_FP16),
        _ => (tensor.to_vec().unwrap(), TOLERANCE),
    }
}

/// The driver that stands for a GPU: it computes on the CPU.
const GPU: [&str; 3] = ["gpu", "--device", "llvmpipe"];

/// Runs a model of `tests/bench/models.py` and compares every output.
fn check(name: &str, inputs: &[&str], outputs: &[&str], accelerator: &[&str]) {
    let models = root().join("target/models");
    let model = models.join(format!("{name}.onnx"));
    if !model.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing; `just test` makes it", model.display());
        return eprintln!("skipped: {} is missing; `just test` makes it", model.display());
    }
    let found = tempfile::tempdir().unwrap();
    let mut arguments = vec!["run".to_owned(), model.display().to_string()];
    for input in inputs {
        let file = models.join(format!("{name}.{input}.npy"));
        arguments.extend(["--input".into(), format!("{input}={}", file.display())]);
    }
    arguments.push("--accelerator".into());
    arguments.extend(accelerator.iter().map(|&word| word.into()));
    arguments.push("--output-dir".into());
    arguments.push(found.path().display().to_string());
    let run = Burst::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{told}{}", String::from_utf8_lossy(&run.stderr));
    assert!(told.contains(&format!("computed by {}", accelerator[0])), "{told}");
    for output in outputs {
        let (expected, tolerance) = floats(&models.join(format!("{name}.{output}.expected.npy")));
        let (found, _) = floats(&found.path().join(format!("{output}.npy")));
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let error = (found - expected).abs();
            // Written so that what is no number fails.
            assert!(error <= tolerance * largest, "{name} {output} at {at}: {found} for {expected}, of {largest}");
        }
    }
}

#[test]
fn mobilenetv2_equals_onnx_runtime() {
    check("mobilenetv2", &["input"], &["logits"], &["cpu"]);
}

#[test]
fn resnet50_equals_onnx_runtime() {
    check("resnet50", &["input"], &["logits"], &["cpu"]);
}

#[test]
fn yolo_equals_onnx_runtime() {
    check("yolo320", &["images"], &["detections"], &["cpu"]);
}

#[test]
fn minilm_equals_onnx_runtime() {
    check("minilm_l6_s128", &["input_ids", "attention_mask"], &["last_hidden_state"], &["cpu"]);
}

#[test]
fn mobilenetv2_on_the_gpu_equals_onnx_runtime() {
    on_the_gpu("mobilenetv2", &["input"], &["logits"]);
}

#[test]
fn resnet50_on_the_gpu_equals_onnx_runtime() {
    on_the_gpu("resnet50", &["input"], &["logits"]);
}

#[test]
fn yolo_on_the_gpu_equals_onnx_runtime() {
    on_the_gpu("yolo320", &["images"], &["detections"]);
}

/// Down to the boxes that stay: how many there are is known only once they were counted.
#[test]
fn a_detector_with_its_end_on_the_gpu_equals_onnx_runtime() {
    on_the_gpu("yolo320_nms", &["images"], &["found"]);
}

#[test]
fn minilm_on_the_gpu_equals_onnx_runtime() {
    on_the_gpu("minilm_l6_s128", &["input_ids", "attention_mask"], &["last_hidden_state"]);
}

#[test]
fn vit_equals_onnx_runtime() {
    on_both("vit_b16", &["pixels"], &["logits"]);
    on_both("vit_b16_f16", &["pixels"], &["logits"]);
}

#[test]
fn unet_equals_onnx_runtime() {
    on_both("unet", &["picture"], &["classes"]);
    on_both("unet_f16", &["picture"], &["classes"]);
}

#[test]
fn resnet50_in_fp16_equals_onnx_runtime() {
    on_both("resnet50_f16", &["input"], &["logits"]);
}

#[test]
fn mobilenetv2_in_fp16_equals_onnx_runtime() {
    on_both("mobilenetv2_f16", &["input"], &["logits"]);
}

#[test]
fn yolo_in_fp16_equals_onnx_runtime() {
    on_both("yolo320_f16", &["images"], &["detections"]);
}

#[test]
fn minilm_in_fp16_equals_onnx_runtime() {
    on_both("minilm_l6_s128_f16", &["input_ids", "attention_mask"], &["last_hidden_state"]);
}

/// One token, with keys and values as inputs and outputs.
#[test]
fn gpt2_equals_onnx_runtime() {
    let caches = |word: &str, layers| {
        let each = |layer| ["key", "value"].map(|kind| format!("{word}_{kind}_{layer}"));
        (0..layers).flat_map(each).collect::<Vec<_>>()
    };
    for (name, layers) in [("gpt2_l8_c64", 8), ("gpt2_small", 12), ("gpt2_small_f16", 12)] {
        let (past, present) = (caches("past", layers), caches("present", layers));
        let inputs: Vec<_> = ["input_ids", "position"].into_iter().chain(past.iter().map(String::as_str)).collect();
        let outputs: Vec<_> = ["logits"].into_iter().chain(present.iter().map(String::as_str)).collect();
        on_both(name, &inputs, &outputs);
    }
}

fn on_both(name: &str, inputs: &[&str], outputs: &[&str]) {
    check(name, inputs, outputs, &["cpu"]);
    on_the_gpu(name, inputs, outputs);
}

fn on_the_gpu(name: &str, inputs: &[&str], outputs: &[&str]) {
    if crate::support::llvmpipe() {
        check(name, inputs, outputs, &GPU);
    }
}
