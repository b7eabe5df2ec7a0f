//! Silence, then everybody at once: leases, answers over HTTP, a container for comparison, and what waiting costs.
//!
//!     just bench burst [leases] [http] [cold] [silence] [--quick]

mod container;
mod leases;
// Of this and of the support, each benchmark uses a part.
#[allow(dead_code)]
mod report;
mod silence;
mod sockets;
#[allow(dead_code, unused_imports)]
#[path = "../support/mod.rs"]
mod support;

use report::{Flags, Report};
use std::{path::PathBuf, time::Duration};

/// As in the program: a part of what is measured runs in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests that come at once.
const CROWD: usize = 1000;
/// The peer of a floor: the same pool, but guests are made when they are asked for.
const ON_DEMAND: &str = "burst with ready = 0";

fn main() {
    let flags = Flags::parse();
    open_files();
    let mut report = Report::new("burst", &flags);
    println!("{} s of silence before each burst; {} bursts each, medians", window(&flags).as_secs(), rounds(&flags));
    if flags.wants("leases") {
        leases::measure(&flags, &mut report);
    }
    if flags.wants("http") {
        sockets::measure(&flags, &mut report);
    }
    if flags.wants("cold") {
        container::measure(&flags, &mut report);
    }
    if flags.wants("silence") {
        silence::measure(&flags, &mut report);
    }
    report.finish();
}

/// How long nobody asks.
fn window(flags: &Flags) -> Duration {
    Duration::from_secs(flags.pick(5, 60))
}

fn rounds(flags: &Flags) -> usize {
    flags.pick(1, 3)
}

/// A manifest with one echo, and the directory that it lives in.
fn manifest(pool: &str, server: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(support::root().join(support::guest("echo")), directory.path().join("echo.wasm")).unwrap();
    let path = directory.path().join("burst.toml");
    std::fs::write(&path, format!("[server]\n{server}\n[guests.echo]\ncomponent = \"echo.wasm\"\npool = {pool}\n"))
        .unwrap();
    (directory, path)
}

/// As many as the system gives: both ends of a crowd's connections, here and in the servers started from here.
fn open_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid pointer to a limit of this frame.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
}
