//! Models over HTTP: `burst serve` with ONNX Runtime in a fresh guest for each request, beside ONNX Runtime in FastAPI.
//!
//! Both are sent the bytes of the tensors, and answer with bytes. Ours have a head by the Open Inference Protocol.

use crate::{
    models::written,
    report::{Flags, Report, Row, median},
    support::{Burst, npy, onnxruntime_library, python, root},
    wrk::{Body, Seen, Target},
};
use burst_adapters::onnx;
use burst_host::nouns::Tensor;
use serde_json::json;
use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

const MODELS: [&str; 4] = ["mobilenetv2", "minilm_l6_s128", "magika", "silero_vad5"];
const CONNECTIONS: usize = 8;
/// Of one run: both cores, as is the default of both, and one, with which a burst is through sooner.
const THREADS: [usize; 2] = [2, 1];
const PEER: &str = "FastAPI and ONNX Runtime";

pub fn measure(flags: &Flags, report: &mut Report) {
    for (model, threads) in
        MODELS.into_iter().filter(|model| written(model)).flat_map(|model| THREADS.map(|n| (model, n)))
    {
        let directory = tempfile::tempdir_in(root().join("target")).unwrap();
        let inputs = inputs(model);
        let (ours, head_bytes) = with_head(directory.path(), &inputs);
        let theirs = bare(directory.path(), &inputs);
        let burst = serve(directory.path(), model, threads);
        let Some(peer) = Peer::serve(model, threads) else { continue };
        let path = format!("/v2/models/{model}/infer");
        let ours = Target { address: burst.http, path: &path, body: Body::Binary { file: &ours, head_bytes } };
        let theirs =
            Target { address: peer.address, path: "/infer", body: Body::Binary { file: &theirs, head_bytes: 0 } };
        let (rounds, seconds) = flags.pick((1, 2), (3, 5));
        let mut seen: [Vec<Seen>; 2] = Default::default();
        for target in [&ours, &theirs] {
            target.load(CONNECTIONS, 1);
        }
        for _ in 0..rounds {
            for (target, seen) in [&ours, &theirs].into_iter().zip(&mut seen) {
                seen.push(target.load(CONNECTIONS, seconds));
            }
        }
        rows(report, &format!("serve_{model}_t{threads}"), &seen);
    }
}

fn rows(report: &mut Report, name: &str, [ours, theirs]: &[Vec<Seen>; 2]) {
    let figure = |seen: &[Seen], of: fn(&Seen) -> f64| Some(median(&seen.iter().map(of).collect::<Vec<_>>()));
    let mut row = |metric: String, unit, of: fn(&Seen) -> f64| {
        let (value, peer_value) = (figure(ours, of), figure(theirs, of));
        report.add(Row { metric, unit, value, peer: PEER, peer_value, n: ours.len() });
    };
    row(format!("{name}_rps_c{CONNECTIONS}"), "req/s", |seen| seen.requests_per_s);
    row(format!("{name}_p50_us_c{CONNECTIONS}"), "us", |seen| seen.p50_us);
    row(format!("{name}_p99_us_c{CONNECTIONS}"), "us", |seen| seen.p99_us);
}

fn file(model: &str) -> PathBuf {
    root().join(format!("target/models/{model}.onnx"))
}

/// The inputs of a model, in its order.
fn inputs(model: &str) -> Vec<(String, Tensor)> {
    let graph = onnx::decode(&fs::read(file(model)).unwrap().into(), &onnx::Limits::default()).unwrap();
    let read = |name: &str| npy::read(&file(model).with_extension(format!("{name}.npy"))).unwrap();
    graph.inputs.iter().map(|port| (port.name.clone(), read(&port.name))).collect()
}

/// A request by the Open Inference Protocol, as a file, and the bytes of its head.
fn with_head(directory: &Path, inputs: &[(String, Tensor)]) -> (PathBuf, usize) {
    let told = inputs.iter().map(|(name, tensor)| {
        let (spec, bytes) = (tensor.spec(), tensor.contents().unwrap().len());
        json!({ "name": name, "datatype": spec.element.to_string(), "shape": spec.shape.extents(),
                "parameters": { "binary_data_size": bytes } })
    });
    let head = json!({ "inputs": told.collect::<Vec<_>>(), "parameters": { "binary_data_output": true } }).to_string();
    let body = [head.clone().into_bytes(), bytes(inputs)].concat();
    let file = directory.join("request.oip");
    fs::write(&file, body).unwrap();
    (file, head.len())
}

fn bare(directory: &Path, inputs: &[(String, Tensor)]) -> PathBuf {
    let file = directory.join("request.bytes");
    fs::write(&file, bytes(inputs)).unwrap();
    file
}

fn bytes(inputs: &[(String, Tensor)]) -> Vec<u8> {
    inputs.iter().flat_map(|(_, tensor)| tensor.contents().unwrap().to_vec()).collect()
}

/// The model as a guest that `burst compile` makes, served.
fn serve(directory: &Path, model: &str, threads: usize) -> Burst {
    let component = directory.join("model.wasm");
    let made = Burst::run(&["compile", file(model).to_str().unwrap(), "--output", component.to_str().unwrap()]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let library = onnxruntime_library();
    let manifest = format!(
        "accelerator = \"onnxruntime\"\n[onnxruntime]\nlibrary = {library:?}\nthreads = {threads}\n\
         [guests.{model}]\ncomponent = \"model.wasm\"\npool = {{ ready = 8, max = 16 }}\n"
    );
    let file = directory.join("burst.toml");
    fs::write(&file, manifest).unwrap();
    Burst::serve(&file)
}

/// The server in Python; killed when dropped.
struct Peer {
    child: Child,
    address: SocketAddr,
}

impl Peer {
    /// `None` where its packages are not installed.
    fn serve(model: &str, threads: usize) -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(python()?);
        command.arg(root().join("tests/bench/fastapi_peer.py")).arg(address.port().to_string());
        command.arg(file(model)).arg(threads.to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        let mut peer = Self { child: command.spawn().unwrap(), address };
        peer.wait().then_some(peer)
    }

    fn wait(&mut self) -> bool {
        for _ in 0..600 {
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            if self.child.try_wait().unwrap().is_some() {
                eprintln!("left out: {PEER} does not start; `just bench` installs its packages");
                return false;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("{PEER} does not listen");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
