//! `accelerator = "onnxruntime"`: a library that is found, checked and named, and models that it computes.

use crate::support::{Burst, npy, onnxruntime_library, root};
use std::{path::Path, process::Output};

const MODEL: &str = "guests/digits/model/digits.onnx";

/// Runs the model of digits with the library that `ORT_DYLIB_PATH` names.
fn run(library: &Path, outputs: &Path, arguments: &[&str]) -> Output {
    let cache = tempfile::tempdir().unwrap();
    let mut command = Burst::command(cache.path());
    command.args(["run", MODEL, "--input", "image=tests/data/digits/images.npy", "--output-dir"]).arg(outputs);
    command.args(arguments).env("ORT_DYLIB_PATH", library).output().unwrap()
}

fn check(library: &Path, arguments: &[&str], succeeds: bool, parts: &[&str]) {
    let outputs = tempfile::tempdir().unwrap();
    let output = run(library, outputs.path(), arguments);
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert_eq!(output.status.success(), succeeds, "{arguments:?}: {told}");
    assert!(!told.contains("panicked"), "{told}");
    parts.iter().for_each(|part| assert!(told.contains(part), "{arguments:?} has no `{part}`: {told}"));
}

#[test]
fn onnxruntime_answers_as_tract_does() {
    let (theirs, ours) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (directory, accelerator) in [(&theirs, "onnxruntime"), (&ours, "cpu")] {
        let output = run(&onnxruntime_library(), directory.path(), &["--accelerator", accelerator]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let read = |directory: &tempfile::TempDir| {
        npy::read(&directory.path().join("probabilities.npy")).unwrap().to_vec::<f32>().unwrap()
    };
    let (theirs, ours) = (read(&theirs), read(&ours));
    assert_eq!(theirs.len(), ours.len());
    assert!(theirs.iter().zip(&ours).all(|(theirs, ours)| (theirs - ours).abs() < 1e-5));
}

#[test]
fn auto_chooses_onnxruntime_where_its_library_is_and_says_so() {
    check(&onnxruntime_library(), &["--accelerator", "auto"], true, &["computed by cpu", "ONNX Runtime 1."]);
}

#[test]
fn absent_library_is_an_error_that_says_what_to_install() {
    let absent = Path::new("/nowhere/libonnxruntime.so");
    let parts = ["there is no ONNX Runtime library", "/nowhere/libonnxruntime.so", "pip install onnxruntime"];
    check(absent, &["--accelerator", "onnxruntime"], false, &parts);
    // Nobody asked for ONNX Runtime: the next one computes, and the log says why.
    check(absent, &["--accelerator", "auto"], true, &["computed by cpu", "tract", "no ONNX Runtime library"]);
}

#[test]
fn file_that_is_no_library_is_an_error() {
    let parts = ["can't be loaded"];
    check(&root().join("justfile"), &["--accelerator", "onnxruntime"], false, &parts);
}

#[test]
fn fallbacks_are_a_list() {
    let both = ["--accelerator", "cpu", "--fallback", "onnxruntime,cpu"];
    check(&onnxruntime_library(), &both, true, &["computed by cpu", "tract"]);
    check(&onnxruntime_library(), &["--fallback", "gpu"], false, &["onnxruntime or cpu"]);
}

#[test]
fn models_equal_bare_onnx_runtime() {
    for (name, inputs, output) in [
        ("mobilenetv2", &["input"][..], "logits"),
        ("minilm_l6_s128", &["input_ids", "attention_mask"], "last_hidden_state"),
    ] {
        let models = root().join("target/models");
        let (cache, found) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut command = Burst::command(cache.path());
        command.arg("run").arg(models.join(format!("{name}.onnx"))).args(["--accelerator", "onnxruntime"]);
        for input in inputs {
            let file = models.join(format!("{name}.{input}.npy"));
            command.args(["--input", &format!("{input}={}", file.display())]);
        }
        command.arg("--output-dir").arg(found.path()).env("ORT_DYLIB_PATH", onnxruntime_library());
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let read = |path: &Path| npy::read(path).unwrap().to_vec::<f32>().unwrap();
        let expected = read(&models.join(format!("{name}.{output}.expected.npy")));
        let found = read(&found.path().join(format!("{output}.npy")));
        let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        assert_eq!(found.len(), expected.len());
        assert!(
            found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() <= 1e-5 * largest),
            "{name}"
        );
    }
}

#[test]
fn models_stay_below_the_limit_of_the_arena() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("burst.toml");
    std::fs::copy(crate::support::guest("digits"), directory.path().join("digits.wasm")).unwrap();
    std::fs::copy(root().join(MODEL), directory.path().join("digits.onnx")).unwrap();
    let library = onnxruntime_library();
    let text = format!(
        "accelerator = \"onnxruntime\"\n[onnxruntime]\nlibrary = {library:?}\narena_max_bytes = 262144\n\
         [guests.digits]\ncomponent = \"digits.wasm\"\nmodels.digits = \"digits.onnx\"\n\
         limits.deadline_ms = 20000\n"
    );
    std::fs::write(&manifest, text).unwrap();
    let burst = Burst::serve(&manifest);
    let image = |count: usize| {
        let data = vec!["0.5"; count * 64].join(",");
        let input = format!(r#"{{"name":"image","datatype":"FP32","shape":[{count},1,8,8],"data":[{data}]}}"#);
        burst.post("/v2/models/digits/infer", &format!(r#"{{"inputs":[{input}]}}"#))
    };
    assert_eq!(image(1).0, 200);
    let (status, told) = image(4096);
    assert!(status >= 400 && told.contains("memory"), "{status}: {told}");
    // Nothing is lost by it.
    assert_eq!(image(1).0, 200);
}
