//! The program's sub-commands, as an operator types them.

use crate::support::{Burst, guest};

fn told(arguments: &[&str]) -> (bool, String) {
    let output = Burst::run(arguments);
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), told.concat())
}

fn check(arguments: &[&str], succeeds: bool, parts: &[&str]) {
    let (success, told) = told(arguments);
    assert_eq!(success, succeeds, "{arguments:?}: {told}");
    assert!(!told.contains("panicked"), "{told}");
    parts.iter().for_each(|part| assert!(told.contains(part), "{arguments:?} has no `{part}`: {told}"));
}

#[test]
fn doctor_says_what_would_be_chosen() {
    check(&["doctor"], true, &["memory", "pagemap scan", "auto chooses", "cpu: ", "  gpu  "]);
}

#[test]
fn check_knows_right_from_wrong_and_prints_the_schema() {
    check(&["check", "guests/demo.toml"], true, &["4 guests, 1 cameras"]);
    check(&["check", "guests/demo.toml", "--print"], true, &["deadline_ms = 1000"]);
    check(&["check", "nowhere.toml"], false, &["can't read the manifest `nowhere.toml`"]);
    let (success, schema) = told(&["check", "--schema"]);
    assert!(success);
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert!(schema["properties"]["guests"].is_object());
}

#[test]
fn inspect_tells_how_guests_start() {
    check(
        &["inspect", "guests/demo.toml"],
        true,
        &["exports    responder", "exports    watcher", "start      snapshot"],
    );
}

#[test]
fn completions_are_printed() {
    check(&["completions", "bash"], true, &["complete -F _burst"]);
}

#[test]
fn run_computes_with_a_guest() {
    let outputs = tempfile::tempdir().unwrap();
    let images = "image=tests/data/digits/images.npy";
    let model = "digits=guests/digits/model/digits.onnx";
    let component = guest("digits");
    let directory = outputs.path().to_str().unwrap();
    let arguments = ["run", &component, "--input", images, "--model", model, "--output-dir", directory];
    check(&arguments, true, &["probabilities: FP32[450, 10]", "computed by cpu"]);
    assert!(outputs.path().join("probabilities.npy").exists());
}

#[test]
fn run_tells_what_is_wrong() {
    let model = "guests/digits/model/digits.onnx";
    check(&["run", model], false, &["input `image`: it is missing", "image: FP32[N, 1, 8, 8]"]);
    check(&["run", model, "--input", "image=tests/data/digits/labels.npy"], false, &["does not fit"]);
    check(&["run", model, "--input", "image=justfile"], false, &["can't read `justfile`"]);
    let device = ["run", model, "--accelerator", "gpu", "--device", "nonsense"];
    check(&[&device[..], &["--input", "image=tests/data/digits/images.npy"]].concat(), false, &["called `nonsense`"]);
    check(&["run", "justfile"], false, &["neither a model (.onnx or a directory) nor a guest"]);
    check(&["run", "nowhere.onnx"], false, &["nowhere.onnx"]);
}

#[test]
fn a_manifest_with_a_taken_port_says_so_before_it_compiles() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check(&["serve", "guests/demo.toml", "--http", &address], false, &["can't listen on", &address]);
}
