//! `burst serve`: from a manifest to sockets, and back to silence.

use super::{
    cluster,
    config::{Loaded, Source},
    house,
};
use burst_adapters::{
    api::{Api, metrics, nodes, releases, server},
    frames,
    sinks::Broadcast,
};
use burst_host::{
    loops::{
        member::Member,
        rollout::Rollout,
        serve::Service,
        watch::pump,
        workload::{Camera, Workload},
    },
    mechanisms::feed::Slot,
    nouns::manifest,
    ports::{FrameSource, Sink},
};
use miette::{IntoDiagnostic, Result, WrapErr};
use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

/// Records that a slow listener may lag behind before it loses the oldest.
const EVENTS_KEPT: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Clients that listen to events at once.
const LISTENERS_MAX: usize = 64;

/// Serve the guests of a manifest until SIGTERM
#[derive(clap::Args)]
pub struct Serve {
    #[command(flatten)]
    source: Source,
}

impl Serve {
    pub async fn run(self) -> Result<()> {
        let loaded = self.source.load()?;
        let limits = loaded.manifest.server.clone();
        // Bound first: a taken port is told before seconds of compiling.
        let http = bind(limits.http).await?;
        let scrape = bind(limits.metrics).await?;
        let house = House::open(&loaded).await?;
        let closing = watch::Sender::new(false);
        let router = house.api().router(&limits);
        let cluster = loaded.manifest.cluster.as_ref().map(|cluster| cluster.name.clone()).unwrap_or_default();
        let operators = nodes::router(house.member.clone(), cluster);
        let operators = operators.merge(releases::router(house.rollout.clone()));
        let metrics = metrics::router(house.metrics.clone()).merge(operators);
        tracing::info!(http = %address(&http), metrics = %address(&scrape), "serving");
        let serving = async {
            let main = server::serve(http, router, &limits, closed(closing.subscribe()));
            let scraped = server::serve(scrape, metrics, &limits, closed(closing.subscribe()));
            tokio::join!(main, scraped);
        };
        tokio::pin!(serving);
        tokio::select! {
            () = &mut serving => return Ok(()),
            signal = first_signal() => signal?,
        }
        tracing::info!("draining; a second signal ends at once");
        house.close().await;
        closing.send_replace(true);
        tokio::select! {
            () = &mut serving => Ok(()),
            signal = first_signal() => signal,
        }
    }
}

/// Guests, cameras and sinks of one manifest.
struct House {
    service: Arc<Service>,
    events: Arc<Broadcast>,
    metrics: Arc<metrics::Registry>,
    /// This node's part in its cluster.
    member: Option<Arc<Member>>,
    rollout: Option<Arc<Rollout>>,
    /// Cameras and the rounds of the member; they end with the house.
    _watching: JoinSet<()>,
}

impl House {
    async fn open(loaded: &Loaded) -> Result<Self> {
        let events = Arc::new(Broadcast::new(EVENTS_KEPT, LISTENERS_MAX));
        let (deployer, member) = house::open(loaded).await?;
        let devices = vec![deployer.models.accelerator.clone()];
        let sinks: Arc<[Arc<dyn Sink>]> = Arc::new([events.clone()]);
        let cameras = Cameras::open(loaded)?;
        let workload = Arc::new(Workload::new(deployer, cameras.watched(loaded), sinks));
        let mut watching = JoinSet::new();
        if let Some(member) = member.clone() {
            watching.spawn(member.run());
        }
        let rollout = match (&member, &loaded.manifest.cluster) {
            (Some(member), Some(cluster)) => {
                Some(cluster::rollout(cluster, &loaded.base, member.clone(), workload.clone()).await?)
            }
            _ => None,
        };
        let kept = match &rollout {
            Some(rollout) => rollout.begin().await,
            None => false,
        };
        if !kept {
            workload.swap(workload.warm(&loaded.manifest.guests, None).await.into_diagnostic()?);
        }
        if let Some(rollout) = rollout.clone() {
            watching.spawn(rollout.run());
        }
        let relay = member.as_ref().map(|member| member.relay.clone());
        let fabric = member.as_ref().map(|member| member.fabric.clone());
        let (service, lanes) = (workload.service.clone(), workload.clone());
        let lanes = Box::new(move || lanes.lane_counts());
        let metrics = Arc::new(metrics::registry(service.clone(), lanes, devices, fabric, relay, rollout.clone()));
        cameras.start(&mut watching);
        Ok(Self { service, events, metrics, member, rollout, _watching: watching })
    }

    fn api(&self) -> Api<Service> {
        Api { inference: self.service.clone(), events: self.events.clone(), metrics: self.metrics.clone() }
    }

    /// Takes no more requests, ends the streams that have no end, and lets other nodes take over what runs here.
    async fn close(&self) {
        self.service.drain();
        self.events.close();
        if let Some(member) = &self.member
            && let Err(error) = member.drain(true).await
        {
            tracing::warn!(%error, "the cluster can't be told");
        }
    }
}

/// The cameras of a manifest, before they start.
struct Cameras(BTreeMap<String, (Box<dyn FrameSource>, Arc<Slot>)>);

impl Cameras {
    fn open(loaded: &Loaded) -> Result<Self> {
        let open = |(name, camera): (&String, &manifest::Camera)| {
            let source = frames::open(name, &camera.source, &loaded.base);
            let source = source.into_diagnostic().wrap_err_with(|| format!("the camera `{name}` can't be opened"))?;
            Ok((name.clone(), (source, Arc::default())))
        };
        Ok(Self(loaded.manifest.cameras.iter().map(open).collect::<Result<_>>()?))
    }

    /// What guests see of them.
    fn watched(&self, loaded: &Loaded) -> BTreeMap<String, Camera> {
        let watched = |(name, camera): (&String, &manifest::Camera)| {
            let (_, slot) = self.0.get(name)?;
            let max_age = Duration::from_millis(camera.max_age_ms.get());
            Some((name.clone(), Camera { slot: slot.clone(), max_age }))
        };
        loaded.manifest.cameras.iter().filter_map(watched).collect()
    }

    fn start(self, watching: &mut JoinSet<()>) {
        for (name, (source, slot)) in self.0 {
            watching.spawn(pump(source, slot, name.into()));
        }
    }
}

async fn bind(address: std::net::SocketAddr) -> Result<TcpListener> {
    server::listen(address).await.into_diagnostic().wrap_err_with(|| format!("can't listen on {address}"))
}

fn address(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|error| error.to_string(), |address| address.to_string())
}

async fn closed(mut closing: watch::Receiver<bool>) {
    let _ = closing.wait_for(|&closing| closing).await;
}

async fn first_signal() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).into_diagnostic()?;
    let mut interrupt = signal(SignalKind::interrupt()).into_diagnostic()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
