//! `burst ps`: the live pools of a running `burst serve`.

use burst_adapters::api::ps::{Line, Listing, fetch};
use miette::{IntoDiagnostic, Result, WrapErr};
use std::net::SocketAddr;

/// List the live pools of a running `burst serve`
#[derive(clap::Args)]
pub struct Ps {
    /// Where it serves the Open Inference Protocol
    #[arg(long, default_value = "127.0.0.1:8000", env = "BURST__SERVER__HTTP")]
    http: SocketAddr,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Ps {
    pub async fn run(self) -> Result<()> {
        let listing = fetch(self.http).await.into_diagnostic();
        let listing = listing.wrap_err_with(|| format!("no `burst serve` answers on {}", self.http))?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&listing).into_diagnostic()?);
        } else {
            print(&listing);
        }
        Ok(())
    }
}

fn print(listing: &Listing) {
    println!(
        "{:<16} {:>11} {:>5} {:>7} {:>10} {:>7} {:>8}  {:<10} RETIRED",
        "GUEST", "READY/FLOOR", "BUSY", "WAITING", "ANSWERED", "FAILED", "REFUSED", "START"
    );
    for line in &listing.guests {
        let Line { leases, requests, .. } = line;
        let retired: Vec<_> = line.retired.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        println!(
            "{:<16} {:>11} {:>5} {:>7} {:>10} {:>7} {:>8}  {:<10} {}",
            line.name,
            format!("{}/{}", leases.ready, leases.floor),
            leases.busy,
            leases.waiting,
            requests.success,
            requests.fail,
            requests.refused,
            line.start.word(),
            retired.join(", ")
        );
    }
}
