//! The program `burst`: one sub-command a file.

mod cli;

use clap::Parser;

/// A burst allocates on every core at once and frees on others; the system's allocator then returns pages to the kernel
/// only to fault them in again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> miette::Result<()> {
    cli::Cli::parse().run()
}
