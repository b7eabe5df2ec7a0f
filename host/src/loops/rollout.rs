//! The releases of a cluster at one node: it hears of the latest, brings it, and turns to it once all of it is warm.
//!
//! Nobody is asked for permission here either: every node tells the largest release that it knows, each brings it for
//! itself, and what is not the largest gives way wherever it meets it.

mod hear;
mod offer;

pub use offer::{Offered, OrderError};

use super::{
    member::Member,
    workload::{Warm, WarmError, Workload},
};
use crate::{
    mechanisms::{
        contents::Contents,
        record::{Record, Releases},
        statistics::Counter,
    },
    nouns::{Content, Digest, Release, ReleaseError, ReleaseId, ReleaseNews, ReleaseState, Sealed},
    ports::{Artefact, Distrust, FabricError, Registry, RegistryError, Serving, Trust},
};
use std::{
    collections::BTreeSet,
    future::pending,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// The pause before a release that can't be brought is tried again; doubled each time, up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(300);
/// For so long a release that can't be fetched has not failed: who has it may be out of reach for a moment.
const FETCHING: Duration = Duration::from_secs(5);
/// What others are told of a failure.
const WHY_MAX_CHARS: usize = 500;

/// A node's part in the releases of its cluster.
pub struct Rollout {
    member: Arc<Member>,
    workload: Arc<Workload>,
    trust: Arc<dyn Trust>,
    cluster: String,
    /// Knows the files of the shelf.
    place: Arc<dyn Registry>,
    record: Arc<Mutex<Record>>,
    /// What this process serves; none until it has warmed one.
    running: Mutex<Option<ReleaseId>>,
    state: Mutex<ReleaseState>,
    /// Releases that others tell and that do not hold.
    refuted: Mutex<Vec<Sealed>>,
    /// What an operator is about to hand over.
    offered: Mutex<Option<Arc<Release>>>,
    /// One swap after the other.
    turning: tokio::sync::Mutex<()>,
    /// Something else may be wanted.
    poke: Notify,
    serving: Mutex<Option<Serving>>,
    /// Releases and orders that were refused.
    pub refused: Counter,
}

/// Where a node keeps what it knows, and whom it believes.
pub struct Keeping {
    pub trust: Arc<dyn Trust>,
    /// The name of the cluster.
    pub cluster: String,
    pub record: Record,
    /// Knows the files of the shelf by the hexadecimal digits of their digests.
    pub place: Arc<dyn Registry>,
}

/// Why a release does not hold, or can't be served here.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    #[error(transparent)]
    Distrust(#[from] Distrust),
    #[error(transparent)]
    Release(#[from] ReleaseError),
    #[error("it is for the cluster `{0}`")]
    Cluster(String),
    #[error("it has another number than was told")]
    Number,
    #[error("its number is {number}, and the cluster has release {latest} already")]
    Older { number: u64, latest: ReleaseId },
    #[error(transparent)]
    Fetch(#[from] RegistryError),
    #[error(transparent)]
    Warm(#[from] WarmError),
    #[error("this node can't keep it: {0}")]
    Keep(#[from] io::Error),
    #[error("another release came in between")]
    Superseded,
}

impl Rollout {
    /// Takes part; nothing is served yet.
    pub async fn join(
        member: Arc<Member>,
        workload: Arc<Workload>,
        keeping: Keeping,
    ) -> Result<Arc<Self>, FabricError> {
        let Keeping { trust, cluster, record, place } = keeping;
        let rollout = Arc::new(Self {
            member,
            workload,
            trust,
            cluster,
            place,
            record: Arc::new(Mutex::new(record)),
            running: Mutex::default(),
            state: Mutex::default(),
            refuted: Mutex::default(),
            offered: Mutex::default(),
            turning: tokio::sync::Mutex::default(),
            poke: Notify::new(),
            serving: Mutex::default(),
            refused: Counter::default(),
        });
        let serving = offer::serve(&rollout).await?;
        *lock(&rollout.serving) = Some(serving);
        rollout.tell(ReleaseState::Serving).await;
        Ok(rollout)
    }

    /// The name of the cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// What this node tells of its releases.
    pub fn news(&self) -> ReleaseNews {
        let Releases { latest, previous, .. } = self.releases();
        let (serving, state) = (*lock(&self.running), lock(&self.state).clone());
        ReleaseNews { latest, serving, previous: previous.map(|sealed| sealed.id), state }
    }

    /// Serves what the last process served; whether there was any. One that does not come is tried again by [`Self::run`]:
    /// in its place nothing is served.
    pub async fn begin(self: &Arc<Self>) -> bool {
        let Some(kept) = self.releases().serving else { return false };
        if let Err(error) = self.bring(&kept).await {
            self.failed(&kept, &error).await;
        }
        true
    }

    /// Serves the latest release, for ever.
    pub async fn run(self: Arc<Self>) {
        let mut news = self.member.fabric.news();
        loop {
            let wanted = self.releases().wanted().cloned();
            tokio::select! {
                () = self.pursue(&wanted) => {}
                () = self.wants_another(&wanted, &mut news) => {}
            }
        }
    }

    /// Brings a release however often it takes, and then waits.
    async fn pursue(self: &Arc<Self>, wanted: &Option<Sealed>) {
        let (mut pause, begun) = (RETRY_MIN, Instant::now());
        match wanted {
            Some(wanted) if *lock(&self.running) != Some(wanted.id) => {
                while let Err(error) = self.bring(wanted).await {
                    match error {
                        RolloutError::Fetch(error) if begun.elapsed() < FETCHING => {
                            tracing::warn!(release = %wanted.id, %error, "it is asked for again");
                        }
                        error => self.failed(wanted, &error).await,
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
            _ => self.tell(self.settled()).await,
        }
        pending().await
    }

    /// Pulls and warms a release beside what is served, and turns to it.
    async fn bring(self: &Arc<Self>, sealed: &Sealed) -> Result<(), RolloutError> {
        self.tell(ReleaseState::Pulling).await;
        let release = self.examine(sealed, &self.member.shelf.get(&sealed.id.digest, Release::MAX_BYTES).await?)?;
        for content in release.artefacts.values() {
            self.member.shelf.hold(content).await?;
        }
        self.tell(ReleaseState::Warming).await;
        let contents = Contents::new(&release, self.place.clone());
        let warm = self.workload.warm(&release.guests, Some(Arc::new(contents))).await?;
        // A process that begins has nothing better to serve meanwhile.
        if !self.begins(sealed) {
            warm.ready().await;
        }
        // Of its own: whatever is wanted next, this step is done as a whole.
        let turning = tokio::spawn(self.clone().turn_to(sealed.clone(), warm));
        turning.await.unwrap_or_else(|error| Err(io::Error::other(error).into()))
    }

    async fn turn_to(self: Arc<Self>, sealed: Sealed, warm: Warm) -> Result<(), RolloutError> {
        let _turn = self.turning.lock().await;
        let before = self.releases();
        // A process that has just begun serves what it served, whatever else is wanted.
        if before.wanted() != Some(&sealed) && !self.begins(&sealed) {
            return Err(RolloutError::Superseded);
        }
        let serving = sealed.clone();
        self.change(|releases| releases.serve(serving)).await?;
        self.workload.swap(warm);
        *lock(&self.running) = Some(sealed.id);
        tracing::info!(release = %sealed.id, "serving");
        self.tell(self.settled()).await;
        self.sweep(&before).await;
        Ok(())
    }

    /// Whether this process has just begun, and this is what the last one served.
    fn begins(&self, sealed: &Sealed) -> bool {
        lock(&self.running).is_none() && self.releases().serving.as_ref() == Some(sealed)
    }

    /// Removes what only releases name that nobody will go back to.
    async fn sweep(&self, before: &Releases) {
        let kept: BTreeSet<ReleaseId> = self.releases().ids().collect();
        let mut named = BTreeSet::new();
        for id in &kept {
            // Without its list nobody knows what it names.
            let Some(artefacts) = self.named_by(id).await else { return };
            named.extend(artefacts);
        }
        for id in before.ids().filter(|id| !kept.contains(id)) {
            let artefacts = self.named_by(&id).await.unwrap_or_default();
            for digest in artefacts.into_iter().filter(|digest| !named.contains(digest)) {
                self.member.shelf.remove(&digest).await;
            }
        }
    }

    /// The digests that a release names, its own among them.
    async fn named_by(&self, id: &ReleaseId) -> Option<Vec<Digest>> {
        let artefact = self.member.shelf.disk.read(&id.digest).await?;
        let release = Release::parse(&artefact.bytes).ok()?;
        Some(release.artefacts.values().map(|content| content.digest).chain([id.digest]).collect())
    }

    /// A release that somebody who may has signed for this cluster.
    fn examine(&self, sealed: &Sealed, artefact: &Artefact) -> Result<Release, RolloutError> {
        self.trust.verify(&artefact.bytes, sealed.seal.as_ref())?;
        let release = Release::parse(&artefact.bytes)?;
        if release.cluster != self.cluster {
            return Err(RolloutError::Cluster(release.cluster));
        }
        if release.number == sealed.id.number { Ok(release) } else { Err(RolloutError::Number) }
    }

    /// Makes a release that holds the latest one, unless there is a later one already.
    async fn adopt(&self, sealed: Sealed, artefact: &Artefact) -> Result<(), RolloutError> {
        let content = Content { digest: artefact.digest, bytes: artefact.bytes.len() as u64 };
        if !self.member.shelf.disk.holds(&content).await {
            self.member.shelf.disk.write(artefact).await?;
        }
        let before = self.releases();
        let adopted = sealed.clone();
        self.change(|releases| {
            if releases.latest.as_ref().is_none_or(|latest| latest.id < adopted.id) {
                releases.adopt(adopted);
            }
        })
        .await?;
        if self.releases().latest.as_ref() == Some(&sealed) {
            tracing::info!(release = %sealed.id, "a later release");
            self.tell(ReleaseState::Pulling).await;
            self.poke.notify_one();
        }
        self.sweep(&before).await;
        Ok(())
    }

    async fn failed(&self, sealed: &Sealed, error: &RolloutError) {
        tracing::error!(release = %sealed.id, %error, "it does not serve here; it is tried again");
        self.tell(ReleaseState::Failed(error.to_string().chars().take(WHY_MAX_CHARS).collect())).await;
    }

    /// The state of a node that serves what it should.
    fn settled(&self) -> ReleaseState {
        if self.releases().held_back.is_some() { ReleaseState::HeldBack } else { ReleaseState::Serving }
    }

    async fn tell(&self, state: ReleaseState) {
        *lock(&self.state) = state;
        if let Err(error) = self.member.tell_release(|| self.news()).await {
            tracing::warn!(%error, "the cluster can't be told");
        }
    }

    fn releases(&self) -> Releases {
        lock(&self.record).releases().clone()
    }

    async fn change(&self, change: impl FnOnce(&mut Releases) + Send + 'static) -> io::Result<()> {
        let record = self.record.clone();
        let changed = tokio::task::spawn_blocking(move || lock(&record).change(change)).await;
        changed.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
