//! What a node runs: guests with their pools and the lanes of its cameras. All of it is replaced at once or not at all.

use super::{
    deploy::{DeployError, Deployer},
    serve::{Deployment, Service},
    watch::Lane,
};
use crate::{
    mechanisms::{
        egress::{Gate, LaneCounts},
        feed::{Feed, Slot},
    },
    nouns::{Vocabulary, manifest::Guest},
    ports::{Registry, Sink},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};

/// The guests of a node, those that serve and how others take their place.
pub struct Workload {
    pub service: Arc<Service>,
    deployer: Deployer,
    /// By name.
    cameras: BTreeMap<String, Camera>,
    sinks: Arc<[Arc<dyn Sink>]>,
    lanes: Mutex<Lanes>,
}

/// A camera of this node.
pub struct Camera {
    pub slot: Arc<Slot>,
    pub max_age: Duration,
}

/// The lanes that look.
#[derive(Default)]
struct Lanes {
    counts: Vec<LaneCounts>,
    /// Told when others take their place.
    closing: watch::Sender<bool>,
    running: JoinSet<()>,
}

/// Guests whose pools are filled beside those that serve, and their lanes, which do not look yet.
pub struct Warm {
    deployments: Vec<Arc<Deployment>>,
    lanes: Vec<Lane>,
}

/// Why not all guests are warm.
#[derive(Debug, thiserror::Error)]
#[error("the guest `{guest}` can't be deployed: {why}")]
pub struct WarmError {
    guest: String,
    why: DeployError,
}

impl Warm {
    /// Until every node that computes for them is in place.
    pub async fn ready(&self) {
        for deployment in &self.deployments {
            deployment.ready().await;
        }
    }
}

impl Workload {
    /// Runs nothing yet.
    pub fn new(deployer: Deployer, cameras: BTreeMap<String, Camera>, sinks: Arc<[Arc<dyn Sink>]>) -> Self {
        Self { service: Arc::default(), deployer, cameras, sinks, lanes: Mutex::default() }
    }

    /// Deploys guests beside those that serve, with the references of a release or of the node's own manifest.
    pub async fn warm(
        &self,
        guests: &BTreeMap<String, Guest>,
        release: Option<Arc<dyn Registry>>,
    ) -> Result<Warm, WarmError> {
        let deployer = release.map_or_else(|| self.deployer.clone(), |release| self.deployer.of_release(release));
        let mut warm = Warm { deployments: Vec::new(), lanes: Vec::new() };
        for (name, guest) in guests {
            let feeds = self.feeds(guest);
            if feeds.is_empty() && !guest.cameras.is_empty() {
                tracing::warn!(guest = %name, cameras = ?guest.cameras, "it does not run here: this node has none of them");
                continue;
            }
            let failed = |why| WarmError { guest: name.clone(), why };
            let started = Instant::now();
            let statistics = self.service.statistics(name).unwrap_or_default();
            let deployment = deployer.replace(name, guest, feeds.clone(), statistics).await;
            let deployment = deployment.map_err(failed)?;
            let compiled = deployment.pool.guest();
            let (start, cached, ready) = (&compiled.start, compiled.cached, deployment.pool.leases().ready);
            tracing::info!(guest = %name, %start, cached, ready, took = ?started.elapsed(), "deployed");
            let deployment = Arc::new(deployment);
            let vocabulary = Vocabulary::new(guest.vocabulary.iter().cloned());
            let vocabulary = vocabulary.map_err(|id| failed(DeployError::Vocabulary(id)))?;
            warm.lanes.extend(self.lanes_of(&deployment, guest, &Arc::new(vocabulary), feeds));
            warm.deployments.push(deployment);
        }
        Ok(warm)
    }

    /// Puts warm guests in place of all that serve, in one step. Requests and frames in flight end where they began.
    pub fn swap(&self, warm: Warm) {
        self.service.replace(warm.deployments);
        let mut lanes = Lanes { counts: warm.lanes.iter().map(Lane::counts).collect(), ..Lanes::default() };
        for mut lane in warm.lanes {
            lane.feed.skip();
            let mut closing = lanes.closing.subscribe();
            lanes.running.spawn(async move {
                lane.run_until(async { drop(closing.wait_for(|&closing| closing).await) }).await;
            });
        }
        let mut before = std::mem::replace(&mut *self.lanes(), lanes);
        before.closing.send_replace(true);
        before.running.detach_all();
    }

    /// What became of frames and events.
    pub fn lane_counts(&self) -> Vec<LaneCounts> {
        self.lanes().counts.clone()
    }

    fn feeds(&self, guest: &Guest) -> BTreeMap<String, Feed> {
        let feed = |name: &String| Some((name.clone(), self.cameras.get(name)?.slot.feed()));
        guest.cameras.iter().filter_map(feed).collect()
    }

    fn lanes_of(
        &self,
        deployment: &Arc<Deployment>,
        guest: &Guest,
        vocabulary: &Arc<Vocabulary>,
        feeds: BTreeMap<String, Feed>,
    ) -> impl Iterator<Item = Lane> {
        feeds.into_iter().filter_map(move |(camera, feed)| {
            let max_age = self.cameras.get(&camera)?.max_age;
            let gate = Gate::new(deployment.name.clone(), vocabulary.clone(), guest.events_per_second.get());
            let (sinks, reuse) = (self.sinks.clone(), guest.pool.reuse);
            Some(Lane { deployment: deployment.clone(), camera: camera.into(), feed, gate, sinks, max_age, reuse })
        })
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
