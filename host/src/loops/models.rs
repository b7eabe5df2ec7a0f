//! Models: from a reference to something that runs. Each is in memory once.

use super::member::Member;
use crate::{
    mechanisms::paging::{PagingError, Share, Short},
    nouns::{Digest, Fault, Fragment, Graph, Ledger, PlanError},
    ports::{
        Accelerator, Artefact, Blobs, Device, FabricError, Memory, ModelError, ModelFormat, Program, Registry,
        RegistryError, Trial,
    },
};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};
use tokio::{sync::Mutex, task::spawn_blocking};

/// The largest model file.
pub const MODEL_MAX_BYTES: u64 = 512 << 20;
/// The largest file of weights beside a model, and all of one model together.
pub const BLOBS_MAX_BYTES: u64 = 4 << 30;

/// Loads models, and knows which are loaded. Clones share what is.
#[derive(Clone)]
pub struct Models {
    pub accelerator: Arc<dyn Accelerator>,
    pub registry: Arc<dyn Registry>,
    pub format: Arc<dyn ModelFormat>,
    /// What there is; nobody counts where it is left out.
    memory: Option<Arc<dyn Memory>>,
    /// What fragments that are read for each run take while they pass.
    pub(super) passing: Ledger,
    /// Where cut models are spread over, if this node does not stand alone.
    pub(super) cluster: Option<Arc<Member>>,
    /// Weights are in memory once, and as long as a guest uses them.
    pub(super) programs: Arc<Mutex<HashMap<Digest, Weak<dyn Program>>>>,
    /// Whose references are of a release, not of this node's own registry.
    released: bool,
}

/// Why a model can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Fetch(#[from] RegistryError),
    #[error(transparent)]
    Decode(#[from] ModelError),
    #[error("the plan: {0}")]
    Plan(#[from] PlanError),
    #[error("`{location}` is {found}, not what its name says: fetch it again")]
    Blob { location: String, found: Digest },
    #[error("the model is too large for the memory that is left: {0}")]
    Memory(#[from] Short),
    #[error(transparent)]
    Paging(#[from] PagingError),
    #[error("fragment `{name}`: {source}")]
    Fragment { name: String, source: Box<LoadError> },
    #[error("no accelerator computes it{}", told(.0))]
    Nowhere(Vec<Trial>),
    #[error("the accelerator {device}, which may compute fragments of the model: {fault}")]
    Accelerator { device: Box<Device>, fault: Fault },
    #[error(transparent)]
    Load(#[from] Fault),
    #[error("its place in the cluster: {0}")]
    Cluster(#[from] FabricError),
}

fn told(trials: &[Trial]) -> String {
    trials.iter().map(|trial| format!("; {trial}")).collect()
}

impl Models {
    pub fn new(accelerator: Arc<dyn Accelerator>, registry: Arc<dyn Registry>, format: Arc<dyn ModelFormat>) -> Self {
        let passing = Ledger::new("memory_max_bytes", usize::MAX);
        Self {
            accelerator,
            registry,
            format,
            memory: None,
            passing,
            cluster: None,
            programs: Arc::default(),
            released: false,
        }
    }

    /// The same within so much memory: of a cut model that is larger, fragments are read for each run.
    pub fn within(self, memory: Arc<dyn Memory>) -> Self {
        Self { memory: Some(memory), ..self }
    }

    /// The same with cut models spread over the nodes of a cluster.
    pub fn over(self, cluster: Option<Arc<Member>>) -> Self {
        Self { cluster, ..self }
    }

    /// The same with the references of a release.
    pub fn of_release(&self, registry: Arc<dyn Registry>) -> Self {
        Self { registry, released: true, ..self.clone() }
    }

    /// Whether references are of this node's own registry.
    pub(super) fn is_own(&self) -> bool {
        !self.released
    }

    /// Loads the model behind a reference, a file or the directory of a cut model, on an accelerator of this house, or
    /// shares it with who has it already.
    pub async fn load(
        &self,
        reference: &str,
        accelerator: &Arc<dyn Accelerator>,
    ) -> Result<(Digest, Arc<dyn Program>), LoadError> {
        match self.registry.length(reference).await {
            Ok(bytes) => self.has_room(bytes)?,
            Err(RegistryError::Directory(_)) => return self.load_plan(reference, accelerator).await,
            Err(error) => return Err(error.into()),
        }
        let model = self.registry.fetch(reference, MODEL_MAX_BYTES).await?;
        self.load_artefact(model, parent(reference), accelerator).await
    }

    /// The same for a model that was fetched; what lies beside it is below `directory`.
    pub async fn load_artefact(
        &self,
        model: Artefact,
        directory: &str,
        accelerator: &Arc<dyn Accelerator>,
    ) -> Result<(Digest, Arc<dyn Program>), LoadError> {
        let mut beside = 0;
        for location in self.locations(&model).await? {
            beside += self.registry.length(&below(directory, &location)).await?;
        }
        self.has_room(beside)?;
        let (digest, blobs) = self.blobs(&model, directory).await?;
        let mut programs = self.programs.lock().await;
        if let Some(program) = programs.get(&digest).and_then(Weak::upgrade) {
            return Ok((digest, program));
        }
        self.has_room(Share::loading_bytes(beside.saturating_add(model.bytes.len() as u64)))?;
        let graph = self.decode(model, blobs).await?;
        let program = accelerator.load(&graph).await?;
        remember(&mut programs, digest, &program);
        Ok((digest, program))
    }

    /// Reads a model that is one file, and what lies beside it.
    pub async fn read(&self, reference: &str) -> Result<Graph, LoadError> {
        let model = self.registry.fetch(reference, MODEL_MAX_BYTES).await?;
        let (_, blobs) = self.blobs(&model, parent(reference)).await?;
        self.decode(model, blobs).await
    }

    /// What models may still take of the host's memory; `None` where nobody counts.
    pub(super) fn room_bytes(&self) -> Option<u64> {
        Some(self.memory.as_ref()?.room_bytes().saturating_sub(self.passing.held() as u64))
    }

    /// Whether there is so much room.
    fn has_room(&self, bytes: u64) -> Result<(), Short> {
        self.room_bytes().map_or(Ok(()), |room_bytes| Short::check(bytes, room_bytes))
    }

    /// The files beside a model.
    pub(super) async fn locations(&self, model: &Artefact) -> Result<Vec<String>, LoadError> {
        let (format, file) = (self.format.clone(), model.clone());
        let locations = spawn_blocking(move || format.blobs(&file)).await;
        Ok(locations.map_err(|error| ModelError(format!("the model can't be read: {error}")))??)
    }

    /// What lies beside a model, and a digest of all of it.
    pub(super) async fn blobs(&self, model: &Artefact, directory: &str) -> Result<(Digest, Blobs), LoadError> {
        let (mut blobs, mut names, mut left) = (Blobs::new(), model.digest.as_bytes().to_vec(), BLOBS_MAX_BYTES);
        for location in self.locations(model).await? {
            let blob = self.registry.fetch(&below(directory, &location), left).await?;
            if Fragment::blob_digest(&location).is_some_and(|named| named != blob.digest) {
                return Err(LoadError::Blob { location, found: blob.digest });
            }
            left = left.saturating_sub(blob.bytes.len() as u64);
            names.extend(blob.digest.as_bytes());
            blobs.insert(location, blob.bytes);
        }
        let digest = if blobs.is_empty() { model.digest } else { Digest::of(&names) };
        Ok((digest, blobs))
    }

    pub(super) async fn decode(&self, model: Artefact, blobs: Blobs) -> Result<Graph, LoadError> {
        let format = self.format.clone();
        let graph = spawn_blocking(move || format.decode(&model, &blobs)).await;
        Ok(graph.map_err(|error| ModelError(format!("the model can't be read: {error}")))??)
    }
}

pub(super) fn remember(programs: &mut HashMap<Digest, Weak<dyn Program>>, digest: Digest, program: &Arc<dyn Program>) {
    programs.retain(|_, program| program.strong_count() > 0);
    programs.insert(digest, Arc::downgrade(program));
}

/// The directory of a file, empty for that of the registry itself.
pub fn parent(reference: &str) -> &str {
    reference.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// The registry refuses what leads out.
pub(super) fn below(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.into() } else { format!("{}/{name}", directory.trim_end_matches('/')) }
}
