//! Artefacts by their digest, wherever they are: in this node's registry, on its disk, or with another node. What was
//! fetched from a node is kept, so that one fetch from outside is enough for a cluster.

mod cut;
mod disk;
mod pieces;

pub use disk::{Disk, Incoming};

use crate::{
    nouns::{Content, Digest, Fragment, NodeName, Plan, PlanError},
    ports::{Artefact, Fabric, Reach, Registry, RegistryError, Service, Urgency},
};
use bytes::{BufMut, BytesMut};
use std::{
    collections::HashMap,
    fmt::Display,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::task::spawn_blocking;

/// Models and weights say nothing of what they were used on.
pub const BLOB: Service = Service { name: "blob", reach: Reach::Cluster, urgency: Urgency::Last };

/// The artefacts of a node.
pub struct Shelf {
    registry: Arc<dyn Registry>,
    fabric: Arc<dyn Fabric>,
    /// Where the digests of the node's own registry are.
    places: Mutex<HashMap<Digest, String>>,
    /// What other nodes and operators gave.
    pub disk: Disk,
    /// Plans that were read: they name the files of a cut model.
    plans: Mutex<HashMap<Digest, Arc<Plan>>>,
}

impl Shelf {
    /// A shelf on a directory of its own, which is made.
    pub fn open(registry: Arc<dyn Registry>, fabric: Arc<dyn Fabric>, directory: &Path) -> io::Result<Self> {
        Ok(Self { registry, fabric, places: Mutex::default(), disk: Disk::open(directory)?, plans: Mutex::default() })
    }

    /// Tells where the parts of a cut model are in the node's own registry.
    pub fn place(&self, directory: &str, digest: Digest, plan: &Plan) {
        let below = |file: &str| format!("{}/{file}", directory.trim_end_matches('/'));
        let mut places = lock(&self.places);
        places.insert(digest, below(Plan::FILE));
        for fragment in &plan.fragments {
            places.insert(fragment.model, below(&fragment.model_file()));
            places.extend(fragment.blobs.iter().map(|blob| (*blob, below(&Fragment::blob(blob)))));
        }
    }

    /// The plan of a cut model.
    pub async fn plan(&self, digest: &Digest) -> Result<Arc<Plan>, RegistryError> {
        if let Some(plan) = lock(&self.plans).get(digest) {
            return Ok(plan.clone());
        }
        let artefact = self.get(digest, PLAN_MAX_BYTES).await?;
        let refused =
            |error: PlanError| RegistryError::Refused { reference: digest.to_string(), reason: error.to_string() };
        let plan = Arc::new(Plan::parse(&artefact.bytes).map_err(refused)?);
        lock(&self.plans).insert(*digest, plan.clone());
        Ok(plan)
    }

    /// The artefact of a digest, from here or from any node that has it. That is kept, for others to ask for.
    pub async fn get(&self, digest: &Digest, limit_bytes: u64) -> Result<Artefact, RegistryError> {
        if let Some(artefact) = self.own(digest).await {
            return within(artefact, limit_bytes);
        }
        let artefact = self.ask(digest, limit_bytes).await?;
        // Where there is no room it is fetched again.
        if let Err(error) = self.disk.write(&artefact).await {
            tracing::warn!(%digest, %error, "it is not kept");
        }
        Ok(artefact)
    }

    /// The same, and nothing is kept.
    pub async fn peek(&self, digest: &Digest, limit_bytes: u64) -> Result<Artefact, RegistryError> {
        match self.own(digest).await {
            Some(artefact) => within(artefact, limit_bytes),
            None => self.ask(digest, limit_bytes).await,
        }
    }

    async fn ask(&self, digest: &Digest, limit_bytes: u64) -> Result<Artefact, RegistryError> {
        let mut failed = RegistryError::NotFound(digest.to_string());
        for node in self.others(digest) {
            match self.fetch_from(&node, digest, limit_bytes).await {
                Ok(Some(artefact)) => return Ok(artefact),
                Ok(None) => {}
                Err(error) => failed = asked(&node, error),
            }
        }
        Err(failed)
    }

    /// Has an artefact lie on this node's own disk. What comes from another node is never in memory as a whole.
    pub async fn hold(&self, content: &Content) -> Result<(), RegistryError> {
        let digest = &content.digest;
        if self.disk.holds(content).await {
            return Ok(());
        }
        if let Some(artefact) = self.placed(digest).await {
            return self.disk.write(&artefact).await.map_err(|error| unreadable(digest, error));
        }
        let mut failed = RegistryError::NotFound(digest.to_string());
        for node in self.others(digest) {
            match self.copy_from(&node, content).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => failed = asked(&node, error),
            }
        }
        Err(failed)
    }

    /// Forgets an artefact that nothing names any more.
    pub async fn remove(&self, digest: &Digest) {
        lock(&self.plans).remove(digest);
        self.disk.remove(digest).await;
    }

    /// The other nodes; not all of a cluster ask the same one first.
    fn others(&self, digest: &Digest) -> Vec<NodeName> {
        let own = self.fabric.name();
        let mut nodes: Vec<_> = self.fabric.news().borrow().keys().filter(|node| *node != own).cloned().collect();
        let after = nodes.partition_point(|node| node < own);
        let turn = (after + usize::from(digest.as_bytes()[0])) % nodes.len().max(1);
        nodes.rotate_left(turn);
        nodes
    }

    /// What is here, and still what its digest says.
    async fn own(&self, digest: &Digest) -> Option<Artefact> {
        match self.disk.read(digest).await {
            Some(artefact) => Some(artefact),
            None => self.placed(digest).await,
        }
    }

    async fn placed(&self, digest: &Digest) -> Option<Artefact> {
        let place = lock(&self.places).get(digest).cloned()?;
        self.registry.fetch(&place, u64::MAX).await.ok().filter(|artefact| artefact.digest == *digest)
    }

    async fn fetch_from(
        &self,
        node: &NodeName,
        digest: &Digest,
        limit_bytes: u64,
    ) -> Result<Option<Artefact>, RegistryError> {
        let Some(mut pieces) = self.pieces(node, digest, limit_bytes).await? else { return Ok(None) };
        let mut bytes = BytesMut::new();
        while let Some(piece) = pieces.next().await? {
            bytes.put(piece);
        }
        let bytes = bytes.freeze();
        let artefact = spawn_blocking(move || Artefact::new(bytes)).await.map_err(|error| unreadable(digest, error))?;
        if artefact.digest == *digest {
            return Ok(Some(artefact));
        }
        Err(RegistryError::Refused { reference: digest.to_string(), reason: format!("`{node}` has something else") })
    }

    /// Whether the node has it, and it lies here now.
    async fn copy_from(&self, node: &NodeName, content: &Content) -> Result<bool, RegistryError> {
        let digest = &content.digest;
        let Some(mut pieces) = self.pieces(node, digest, content.bytes).await? else { return Ok(false) };
        let written = async {
            let mut incoming = self.disk.begin(*content).await.map_err(|error| unreadable(digest, error))?;
            while let Some(piece) = pieces.next().await? {
                incoming = incoming.push(piece).await.map_err(|error| unreadable(digest, error))?;
            }
            incoming.finish().await.map_err(|error| unreadable(digest, error))
        };
        written.await.map(|()| true)
    }
}

const PLAN_MAX_BYTES: u64 = 16 << 20;

fn within(artefact: Artefact, limit_bytes: u64) -> Result<Artefact, RegistryError> {
    let reference = artefact.digest.to_string();
    let long = artefact.bytes.len() as u64 > limit_bytes;
    if long { Err(RegistryError::TooLarge { reference, limit_bytes }) } else { Ok(artefact) }
}

fn asked(node: &NodeName, error: RegistryError) -> RegistryError {
    tracing::warn!(%node, %error, "another node is asked");
    error
}

fn unreadable(digest: &Digest, reason: impl Display) -> RegistryError {
    RegistryError::Unreadable { reference: digest.to_string(), reason: reason.to_string() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
