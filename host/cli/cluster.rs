//! Joins the cluster of a manifest, or that of flags, and takes part in its releases.

use super::config::Place;
use burst_adapters::{
    keys::{Deployers, PublicKey},
    memory::Machine,
    onnx::Onnx,
    registry::Directory,
};
use burst_host::{
    loops::{
        member::{Member, Part},
        rollout::{Keeping, Rollout},
        workload::Workload,
    },
    mechanisms::{record::Record, relay::Relay, shelf::Shelf},
    nouns::manifest::Cluster,
    ports::{Accelerator, Fabric},
};
use figment::{
    Figment,
    providers::{Format, Toml},
};
use miette::{IntoDiagnostic, Result, WrapErr, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Sessions may hold one in so many of the bytes that fragments may, and no less than this.
const SESSIONS: u64 = 4;
const SESSIONS_MIN_BYTES: u64 = 64 << 20;

/// The cluster whose nodes compute for a command.
#[derive(clap::Args)]
pub struct Joining {
    /// A manifest whose `[cluster]` says how to join it, for this process alone
    #[arg(long, value_name = "MANIFEST")]
    cluster: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

impl Joining {
    /// The cluster, and where its paths start from; `None` where no flag names one.
    pub fn cluster(&self) -> Result<Option<(Cluster, PathBuf)>> {
        if self.cluster.is_none() && !self.place.is_said() {
            return Ok(None);
        }
        let mut figment = Figment::new();
        if let Some(path) = &self.cluster {
            let text = fs::read_to_string(path).into_diagnostic().wrap_err_with(|| format!("`{}`", path.display()))?;
            figment = figment.merge(Toml::string(&text));
        }
        let cluster = self.place.over(figment).extract_inner::<Cluster>("cluster").into_diagnostic();
        let cluster = cluster.wrap_err("a cluster needs a name for this node, --node")?;
        if cluster.join.is_empty() || cluster.listen.is_empty() {
            bail!("to join a cluster another node has to be named, --join, and an address for this one, --listen");
        }
        let base = self.cluster.as_deref().and_then(Path::parent).filter(|parent| !parent.as_os_str().is_empty());
        Ok(Some((cluster, base.unwrap_or(Path::new(".")).into())))
    }
}

/// Takes part in a cluster with so much memory for fragments. Paths start from `base`; what other nodes give is kept in
/// `shelf`.
pub async fn join(
    cluster: &Cluster,
    most_bytes: u64,
    memory: Arc<Machine>,
    base: &Path,
    shelf: &Path,
    registry: Arc<Directory>,
    accelerator: Arc<dyn Accelerator>,
) -> Result<Arc<Member>> {
    let fabric = fabric(cluster, base).await?;
    let relay = Relay::new(fabric.clone(), cluster.credits, (most_bytes / SESSIONS).max(SESSIONS_MIN_BYTES));
    let shelf = Shelf::open(registry, fabric.clone(), shelf).into_diagnostic().wrap_err("the shelf in the cache")?;
    let format = Arc::new(Onnx);
    let part = Part { most_bytes, memory, objective: cluster.objective };
    let member = Member::join(fabric, relay, Arc::new(shelf), accelerator, format, part).await;
    tracing::info!(cluster = %cluster.name, node = %cluster.node, listen = ?cluster.listen, "joined");
    member.into_diagnostic()
}

/// Takes part in the releases of the cluster. What this node knows of them is on its shelf.
pub async fn rollout(
    cluster: &Cluster,
    base: &Path,
    member: Arc<Member>,
    workload: Arc<Workload>,
) -> Result<Arc<Rollout>> {
    let directory = member.shelf.disk.directory();
    let record = directory.join("releases.json");
    let kept = Record::open(&record).into_diagnostic().wrap_err_with(|| {
        format!("this node can't tell which releases it served; without `{}` it begins anew", record.display())
    })?;
    let place = Arc::new(super::house::registry(directory)?);
    let trust = Arc::new(deployers(cluster, base)?);
    let keeping = Keeping { trust, cluster: cluster.name.clone(), record: kept, place };
    Rollout::join(member.clone(), workload, keeping).await.into_diagnostic()
}

fn deployers(cluster: &Cluster, base: &Path) -> Result<Deployers> {
    // Nothing but loopback is taken without papers: who reaches the node is on its box.
    if cluster.deployers.is_empty() && cluster.tls.is_none() {
        return Ok(Deployers::Everybody);
    }
    let read = |file| {
        let path = base.join(file);
        let key = PublicKey::read(&path).into_diagnostic();
        key.wrap_err_with(|| format!("the public key `{}` in cluster.deployers", path.display()))
    };
    Ok(Deployers::Keys(cluster.deployers.iter().map(read).collect::<Result<_>>()?))
}

#[cfg(feature = "cluster")]
async fn fabric(cluster: &Cluster, base: &Path) -> Result<Arc<dyn Fabric>> {
    use burst_adapters::fabric::{Options, Tls, ZenohFabric};
    let tls = cluster.tls.as_ref().map(|papers| Tls {
        authority: base.join(&papers.authority),
        certificate: base.join(&papers.certificate),
        key: base.join(&papers.key),
    });
    let options = Options {
        cluster: cluster.name.clone(),
        name: cluster.node.clone(),
        listen: cluster.listen.clone(),
        join: cluster.join.clone(),
        discover: cluster.discover,
        lease_ms: cluster.lease_ms,
        tls,
        members: cluster.members.clone(),
        routers: cluster.routers.clone(),
    };
    let fabric = ZenohFabric::join(options).await.into_diagnostic();
    Ok(Arc::new(fabric.wrap_err("this node can't join its cluster")?))
}

#[cfg(not(feature = "cluster"))]
async fn fabric(_: &Cluster, _: &Path) -> Result<Arc<dyn Fabric>> {
    miette::bail!(help = "build it with the feature `cluster`", "this build of burst knows no clusters")
}
