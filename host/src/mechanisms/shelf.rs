//! Artefacts by their digest, wherever they are: in this node's registry, on its disk, or with another node. What was
//! fetched from a node is kept, so that one fetch from outside is enough for a cluster.

use crate::{
    nouns::{Digest, Fragment, NodeName, Plan, PlanError, Space},
    ports::{
        Artefact, Fabric, FabricError, Handler, MESSAGE_MAX_BYTES, Reach, Registry, RegistryError, Revision, Service,
    },
};
use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::spawn_blocking;

/// Models and weights say nothing of what they were used on.
pub const BLOB: Service = Service { name: "blob", reach: Reach::Cluster };

/// What one call carries of an artefact.
const PIECE_BYTES: u64 = 8 << 20;
/// For one piece.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// The artefacts of a node.
pub struct Shelf {
    registry: Arc<dyn Registry>,
    fabric: Arc<dyn Fabric>,
    /// Where the digests of the node's own registry are.
    places: Mutex<HashMap<Digest, String>>,
    /// What other nodes gave.
    directory: PathBuf,
    /// Plans that were read: they name the files of a cut model.
    plans: Mutex<HashMap<Digest, Arc<Plan>>>,
    /// The one that is being handed out in pieces.
    last: Mutex<Option<Artefact>>,
}

#[derive(Serialize, Deserialize)]
struct Wanted {
    digest: Digest,
    offset: u64,
}

/// What comes before a piece: whether the artefact is there, and how long it is.
const HEAD_BYTES: usize = 1 + size_of::<u64>();

impl Shelf {
    /// A shelf on a directory, which is made.
    pub fn open(registry: Arc<dyn Registry>, fabric: Arc<dyn Fabric>, directory: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self {
            registry,
            fabric,
            places: Mutex::default(),
            directory: directory.into(),
            plans: Mutex::default(),
            last: Mutex::default(),
        })
    }

    /// Tells where the parts of a cut model are in the node's own registry.
    pub fn place(&self, directory: &str, digest: Digest, plan: Plan) {
        let below = |file: &str| format!("{}/{file}", directory.trim_end_matches('/'));
        let mut places = lock(&self.places);
        places.insert(digest, below(Plan::FILE));
        for fragment in &plan.fragments {
            places.insert(fragment.model, below(&fragment.model_file()));
            places.extend(fragment.blobs.iter().map(|blob| (*blob, below(&Fragment::blob(blob)))));
        }
        drop(places);
        lock(&self.plans).insert(digest, Arc::new(plan));
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

    /// The artefact of a digest, from here or from any node that has it.
    pub async fn get(&self, digest: &Digest, limit_bytes: u64) -> Result<Artefact, RegistryError> {
        if let Some(artefact) = self.own(digest).await {
            let long = artefact.bytes.len() as u64 > limit_bytes;
            let too_large = RegistryError::TooLarge { reference: digest.to_string(), limit_bytes };
            return if long { Err(too_large) } else { Ok(artefact) };
        }
        let nodes: Vec<_> = self.fabric.news().borrow().keys().cloned().collect();
        let mut found = Err(RegistryError::NotFound(digest.to_string()));
        for node in nodes.iter().filter(|node| *node != self.fabric.name()) {
            match self.fetch_from(node, digest, limit_bytes).await {
                Ok(Some(artefact)) => {
                    self.keep(&artefact).await;
                    return Ok(artefact);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%node, %digest, %error, "another node is asked");
                    found = Err(error);
                }
            }
        }
        found
    }

    /// What is here, and still what its digest says.
    async fn own(&self, digest: &Digest) -> Option<Artefact> {
        let place = lock(&self.places).get(digest).cloned();
        if let Some(place) = place {
            let artefact = self.registry.fetch(&place, u64::MAX).await.ok();
            if let Some(artefact) = artefact.filter(|artefact| artefact.digest == *digest) {
                return Some(artefact);
            }
        }
        let path = self.path(digest);
        let bytes = spawn_blocking(move || fs::read(path)).await.ok()?.ok()?;
        let artefact = spawn_blocking(move || Artefact::new(bytes)).await.ok()?;
        (artefact.digest == *digest).then_some(artefact)
    }

    async fn fetch_from(
        &self,
        node: &NodeName,
        digest: &Digest,
        limit_bytes: u64,
    ) -> Result<Option<Artefact>, RegistryError> {
        let unreadable = |reason: String| RegistryError::Unreadable { reference: digest.to_string(), reason };
        let mut bytes = BytesMut::new();
        loop {
            let wanted = Wanted { digest: *digest, offset: bytes.len() as u64 };
            let message = serde_json::to_vec(&wanted).map_err(|error| unreadable(error.to_string()))?;
            let deadline = Instant::now() + PIECE_TIMEOUT;
            let piece = match self.fabric.call(node, BLOB, message.into(), deadline).await {
                Ok(piece) => piece,
                Err(FabricError::Unreachable(_)) if bytes.is_empty() => return Ok(None),
                Err(error) => return Err(unreadable(error.to_string())),
            };
            let Some((total, piece)) = piece_of(piece) else { return Ok(None) };
            if total > limit_bytes {
                return Err(RegistryError::TooLarge { reference: digest.to_string(), limit_bytes });
            }
            if piece.is_empty() && (bytes.len() as u64) < total {
                return Err(unreadable(format!("`{node}` ends it after {} of {total} bytes", bytes.len())));
            }
            bytes.put(piece);
            if bytes.len() as u64 >= total {
                break;
            }
        }
        let bytes = bytes.freeze();
        let artefact =
            spawn_blocking(move || Artefact::new(bytes)).await.map_err(|error| unreadable(error.to_string()))?;
        if artefact.digest == *digest {
            return Ok(Some(artefact));
        }
        Err(RegistryError::Refused { reference: digest.to_string(), reason: format!("`{node}` has something else") })
    }

    /// On this node's disk. Where there is no room it is fetched again.
    async fn keep(&self, artefact: &Artefact) {
        let (path, bytes) = (self.path(&artefact.digest), artefact.bytes.clone());
        let temporary = path.with_extension(std::process::id().to_string());
        let written = spawn_blocking(move || {
            let written = fs::write(&temporary, &bytes).and_then(|()| fs::rename(&temporary, path));
            written.inspect_err(|_| drop(fs::remove_file(&temporary)))
        });
        if let Ok(Err(error)) = written.await {
            tracing::warn!(digest = %artefact.digest, %error, "it is not kept");
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.hex())
    }

    /// A part of an artefact that is here.
    async fn piece(&self, wanted: &Wanted) -> Option<Bytes> {
        let last = lock(&self.last).clone().filter(|last| last.digest == wanted.digest);
        let artefact = match last {
            Some(last) => last,
            None => self.own(&wanted.digest).await?,
        };
        let total = artefact.bytes.len() as u64;
        let begin = wanted.offset.min(total);
        let end = begin.saturating_add(PIECE_BYTES).min(total);
        let mut piece = BytesMut::with_capacity(HEAD_BYTES + (end - begin) as usize);
        piece.put_u8(1);
        piece.put_u64(total);
        piece.put_slice(&artefact.bytes[begin as usize..end as usize]);
        *lock(&self.last) = (end < total).then_some(artefact);
        Some(piece.freeze())
    }
}

const PLAN_MAX_BYTES: u64 = 16 << 20;
const _: () = assert!(PIECE_BYTES as usize + HEAD_BYTES < MESSAGE_MAX_BYTES);

#[async_trait]
impl Handler for Shelf {
    async fn handle(&self, message: Bytes) -> Bytes {
        let piece = match serde_json::from_slice(&message) {
            Ok(wanted) => self.piece(&wanted).await,
            Err(_) => None,
        };
        piece.unwrap_or_else(|| Bytes::from_static(&[0]))
    }
}

/// Cut models by the digest of their plan: `sha256:…/plan.json` and what the plan names beside it.
#[async_trait]
impl Registry for Shelf {
    async fn fetch(&self, reference: &str, limit_bytes: u64) -> Result<Artefact, RegistryError> {
        let not_found = || RegistryError::NotFound(reference.into());
        let (plan, file) = reference.split_once('/').ok_or_else(not_found)?;
        let plan: Digest = plan.parse().map_err(|_| not_found())?;
        let digest = match Fragment::blob_digest(file) {
            Some(blob) => blob,
            None if file == Plan::FILE => plan,
            None => {
                let plan = self.plan(&plan).await?;
                let fragment = plan.fragments.iter().find(|fragment| fragment.model_file() == file);
                fragment.ok_or_else(not_found)?.model
            }
        };
        self.get(&digest, limit_bytes).await
    }

    async fn length(&self, reference: &str) -> Result<u64, RegistryError> {
        Ok(self.fetch(reference, u64::MAX).await?.bytes.len() as u64)
    }

    async fn read(
        &self,
        reference: &str,
        mut space: Space,
        bytes: Range<usize>,
    ) -> Result<(Space, Option<Revision>), RegistryError> {
        let unreadable =
            |reason: &str| RegistryError::Unreadable { reference: reference.into(), reason: reason.into() };
        let artefact = self.fetch(reference, bytes.len() as u64).await?;
        let window = space.window(bytes.clone()).ok_or_else(|| unreadable("there is no room for it"))?;
        let same = artefact.bytes.len() == bytes.len();
        window
            .get_mut(..bytes.len())
            .filter(|_| same)
            .ok_or_else(|| unreadable("its length is another"))?
            .copy_from_slice(&artefact.bytes);
        Ok((space, Some(Revision(artefact.digest.to_string()))))
    }
}

/// The length of an artefact, and a part of it; `None` where it is not there.
fn piece_of(mut message: Bytes) -> Option<(u64, Bytes)> {
    let there = message.try_get_u8().ok()? == 1;
    let total = message.try_get_u64().ok()?;
    there.then_some((total, message))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
