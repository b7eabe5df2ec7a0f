//! `burst serve`: from a manifest to sockets, and back to silence.

use super::{
    config::{Loaded, Source},
    house,
};
use burst_adapters::{
    api::{Api, metrics, nodes, server},
    frames,
    sinks::Broadcast,
};
use burst_host::{
    loops::{
        deploy::Deployer,
        member::Member,
        serve::Service,
        watch::{Lane, pump},
    },
    mechanisms::{
        egress::{Gate, LaneCounts},
        feed::{Feed, Slot},
    },
    nouns::{Manifest, Vocabulary},
    ports::Sink,
};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};
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
        let metrics = metrics::router(house.metrics.clone()).merge(nodes::router(house.member.clone()));
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
    /// Cameras, lanes and the member's rounds; they end with the house.
    _watching: JoinSet<()>,
}

impl House {
    async fn open(loaded: &Loaded) -> Result<Self> {
        let events = Arc::new(Broadcast::new(EVENTS_KEPT, LISTENERS_MAX));
        let service = Arc::new(Service::default());
        let (deployer, member) = house::open(loaded).await?;
        let mut watching = JoinSet::new();
        if let Some(member) = member.clone() {
            watching.spawn(member.run());
        }
        let mut cameras = Cameras::open(loaded)?;
        let mut lanes = Vec::new();
        for (name, guest) in &loaded.manifest.guests {
            let feeds = cameras.feeds(&guest.cameras);
            let started = Instant::now();
            let deployment = deploy(&deployer, &loaded.manifest, name, &feeds).await?;
            let start = &deployment.pool.guest().start;
            let cached = deployment.pool.guest().cached;
            let ready = deployment.pool.leases().ready;
            tracing::info!(guest = %name, %start, cached, ready, took = ?started.elapsed(), "deployed");
            service.insert(deployment.clone());
            let sinks: Arc<[Arc<dyn Sink>]> = Arc::new([events.clone()]);
            for (camera, feed) in feeds {
                lanes.push(lane(&loaded.manifest, deployment.clone(), camera, feed, sinks.clone())?);
            }
        }
        let counts: Vec<LaneCounts> = lanes.iter().map(Lane::counts).collect();
        let devices = vec![deployer.models.accelerator.clone()];
        let relay = member.as_ref().map(|member| member.relay.clone());
        let metrics = Arc::new(metrics::registry(service.clone(), counts, devices, relay));
        lanes.into_iter().for_each(|lane| drop(watching.spawn(lane.run())));
        cameras.start(&mut watching);
        Ok(Self { service, events, metrics, member, _watching: watching })
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

type Deployed = Arc<burst_host::loops::serve::Deployment>;

async fn deploy(
    deployer: &Deployer,
    manifest: &Manifest,
    name: &str,
    feeds: &BTreeMap<String, Feed>,
) -> Result<Deployed> {
    let deployment = deployer.deploy(name, &manifest.guests[name], feeds.clone()).await;
    deployment.map(Arc::new).into_diagnostic().wrap_err_with(|| format!("the guest `{name}` can't be deployed"))
}

fn lane(
    manifest: &Manifest,
    deployment: Deployed,
    camera: String,
    feed: Feed,
    sinks: Arc<[Arc<dyn Sink>]>,
) -> Result<Lane> {
    let guest = &manifest.guests[&*deployment.name];
    let vocabulary = Vocabulary::new(guest.vocabulary.iter().cloned()).map_err(|id| miette!("id {id} occurs twice"))?;
    let gate = Gate::new(deployment.name.clone(), Arc::new(vocabulary), guest.events_per_second.get());
    let max_age = Duration::from_millis(manifest.cameras[&camera].max_age_ms.get());
    Ok(Lane { deployment, camera: camera.into(), feed, gate, sinks, max_age, reuse: guest.pool.reuse })
}

/// The cameras of a manifest, before they start.
struct Cameras(BTreeMap<String, (Box<dyn burst_host::ports::FrameSource>, Slot)>);

impl Cameras {
    fn open(loaded: &Loaded) -> Result<Self> {
        let open = |(name, camera): (&String, &burst_host::nouns::manifest::Camera)| {
            let source = frames::open(name, &camera.source, &loaded.base);
            let source = source.into_diagnostic().wrap_err_with(|| format!("the camera `{name}` can't be opened"))?;
            Ok((name.clone(), (source, Slot::new())))
        };
        Ok(Self(loaded.manifest.cameras.iter().map(open).collect::<Result<_>>()?))
    }

    fn feeds(&mut self, names: &[String]) -> BTreeMap<String, Feed> {
        names.iter().filter_map(|name| Some((name.clone(), self.0.get(name)?.1.feed()))).collect()
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
