//! `burst run --tokens` goes on from a prompt as the whole model does by hand, wherever the model is.

use crate::{
    sequences::{COUNT, MODEL, PROMPT, by_hand, spread},
    split::{cut, model},
    support::{Burst, llvmpipe, npy, python, root},
};
use burst_host::nouns::{Element, Tensor};
use std::{
    io::{BufReader, Read},
    path::Path,
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// A file with the prompt, as `--input` takes it.
fn prompt() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("prompt.npy");
    npy::write(&file, &Tensor::from_slice(Element::I64, [1, PROMPT.len()], &PROMPT).unwrap()).unwrap();
    let input = format!("input_ids={}", file.display());
    (directory, input)
}

fn written(directory: &Path) -> Vec<i64> {
    npy::read(&directory.join("tokens.npy")).unwrap().to_vec().unwrap()
}

/// What `burst run` prints and writes.
fn run(model: &Path, input: &str, more: &[&str]) -> Vec<i64> {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().to_str().unwrap();
    let arguments = ["run", model.to_str().unwrap(), "--input", input, "--tokens", "12", "--output-dir", output];
    let run = Burst::run(&[&arguments[..], more].concat());
    let told = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{told}{}", String::from_utf8_lossy(&run.stderr));
    let tokens = written(directory.path());
    let printed: Vec<i64> = told.lines().next().unwrap().split(' ').map(|token| token.parse().unwrap()).collect();
    assert_eq!(tokens, printed);
    tokens
}

#[test]
fn run_goes_on_from_a_prompt() {
    let Some(model) = model(MODEL) else { return };
    let expected = by_hand(&model, &PROMPT, COUNT);
    let (directory, (_prompt, input)) = (cut(&model, ["--parts", "8"]), prompt());
    assert_eq!(run(&model, &input, &["--accelerator", "cpu"]), expected);
    assert_eq!(run(directory.path(), &input, &["--accelerator", "cpu"]), expected);
    let stopped = run(&model, &input, &["--end-token", &expected[4].to_string()]);
    let end = expected.iter().position(|token| *token == expected[4]).unwrap();
    assert_eq!(stopped, expected[..=end]);
}

#[test]
fn run_says_what_it_can_not_know() {
    let Some(model) = model(MODEL) else { return };
    let (_directory, input) = prompt();
    let check = |model: &str, more: &[&str], part: &str| {
        let run = Burst::run(&[&["run", model, "--accelerator", "cpu"], more].concat());
        let told = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(!run.status.success() && told.contains(part) && !told.contains("panicked"), "{part}: {told}");
    };
    let model = model.to_str().unwrap();
    check(model, &["--tokens", "4"], "--input input_ids=… is the prompt");
    check(model, &["--tokens", "63", "--input", &input], "64 places");
    check(model, &["--tokens", "4", "--input", &input, "--logits", "nothing"], "no output is called `nothing`");
    check(model, &["--tokens", "4", "--token-input", "ids"], "no input is called `ids`");
    let state = input.replace("input_ids", "past_key_0");
    check(model, &["--tokens", "4", "--input", &input, "--input", &state], "`past_key_0` is no input");
    check("guests/digits/model/digits.onnx", &["--tokens", "4"], "keeps no states");
    let place = ["--node", "me.hall", "--listen", "tcp/127.0.0.1:7449"];
    check(model, &place, "another node has to be named, --join");
    check(model, &[&place[..], &["--join", "tcp/127.0.0.1:7450"]].concat(), "a cluster runs cut models only");
}

/// A decoder of the kind that exporters write goes on as it does with ONNX Runtime.
#[test]
fn caches_may_grow() {
    let Some(python) = python() else { return };
    let directory = tempfile::tempdir().unwrap();
    let made = Command::new(python).arg(root().join("tests/clients/growing_decoder.py")).arg(directory.path()).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let told = String::from_utf8(made.stdout).unwrap();
    let expected: Vec<i64> = told.split_whitespace().map(|token| token.parse().unwrap()).collect();
    let input = format!("input_ids={}", directory.path().join("prompt.npy").display());
    assert_eq!(run(&directory.path().join("decoder.onnx"), &input, &["--accelerator", "cpu"]), expected);
    if llvmpipe() {
        let gpu = ["--accelerator", "gpu", "--device", "llvmpipe"];
        assert_eq!(run(&directory.path().join("decoder.onnx"), &input, &gpu), expected);
    }
}

/// A process beside three nodes is a way in, and goes on when one of them is killed.
#[test]
fn a_cluster_goes_on_from_a_prompt() {
    let Some(model) = model(MODEL) else { return };
    let Some(mut cluster) = spread(&model) else { return };
    let (directory, input) = prompt();
    let mut command = cluster.command(1, Path::new(env!("CARGO_BIN_EXE_burst")));
    command.arg("run").arg(cluster.model()).args(["--tokens", "12", "--accelerator", "cpu", "--input", &input]);
    command.arg("--output-dir").arg(directory.path()).arg("--cluster").arg(cluster.way_in());
    let mut running = command.env("XDG_CACHE_HOME", directory.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut spaces = 0;
    let printed = BufReader::new(running.stdout.take().unwrap());
    for byte in printed.bytes().map_while(Result::ok) {
        spaces += usize::from(byte == b' ');
        if byte == b' ' && spaces == 4 {
            cluster.end(3);
        }
    }
    assert!(running.wait().unwrap().success(), "{}", cluster.logs());
    assert_eq!(written(directory.path()), by_hand(&model, &PROMPT, COUNT));
}
