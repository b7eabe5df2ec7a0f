//! `burst nodes`: the nodes of a running cluster, and who runs what.

use super::{progress, size::Size};
use burst_adapters::api::nodes::{Listing, fetch};
use burst_host::nouns::{Digest, NodeName, Spread};
use miette::{IntoDiagnostic, Result, WrapErr};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

/// List the nodes of a running cluster, and who runs what
#[derive(clap::Args)]
pub struct Live {
    #[command(flatten)]
    operators: Operators,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Where a node of the cluster listens to its operators.
#[derive(clap::Args)]
pub struct Operators {
    /// Where a node of the cluster serves metrics
    #[arg(long, default_value = "127.0.0.1:8002", env = "BURST__SERVER__METRICS")]
    pub metrics: SocketAddr,
}

impl Operators {
    pub async fn listing(&self) -> Result<Listing> {
        let listing = fetch(self.metrics).await.into_diagnostic();
        listing.wrap_err_with(|| format!("no node of a cluster answers on {}", self.metrics))
    }
}

impl Live {
    pub async fn run(self) -> Result<()> {
        let listing = self.operators.listing().await?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&listing).into_diagnostic()?);
        } else {
            print(&listing);
        }
        Ok(())
    }
}

fn print(listing: &Listing) {
    println!("{:<24} {:<10} {:>12}  {:<16} DEVICE", "NODE", "STATE", "MEMORY", "RELEASE");
    for (name, node) in &listing.nodes {
        let state = match node.draining {
            true => "draining".to_owned(),
            false if node.slowdown > 0.0 => format!("{:.1}x slow", 1.0 + node.slowdown),
            false => "up".to_owned(),
        };
        let (memory, release) = (Size(node.memory_bytes).to_string(), progress::serving(&node.release));
        println!("{:<24} {state:<10} {memory:>12}  {release:<16} {}", name.as_str(), node.device);
    }
    progress::unsettled(listing);
    for (digest, spread) in spreads(listing) {
        println!("\n{digest}, epoch {} of {}", spread.epoch.number, spread.epoch.leader);
        println!("{:<6} {:<12} {:<24} STANDBY", "STAGE", "FRAGMENTS", "NODE");
        for (index, stage) in spread.stages.iter().enumerate() {
            let fragments = format!("{}..{}", stage.fragments.start, stage.fragments.end.saturating_sub(1));
            let told = |name: &NodeName| {
                let ready = listing.nodes.get(name).and_then(|node| node.models.get(&digest)?.ready.as_ref());
                if ready == Some(&spread.epoch) { name.to_string() } else { format!("{name} (loading)") }
            };
            let mut names = stage.nodes.iter().map(told);
            let first = names.next().unwrap_or_default();
            println!("{index:<6} {fragments:<12} {first:<24} {}", names.collect::<Vec<_>>().join(", "));
        }
    }
    for digest in nowhere(listing) {
        println!("\n{digest} is on no nodes; `burst plan --live` says why");
    }
}

/// Models that guests run, and that nobody spread so far.
pub fn nowhere(listing: &Listing) -> BTreeSet<Digest> {
    let spread = spreads(listing);
    let models = listing.nodes.values().flat_map(|node| &node.models);
    models.filter(|(digest, model)| model.used && !spread.contains_key(digest)).map(|(digest, _)| *digest).collect()
}

/// The latest spread of each model.
pub fn spreads(listing: &Listing) -> BTreeMap<Digest, &Spread> {
    let mut latest: BTreeMap<Digest, &Spread> = BTreeMap::new();
    for (digest, model) in listing.nodes.values().flat_map(|node| &node.models) {
        let Some(spread) = &model.spread else { continue };
        let known = latest.entry(*digest).or_insert(spread);
        if known.epoch < spread.epoch {
            *known = spread;
        }
    }
    latest
}
