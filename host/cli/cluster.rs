//! Joins the cluster of a manifest.

use burst_adapters::{memory::Machine, onnx::Onnx, registry::Directory};
use burst_host::{
    loops::member::Member,
    mechanisms::{relay::Relay, shelf::Shelf},
    nouns::manifest::Cluster,
    ports::{Accelerator, Fabric, Memory},
};
use miette::{IntoDiagnostic, Result, WrapErr};
use std::{num::NonZeroU64, path::Path, sync::Arc};

/// Takes part in a cluster, with half of what this process may hold unless the manifest says otherwise. Paths start from
/// `base`; what other nodes give is kept in `shelf`.
pub async fn join(
    cluster: &Cluster,
    memory: Arc<Machine>,
    base: &Path,
    shelf: &Path,
    registry: Arc<Directory>,
    accelerator: Arc<dyn Accelerator>,
) -> Result<Arc<Member>> {
    let fabric = fabric(cluster, base).await?;
    let relay = Arc::new(Relay::new(fabric.clone(), cluster.credits));
    let shelf = Shelf::open(registry, fabric.clone(), shelf).into_diagnostic().wrap_err("the shelf in the cache")?;
    let most_bytes = cluster.memory_max_bytes.map_or_else(|| memory.room_bytes() / 2, NonZeroU64::get);
    let format = Arc::new(Onnx);
    let member = Member::join(fabric, relay, Arc::new(shelf), accelerator, format, most_bytes, memory).await;
    tracing::info!(cluster = %cluster.name, node = %cluster.node, listen = ?cluster.listen, "joined");
    member.into_diagnostic()
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
    };
    let fabric = ZenohFabric::join(options).await.into_diagnostic();
    Ok(Arc::new(fabric.wrap_err("this node can't join its cluster")?))
}

#[cfg(not(feature = "cluster"))]
async fn fabric(_: &Cluster, _: &Path) -> Result<Arc<dyn Fabric>> {
    miette::bail!(help = "build it with the feature `cluster`", "this build of burst knows no clusters")
}
