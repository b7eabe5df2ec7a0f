//! What every benchmark prints, and the lines that it writes to `target/bench/`.

use crate::support::root;
use std::{
    fmt::Write as _,
    fs,
    process::Command,
    thread::{self, available_parallelism},
    time::Duration,
};

/// What was asked for on the command line.
pub struct Flags {
    /// Short runs and short silence, to see that everything works; the figures mean little.
    pub quick: bool,
    parts: Vec<String>,
}

impl Flags {
    /// `--quick`, and the names of the parts to run; all of them when none is named.
    pub fn parse() -> Self {
        let mut flags = Self { quick: false, parts: Vec::new() };
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--quick" => flags.quick = true,
                // cargo's own.
                "--bench" => {}
                part if !part.starts_with('-') => flags.parts.push(part.to_owned()),
                other => panic!("`{other}` is not a flag: --quick, or parts by name"),
            }
        }
        flags
    }

    pub fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|other| other == part)
    }

    /// One of two sizes.
    pub fn pick<T>(&self, quick: T, whole: T) -> T {
        if self.quick { quick } else { whole }
    }
}

const RATES: [&str; 4] = ["req/s", "GFLOP/s", "GB/s", "%"];

/// One measured figure, and the same of a peer.
pub struct Row {
    pub metric: String,
    /// Rates count up; of every other unit less is better.
    pub unit: &'static str,
    pub value: Option<f64>,
    pub peer: &'static str,
    pub peer_value: Option<f64>,
    /// Samples behind `value`.
    pub n: usize,
}

impl Row {
    /// A figure without a peer.
    pub fn alone(metric: impl Into<String>, unit: &'static str, value: f64, n: usize) -> Self {
        Self { metric: metric.into(), unit, value: Some(value), peer: "-", peer_value: None, n }
    }

    /// Above 1 we are better, whichever way the unit counts.
    fn ratio(&self) -> Option<f64> {
        let (value, peer) = (self.value?, self.peer_value?);
        let ratio = if RATES.contains(&self.unit) { value / peer } else { peer / value };
        ratio.is_finite().then_some(ratio)
    }
}

/// The figures of one benchmark.
pub struct Report {
    bench: &'static str,
    device: String,
    rows: Vec<Row>,
}

impl Report {
    /// Says where and when, so that a figure can be believed later.
    pub fn new(bench: &'static str, flags: &Flags) -> Self {
        let device = device();
        let quick = if flags.quick { "; QUICK, the figures mean little" } else { "" };
        println!("# {bench}: {device}, Linux {}, commit {}{quick}", kernel(), commit());
        println!("load before: {}", load());
        Self { bench, device, rows: Vec::new() }
    }

    /// Names what computes, where that is not the processor.
    pub fn on(&mut self, device: &str) {
        println!("on {device}");
        self.device = format!("{device} of {}", self.device);
    }

    pub fn add(&mut self, row: Row) {
        eprintln!("{}", line(&row));
        self.rows.push(row);
    }

    /// Prints the table and writes `target/bench/<name>.json`, one object a line.
    pub fn finish(self) {
        println!("\n| metric | unit | burst | peer | its figure | ratio | n |\n|---|---|---:|---|---:|---:|---:|");
        self.rows.iter().for_each(|row| println!("{}", line(row)));
        println!("\nA ratio above 1: burst is better. Load after: {}", load());
        let directory = root().join("target/bench");
        fs::create_dir_all(&directory).unwrap();
        let mut lines = String::new();
        for row in &self.rows {
            let json = serde_json::json!({
                "bench": self.bench, "metric": row.metric, "unit": row.unit, "value": row.value, "peer": row.peer,
                "peer_value": row.peer_value, "ratio": row.ratio(), "n": row.n, "device": self.device,
            });
            writeln!(lines, "{json}").unwrap();
        }
        fs::write(directory.join(format!("{}.json", self.bench)), lines).unwrap();
    }
}

/// The value below which `share` of the samples lie.
pub fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1).expect("there are samples");
    sorted[(last as f64 * share).round() as usize]
}

pub fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Lets the house and its peers be silent.
pub fn silence(duration: Duration) {
    eprintln!("{} s of silence", duration.as_secs_f32());
    thread::sleep(duration);
}

fn line(row: &Row) -> String {
    let Row { metric, unit, value, peer, peer_value, n } = row;
    let (value, peer_value, ratio) = (figure(*value), figure(*peer_value), figure(row.ratio()));
    format!("| {metric} | {unit} | {value} | {peer} | {peer_value} | {ratio} | {n} |")
}

/// Three digits that count.
fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

fn device() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    format!("{} x {}", available_parallelism().map_or(1, usize::from), name.unwrap_or(std::env::consts::ARCH))
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// The averages of 1, 5 and 15 minutes: a busy machine shows.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn commit() -> String {
    let git = Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(root()).output();
    git.map_or_else(|_| "unknown".into(), |git| String::from_utf8_lossy(&git.stdout).trim().to_owned())
}
