//! `burst drain`: relieves a node of everything it runs, and tells when that is done.

use super::live::{Operators, spreads};
use burst_adapters::api::nodes::{Listing, Order, drain};
use burst_host::nouns::NodeName;
use miette::{IntoDiagnostic, Result, WrapErr, bail};
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(200);

/// Relieve a node of a running cluster of everything it runs
#[derive(clap::Args)]
pub struct Drain {
    /// The node, as `burst nodes` lists it
    node: NodeName,
    #[command(flatten)]
    operators: Operators,
    /// Let it take part again
    #[arg(long)]
    undo: bool,
    /// How long others may take to load what it runs
    #[arg(long, default_value = "60")]
    seconds: u64,
}

impl Drain {
    pub async fn run(self) -> Result<()> {
        let order = Order { node: self.node.clone(), drain: !self.undo };
        let asked = drain(self.operators.metrics, &order).await.into_diagnostic();
        asked.wrap_err_with(|| {
            format!("`{}` was not asked, through the node on {}", self.node, self.operators.metrics)
        })?;
        if self.undo {
            println!("{} takes part again", self.node);
            return Ok(());
        }
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(self.seconds) {
            if self.relieved(&self.operators.listing().await?) {
                println!("{} runs nothing; it can be stopped", self.node);
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!(
            help = "`burst nodes` shows what it still runs: the other nodes may lack the memory for it",
            "`{}` still runs something after {} s",
            self.node,
            self.seconds
        )
    }

    /// Whether no latest spread needs it, and every node of those holds its part.
    fn relieved(&self, listing: &Listing) -> bool {
        let told = listing.nodes.get(&self.node).is_none_or(|node| node.draining);
        told && spreads(listing).iter().all(|(digest, spread)| {
            let ready = |name: &NodeName| {
                let model = listing.nodes.get(name).and_then(|node| node.models.get(digest));
                model.and_then(|model| model.ready.as_ref()) == Some(&spread.epoch)
            };
            spread.nodes().all(|name| *name != self.node && ready(name))
        })
    }
}
