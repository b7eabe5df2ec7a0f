//! The program `burst`: one sub-command a file.

mod cli;

use clap::Parser;

fn main() -> miette::Result<()> {
    cli::Cli::parse().run()
}
