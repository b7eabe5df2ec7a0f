//! The command line. Flags override `BURST_…` variables, which override the manifest.

mod check;
mod cluster;
mod compile;
mod config;
mod decode;
mod deploy;
mod doctor;
mod drain;
mod draw;
mod house;
mod inspect;
mod live;
mod nodes;
mod npu;
mod npy;
mod placement;
mod plan;
mod profile;
mod progress;
mod promise;
mod ps;
mod run;
mod serve;
mod size;
mod split;
mod store;

use clap::{CommandFactory, Parser, Subcommand};
use miette::{IntoDiagnostic, Result};
use std::io::IsTerminal as _;
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Runs sandboxed AI guests on an edge box: silent for hours, then a burst answered at once.
#[derive(Parser)]
#[command(name = "burst", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the guests of a manifest until SIGTERM
    Serve(serve::Serve),
    /// Run a model or a guest once, from .npy files to .npy files
    Run(Box<run::Run>),
    /// Cut a model into fragments that compute, one after the other, what it computes
    Split(split::Split),
    /// Make a guest of a model: a component with the graph inside and its weights in blobs beside it
    Compile(compile::Compile),
    /// Measure how long each fragment of a cut model takes on this machine
    Profile(profile::Measure),
    /// Decide which node runs which fragments of a cut model, or tell who does on a running cluster
    Plan(plan::Place),
    /// Have every node of a running cluster serve the guests of a manifest, or go back
    Deploy(deploy::Deploy),
    /// List the nodes of a running cluster, and who runs what
    Nodes(live::Live),
    /// Relieve a node of a running cluster of everything it runs
    Drain(drain::Drain),
    /// Tell what this machine has, and what would be chosen and why
    Doctor(doctor::Doctor),
    /// Check a manifest, or print its JSON schema
    Check(check::Check),
    /// Compile the guests of a manifest and tell how they start
    Inspect(inspect::Inspect),
    /// List the live pools of a running `burst serve`
    Ps(ps::Ps),
    /// Print completions for a shell
    Completions { shell: clap_complete::Shell },
}

impl Cli {
    /// Does what was asked.
    pub fn run(self) -> Result<()> {
        log();
        match self.command {
            Command::Serve(serve) => block_on(serve.run()),
            Command::Run(run) => block_on(run.run()),
            Command::Split(split) => block_on(split.run()),
            Command::Compile(compile) => block_on(compile.run()),
            Command::Profile(measure) => block_on(measure.run()),
            Command::Plan(place) => block_on(place.run()),
            Command::Deploy(deploy) => block_on(deploy.run()),
            Command::Nodes(live) => block_on(live.run()),
            Command::Drain(drain) => block_on(drain.run()),
            Command::Doctor(doctor) => block_on(doctor.run()),
            Command::Check(check) => check.run(),
            Command::Inspect(inspect) => block_on(inspect.run()),
            Command::Ps(ps) => block_on(ps.run()),
            Command::Completions { shell } => {
                clap_complete::generate(shell, &mut Cli::command(), "burst", &mut std::io::stdout());
                Ok(())
            }
        }
    }
}

/// What is told unless somebody wants more; Zenoh warns of every link whose certificate names a node, not an address,
/// tract of every operator set that is newer than its own tests.
const LOG: &str = "info,tract_onnx=error,zenoh=warn,zenoh_link_commons::quic::utils=error";

/// Logs go to stderr: `BURST_LOG=debug` tells more.
fn log() {
    let filter = EnvFilter::try_from_env("BURST_LOG").unwrap_or_else(|_| EnvFilter::new(LOG));
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_ansi(colours).with_writer(std::io::stderr);
    let log = tracing_subscriber::registry().with(lines.with_filter(filter));
    #[cfg(feature = "cluster")]
    let log = log.with(burst_adapters::fabric::refused_links());
    log.init();
}

/// On a worker: this thread would have to wake one for each connection that it accepts.
fn block_on(future: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().into_diagnostic()?;
    runtime.block_on(runtime.spawn(future)).into_diagnostic()?
}
