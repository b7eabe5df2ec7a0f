//! One request after silence, beside a container that is started for it.

use crate::{
    manifest,
    report::{self, Flags, Report, Row, median, micros},
    support::{self, Burst},
};
use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const BODY: &str = r#"{"inputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[1]}]}"#;

pub fn measure(flags: &Flags, report: &mut Report) {
    let (_directory, manifest) = manifest("{ ready = 8, max = 128 }", "");
    let burst = Burst::serve(&manifest);
    let directory = tempfile::tempdir().unwrap();
    let bundle = bundle(directory.path());
    report::silence(crate::window(flags));
    // The rest come after a pause: twenty silences of a minute would be a long wait for the same figure.
    let pause = Duration::from_millis(flags.pick(200, 2_000));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for sample in 0..flags.pick(5, 20) {
        ours.push(answer(&burst));
        match bundle.as_ref().map_err(Clone::clone).and_then(|bundle| container(bundle, sample)) {
            Ok(taken) => theirs.push(taken),
            Err(error) => println!("runc: {error}"),
        }
        std::thread::sleep(pause);
    }
    let peer_value = (!theirs.is_empty()).then(|| median(&theirs));
    let (value, n) = (Some(median(&ours)), ours.len());
    report.add(Row {
        metric: "cold_start_us".into(),
        unit: "us",
        value,
        peer: "runc run, static hello",
        peer_value,
        n,
    });
    report.add(Row::alone("cold_start_first_us", "us", ours[0], 1));
}

/// Microseconds from connecting to the end of the answer.
fn answer(burst: &Burst) -> f64 {
    let length = BODY.len();
    let head = format!(
        "POST /v2/models/echo/infer HTTP/1.1\r\nhost: burst\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    let start = Instant::now();
    let (status, told) = support::request(burst.http, &head, BODY.as_bytes());
    let taken = micros(start.elapsed());
    assert_eq!(status, 200, "{told}");
    taken
}

/// Microseconds from `runc run` to what the container says.
fn container(bundle: &Path, sample: usize) -> Result<f64, String> {
    let name = format!("burst-bench-{}-{sample}", std::process::id());
    let mut command = Command::new("runc");
    command.arg("run").arg("--bundle").arg(bundle).arg(name);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let mut said = [0; 6];
    let read = child.stdout.take().expect("it is piped").read_exact(&mut said);
    let taken = micros(start.elapsed());
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if read.is_ok() && output.status.success() && &said == b"hello\n" {
        return Ok(taken);
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

/// A root with nothing but a static program, no terminal, and a network of its own without interfaces.
fn bundle(directory: &Path) -> Result<PathBuf, String> {
    fs::create_dir(directory.join("rootfs")).map_err(|error| error.to_string())?;
    compile(&directory.join("rootfs/hello"))?;
    let spec = Command::new("runc").arg("spec").current_dir(directory).output().map_err(|error| error.to_string())?;
    if !spec.status.success() {
        return Err(String::from_utf8_lossy(&spec.stderr).into_owned());
    }
    let path = directory.join("config.json");
    let text = fs::read(&path).map_err(|error| error.to_string())?;
    let mut config: serde_json::Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = serde_json::json!(["/hello"]);
    fs::write(path, config.to_string()).map_err(|error| error.to_string())?;
    Ok(directory.to_owned())
}

fn compile(program: &Path) -> Result<(), String> {
    let mut rustc = Command::new("rustc");
    rustc.args(["-O", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "--crate-name", "hello", "-o"]);
    let child = rustc.arg(program).arg("-").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| error.to_string())?;
    let source = br#"fn main() { println!("hello") }"#;
    child.stdin.take().expect("it is piped").write_all(source).map_err(|error| error.to_string())?;
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
}
