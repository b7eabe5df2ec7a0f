//! The cheapest guest over HTTP, beside `wasmtime serve` with a hello.
//!
//! We do more for a request: it posts a tensor as JSON, which is checked, handed to a fresh guest and written back as
//! JSON. The peer's is a GET that is answered with a constant.

use crate::{
    report::{Flags, Report, Row, median},
    support::{self, Burst, root},
    wrk::{Body, Seen, Target},
};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// The smallest request that carries a tensor.
const BODY: &str = r#"{"inputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[1]}]}"#;
const FRESH: &str = "wasmtime serve 48.0.8";
const REUSED: &str = "wasmtime serve 48.0.8, each instance 1000 times";

pub fn measure(flags: &Flags, report: &mut Report) {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(root().join(support::guest("echo")), directory.path().join("echo.wasm")).unwrap();
    let manifest = directory.path().join("burst.toml");
    fs::write(&manifest, "[guests.echo]\ncomponent = \"echo.wasm\"\npool = { ready = 64, max = 256 }\n").unwrap();
    let burst = Burst::serve(&manifest);
    let (fresh, reused) = (Peer::serve(1), Peer::serve(1000));

    let ours = Target { address: burst.http, path: "/v2/models/echo/infer", body: Body::Json(BODY) };
    let servers = [Some(ours), fresh.as_ref().map(Peer::target), reused.as_ref().map(Peer::target)];
    for server in servers.iter().flatten() {
        server.load(64, 1);
    }
    let (rounds, seconds) = flags.pick((1, 2), (3, 5));
    println!("a request: POST {BODY}; its peer: GET /; {rounds} rounds of {seconds} s each, medians");
    for connections in [1, 64] {
        let mut seen: [Vec<Seen>; 3] = Default::default();
        for _ in 0..rounds {
            for (server, seen) in servers.iter().zip(&mut seen) {
                seen.extend(server.as_ref().map(|server| server.load(connections, seconds)));
            }
        }
        rows(report, connections, &seen);
    }
}

fn rows(report: &mut Report, connections: usize, [ours, fresh, reused]: &[Vec<Seen>; 3]) {
    let figure = |seen: &[Seen], of: fn(&Seen) -> f64| {
        (!seen.is_empty()).then(|| median(&seen.iter().map(of).collect::<Vec<_>>()))
    };
    let mut row = |metric: String, unit, peer, theirs: &[Seen], of: fn(&Seen) -> f64| {
        let (value, peer_value) = (figure(ours, of), figure(theirs, of));
        report.add(Row { metric, unit, value, peer, peer_value, n: ours.len() });
    };
    row(format!("echo_http_rps_c{connections}"), "req/s", FRESH, fresh, |seen| seen.requests_per_s);
    row(format!("echo_http_rps_c{connections}_reuse"), "req/s", REUSED, reused, |seen| seen.requests_per_s);
    row(format!("echo_http_p50_us_c{connections}"), "us", FRESH, fresh, |seen| seen.p50_us);
    row(format!("echo_http_p99_us_c{connections}"), "us", FRESH, fresh, |seen| seen.p99_us);
    row(format!("echo_http_p99_us_c{connections}_reuse"), "us", REUSED, reused, |seen| seen.p99_us);
}

/// `wasmtime serve` with the hello; killed when dropped.
struct Peer {
    child: Child,
    address: SocketAddr,
}

impl Peer {
    /// `None` where wasmtime is not installed.
    fn serve(reuse_max: u32) -> Option<Self> {
        let wasmtime = std::env::var_os("BURST_WASMTIME").map(PathBuf::from);
        let wasmtime = wasmtime.unwrap_or_else(|| root().join("target/peers/bin/wasmtime"));
        if !wasmtime.exists() {
            eprintln!("left out: {} is missing; `just bench` makes it", wasmtime.display());
            return None;
        }
        let hello = hello();
        // Free a moment ago; wasmtime can't be told to take any.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(&wasmtime);
        command.args(["serve", "-Scli", "--addr", &address.to_string()]);
        if reuse_max > 1 {
            command.args(["--max-instance-reuse-count", &reuse_max.to_string()]);
        }
        command.arg(hello).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", wasmtime.display()));
        let mut peer = Self { child, address };
        peer.wait();
        Some(peer)
    }

    fn wait(&mut self) {
        for _ in 0..600 {
            if std::net::TcpStream::connect(self.address).is_ok() {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "wasmtime serve ended at once");
            thread::sleep(Duration::from_millis(50));
        }
        panic!("wasmtime serve does not listen");
    }

    fn target(&self) -> Target<'static> {
        Target { address: self.address, path: "/", body: Body::None }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds the component that the peer serves.
fn hello() -> PathBuf {
    let target = root().join("target/peers/hello");
    let built = Command::new("cargo")
        .args(["build", "-q", "--locked", "--release", "--target", "wasm32-wasip2", "--target-dir"])
        .arg(&target)
        .current_dir(root().join("tests/bench/hello"))
        .status();
    assert!(built.is_ok_and(|status| status.success()), "tests/bench/hello does not build");
    target.join("wasm32-wasip2/release/hello.wasm")
}
