//! `burst deploy`: the guests of a manifest become a signed release, which every node of a cluster serves.

use super::{
    config::{DEFAULT, Loaded, Source},
    house,
    live::Operators,
    progress::{self, Awaited},
};
use burst_adapters::{
    api::{
        nodes::Listing,
        releases::{self, Signed},
    },
    keys::Operator,
    onnx::Onnx,
};
use burst_host::{
    loops::{gather::Gatherer, rollout::Offered},
    nouns::{Digest, HoldBack, NodeName, Release, ReleaseId, ReleaseNews},
};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Have every node of a running cluster serve the guests of a manifest, or go back
#[derive(clap::Args)]
pub struct Deploy {
    /// The manifest whose guests are to be served. What it says of the box itself stays here
    #[arg(default_value = DEFAULT, env = "BURST_MANIFEST")]
    manifest: PathBuf,
    /// To every node of the cluster
    #[arg(long, required_unless_present_any = ["status", "rollback"])]
    cluster: bool,
    #[command(flatten)]
    operators: Operators,
    /// The operator's private key, as `openssl genpkey -algorithm ed25519` writes it
    #[arg(long)]
    key: Option<PathBuf>,
    /// Only tell what every node serves
    #[arg(long, conflicts_with = "rollback")]
    status: bool,
    /// Go back to the release before, everywhere or on one node
    #[arg(long, value_name = "NODE", num_args = 0..=1)]
    rollback: Option<Option<NodeName>>,
    /// How long the nodes may take
    #[arg(long, default_value = "300")]
    seconds: u64,
}

impl Deploy {
    pub async fn run(self) -> Result<()> {
        let listing = self.operators.listing().await?;
        if self.status {
            progress::print(&listing);
            return Ok(());
        }
        let operator = self.key.as_deref().map(operator).transpose()?;
        let awaited = match &self.rollback {
            Some(Some(node)) => self.hold_back(&listing, node, operator.as_ref()).await?,
            Some(None) => Awaited::Served(self.return_to_previous(&listing, operator.as_ref()).await?),
            None => Awaited::Served(self.deploy(&listing, operator.as_ref()).await?),
        };
        progress::follow(&self.operators, &awaited, self.seconds).await
    }

    async fn deploy(&self, listing: &Listing, operator: Option<&Operator>) -> Result<ReleaseId> {
        let Loaded { manifest, base } = Source::at(self.manifest.clone()).load()?;
        let cluster = manifest.cluster.map_or_else(|| listing.cluster.clone(), |cluster| cluster.name);
        let gatherer = Gatherer { registry: Arc::new(house::registry(&base)?), format: Arc::new(Onnx) };
        let artefacts = gatherer.gather(manifest.guests.values()).await.into_diagnostic()?;
        let (version, number) = (Release::VERSION, next(own(listing))?);
        let release = Release { version, cluster, number, guests: manifest.guests, artefacts };
        let signed = sign(release.print().into_diagnostic()?, operator);
        let Offered { id, missing } = self.offer(&signed).await?;
        println!("release {id}: {} guests, {} artefacts", release.guests.len(), release.artefacts.len());
        for digest in &missing {
            self.upload(&release, digest, &base).await?;
        }
        if !missing.is_empty() && !self.offer(&signed).await?.missing.is_empty() {
            bail!("the node has lost what it was given; deploy again");
        }
        Ok(id)
    }

    async fn upload(&self, release: &Release, digest: &Digest, base: &Path) -> Result<()> {
        let named = release.artefacts.iter().find(|(_, content)| content.digest == *digest);
        let (reference, _) =
            named.ok_or_else(|| miette!("the node asks for {digest}, which the release does not name"))?;
        let file = File::open(base.join(reference)).into_diagnostic().wrap_err_with(|| format!("`{reference}`"))?;
        let sent = releases::upload(self.operators.metrics, digest, file).await.into_diagnostic();
        sent.wrap_err_with(|| format!("`{reference}` was not taken by the node on {}", self.operators.metrics))
    }

    /// What was served before, under a new number.
    async fn return_to_previous(&self, listing: &Listing, operator: Option<&Operator>) -> Result<ReleaseId> {
        let own = own(listing);
        let latest = own.latest.as_ref().map(|latest| latest.id);
        // A release that does not start here is left for the one that serves.
        let back = if own.serving == latest { own.previous } else { own.serving };
        let back = back.ok_or_else(|| miette!("`{}` has served no release before", listing.node))?;
        let text = releases::fetch(self.operators.metrics, &back.digest).await.into_diagnostic();
        let text = text.wrap_err_with(|| format!("`{}` does not give release {back}", listing.node))?;
        let previous = Release::parse(&text).into_diagnostic()?;
        let release = Release { number: next(own)?, ..previous };
        let Offered { id, missing } = self.offer(&sign(release.print().into_diagnostic()?, operator)).await?;
        if !missing.is_empty() {
            bail!("`{}` no longer keeps {} of its artefacts; deploy its manifest again", listing.node, missing.len());
        }
        println!("release {id}: what release {back} was");
        Ok(id)
    }

    async fn hold_back(&self, listing: &Listing, node: &NodeName, operator: Option<&Operator>) -> Result<Awaited> {
        let latest = own(listing).latest.as_ref().ok_or_else(|| miette!("the cluster has no release"))?;
        let order = HoldBack { cluster: listing.cluster.clone(), hold_back: node.clone(), from: latest.id };
        let signed = sign(serde_json::to_string(&order).into_diagnostic()?, operator);
        let carried_out = releases::order(self.operators.metrics, &signed).await.into_diagnostic();
        carried_out.wrap_err_with(|| format!("`{node}` does not go back"))?;
        Ok(Awaited::Left(node.clone(), latest.id))
    }

    async fn offer(&self, signed: &Signed) -> Result<Offered> {
        let offered = releases::offer(self.operators.metrics, signed).await.into_diagnostic();
        offered.wrap_err_with(|| format!("the node on {} does not take the release", self.operators.metrics))
    }
}

fn operator(path: &Path) -> Result<Operator> {
    Operator::read(path).into_diagnostic().wrap_err_with(|| format!("the key `{}`", path.display()))
}

fn sign(text: String, operator: Option<&Operator>) -> Signed {
    let seal = operator.map(|operator| operator.sign(text.as_bytes()));
    Signed { text, seal }
}

/// What the node that was asked tells of itself: others' numbers nobody has verified.
fn own(listing: &Listing) -> &ReleaseNews {
    static NONE: std::sync::LazyLock<ReleaseNews> = std::sync::LazyLock::new(ReleaseNews::default);
    listing.nodes.get(&listing.node).map_or(&*NONE, |node| &node.release)
}

fn next(news: &ReleaseNews) -> Result<u64> {
    let latest = news.latest.as_ref().map_or(0, |latest| latest.id.number);
    latest.checked_add(1).ok_or_else(|| miette!("there are no more numbers"))
}
