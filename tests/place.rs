//! `burst profile` and `burst plan`: measured, placed, told and drawn.

use crate::support::{Burst, root};
use burst_host::nouns::{Digest, Measured, Plan, Profile};
use std::{fs, path::Path};
use tempfile::TempDir;

fn told(arguments: &[&str], succeeds: bool) -> String {
    let output = Burst::run(arguments);
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert_eq!(output.status.success(), succeeds, "{arguments:?}: {told}");
    assert!(!told.contains("panicked"), "{told}");
    // An error is broken into lines, anywhere.
    let words = told.split_whitespace().filter(|word| *word != "│");
    if succeeds { told } else { words.collect::<Vec<_>>().join(" ") }
}

/// The digits' model in three fragments.
fn cut() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let model = root().join("guests/digits/model/digits.onnx").display().to_string();
    told(&["split", &model, "--parts", "3", "--output", directory.path().join("cut").to_str().unwrap()], true);
    directory
}

/// What a node would have measured.
fn profile(directory: &Path, name: &str, compute_us: [f64; 3]) {
    let plan = Digest::of(&fs::read(directory.join("cut").join(Plan::FILE)).unwrap());
    let fragments = compute_us.map(|compute_us| Measured { compute_us, compute_p90_us: compute_us, runs: 9 }).into();
    let profile = Profile { version: Profile::VERSION, plan, device: name.into(), fragments };
    fs::write(directory.join(format!("{name}.json")), serde_json::to_vec(&profile).unwrap()).unwrap();
}

fn nodes(directory: &Path, text: &str) -> String {
    let path = directory.join("nodes.toml");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

const THREE: &str = r#"
link = { latency_us = 200.0, bytes_per_second = 1e8 }
links = [{ between = ["attic", "cellar"], latency_us = 90000.0, bytes_per_second = 1e6 }]
[nodes.attic]
memory = "64MiB"
profile = "slow.json"
[nodes.cellar]
memory = "64MiB"
profile = "fast.json"
[nodes."shop <1>"]
memory = "64MiB"
profile = "fast.json"
"#;

#[test]
fn a_placement_is_told_and_drawn() {
    let directory = cut();
    let at = directory.path();
    profile(at, "slow", [9000.0, 9000.0, 9000.0]);
    profile(at, "fast", [3000.0, 3000.0, 3000.0]);
    let (model, svg) = (at.join("cut").display().to_string(), at.join("plan.svg").display().to_string());
    let nodes = nodes(at, THREE);
    let text = told(&["plan", &model, "--nodes", &nodes, "--svg", &svg], true);
    assert!(text.contains("cellar") && text.contains("shop <1>") && !text.contains("attic  "), "{text}");
    assert!(text.contains("requests a second, 1 nodes idle"), "{text}");
    assert!(text.contains("computes, 6.000 ms") && text.contains("one more like cellar"), "{text}");
    let drawn = fs::read_to_string(svg).unwrap();
    assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"));
    assert!(drawn.contains("shop &lt;1&gt;") && !drawn.contains("<1>"), "{drawn}");
    let text = told(&["plan", &model, "--nodes", &nodes, "--objective", "latency"], true);
    assert!(text.contains("9.000 ms a request") && text.contains("2 nodes idle"), "{text}");
}

#[test]
fn what_was_not_measured_is_not_placed() {
    let directory = cut();
    let at = directory.path();
    let model = at.join("cut").display().to_string();
    let refused = |text: &str, part: &str| {
        let told = told(&["plan", &model, "--nodes", &nodes(at, text)], false);
        assert!(told.contains(part), "{told} has no `{part}`");
    };
    refused(THREE, "slow.json");
    profile(at, "slow", [9000.0, 9000.0, 9000.0]);
    profile(at, "fast", [3000.0, 3000.0, -1.0]);
    refused(THREE, "-1 µs");
    profile(at, "fast", [3000.0; 3]);
    refused(&THREE.replace("64MiB", "1MiB"), "cut the model finer");
    refused(&THREE.replace("\"attic\",", "\"garage\","), "`garage`, which is no node");
    refused(&THREE.replace("1e8", "0.0"), "0 bytes a second is none");
    refused("link = 3", "nodes.toml");
}

#[test]
fn a_profile_is_measured_here() {
    let directory = cut();
    let at = directory.path();
    let (model, output) = (at.join("cut").display().to_string(), at.join("here.json").display().to_string());
    let text = told(&["profile", &model, "--output", &output, "--runs", "3"], true);
    assert!(text.contains("fragment-2") && text.contains("µs on cpu: "), "{text}");
    let plan = Digest::of(&fs::read(at.join("cut").join(Plan::FILE)).unwrap());
    let profile = Profile::parse(&fs::read(&output).unwrap(), plan, 3).unwrap();
    assert!(profile.fragments.iter().all(|measured| measured.compute_us > 0.0 && measured.runs >= 1));
    let one = "link = { latency_us = 100.0, bytes_per_second = 1e9 }\n[nodes.here]\nmemory = \"1GiB\"\nprofile = \"here.json\"\n";
    let text = told(&["plan", &model, "--nodes", &nodes(at, one)], true);
    assert!(text.contains("0..2") && text.contains("0 nodes idle"), "{text}");
}
