//! `wrk`, and what it saw.

use crate::support::root;
use std::{net::SocketAddr, path::Path, process::Command};

/// One run against one server.
#[derive(Debug)]
pub struct Seen {
    pub requests_per_s: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// Where to, and what to send.
pub struct Target<'a> {
    pub address: SocketAddr,
    pub path: &'a str,
    pub body: Body<'a>,
}

/// What is sent.
pub enum Body<'a> {
    /// Nothing: a GET.
    None,
    Json(&'a str),
    /// Bytes, of which the first are a head of the Open Inference Protocol; none where 0 are.
    Binary {
        file: &'a Path,
        head_bytes: usize,
    },
}

impl Target<'_> {
    /// Keeps `connections` busy for so long. Panics when a single answer is not a 2xx.
    pub fn load(&self, connections: usize, seconds: u32) -> Seen {
        let threads = connections.min(2);
        let mut command = Command::new("wrk");
        command
            .args([format!("-t{threads}"), format!("-c{connections}"), format!("-d{seconds}s")])
            .args(["--latency", "--timeout", "10s", "-s"])
            .arg(root().join("tests/bench/wrk.lua"))
            .arg(format!("http://{}{}", self.address, self.path))
            .env_remove("BURST_BODY")
            .env_remove("BURST_BODY_FILE");
        match self.body {
            Body::None => {}
            Body::Json(body) => drop(command.env("BURST_BODY", body)),
            Body::Binary { file, head_bytes } => {
                command.env("BURST_BODY_FILE", file).env("BURST_HEAD_BYTES", head_bytes.to_string());
            }
        }
        let output = command.output().expect("wrk is a Debian package; `just bench` installs it");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
        let line = told.lines().find_map(|line| line.strip_prefix("burst: ")).expect("the script's line");
        let numbers: Vec<f64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        let [requests, taken_s, p50_us, p99_us, failed] = numbers[..] else { panic!("{line}") };
        assert_eq!(failed, 0.0, "answers that were not 2xx, or no answers:\n{told}");
        Seen { requests_per_s: requests / taken_s, p50_us, p99_us }
    }
}
