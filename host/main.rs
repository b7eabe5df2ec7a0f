//! The program `burst`: one sub-command a file.

mod cli;

use clap::Parser;

/// A burst allocates on every core at once and frees on others; the system's allocator then returns pages to the kernel
/// only to fault them in again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> miette::Result<()> {
    // Mesa's layer that puts one GPU before the others asks the desktop, and complains where there is none; burst puts
    // them in order itself.
    // SAFETY: no other thread runs yet that could read the environment.
    unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    cli::Cli::parse().run()
}
