//! Models, whole or in fragments: from a reference to something that runs. Each is in memory once.

use crate::{
    mechanisms::pipeline::Pipeline,
    nouns::{Digest, Fault, Fragment, Graph, Plan, PlanError},
    ports::{Accelerator, Artefact, Blobs, ModelError, ModelFormat, Program, Registry, RegistryError},
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
/// The largest plan of a cut model.
pub const PLAN_MAX_BYTES: u64 = 16 << 20;

/// Loads models, and knows which are loaded.
pub struct Models {
    pub accelerator: Arc<dyn Accelerator>,
    pub registry: Arc<dyn Registry>,
    pub format: Arc<dyn ModelFormat>,
    /// Weights are in memory once, and as long as a guest uses them.
    programs: Mutex<HashMap<Digest, Weak<dyn Program>>>,
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
    #[error("fragment `{name}`: {source}")]
    Fragment { name: String, source: Box<LoadError> },
    #[error(transparent)]
    Load(#[from] Fault),
}

impl Models {
    pub fn new(accelerator: Arc<dyn Accelerator>, registry: Arc<dyn Registry>, format: Arc<dyn ModelFormat>) -> Self {
        Self { accelerator, registry, format, programs: Mutex::default() }
    }

    /// Loads the model behind a reference, a file or the directory of a cut model, on an accelerator of this house, or
    /// shares it with who has it already.
    pub async fn load(
        &self,
        reference: &str,
        accelerator: &dyn Accelerator,
    ) -> Result<(Digest, Arc<dyn Program>), LoadError> {
        match self.registry.fetch(reference, MODEL_MAX_BYTES).await {
            Ok(model) => self.load_artefact(model, parent(reference), accelerator).await,
            Err(RegistryError::Directory(_)) => self.load_plan(reference, accelerator).await,
            Err(error) => Err(error.into()),
        }
    }

    /// The same for a model that was fetched; what lies beside it is below `directory`.
    pub async fn load_artefact(
        &self,
        model: Artefact,
        directory: &str,
        accelerator: &dyn Accelerator,
    ) -> Result<(Digest, Arc<dyn Program>), LoadError> {
        let (digest, blobs) = self.blobs(&model, directory).await?;
        let mut programs = self.programs.lock().await;
        if let Some(program) = programs.get(&digest).and_then(Weak::upgrade) {
            return Ok((digest, program));
        }
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

    /// The plan of a cut model, and the digest that names all of it: a plan names its fragments, those their weights.
    pub async fn plan(&self, directory: &str) -> Result<(Digest, Plan), LoadError> {
        let plan = self.registry.fetch(&below(directory, Plan::FILE), PLAN_MAX_BYTES).await?;
        Ok((plan.digest, Plan::parse(&plan.bytes)?))
    }

    /// One fragment of a cut model, loaded. Nobody shares it.
    pub async fn fragment(
        &self,
        directory: &str,
        fragment: &Fragment,
        accelerator: &dyn Accelerator,
    ) -> Result<Arc<dyn Program>, LoadError> {
        let loaded = async {
            let model = self.registry.fetch(&below(directory, &fragment.model_file()), MODEL_MAX_BYTES).await?;
            if model.digest != fragment.model {
                let (file, expected) = (fragment.model_file(), fragment.model);
                return Err(PlanError::Digest { file, expected }.into());
            }
            let (_, blobs) = self.blobs(&model, directory).await?;
            Ok(accelerator.load(&self.decode(model, blobs).await?).await?)
        };
        let named = |source| LoadError::Fragment { name: fragment.name.clone(), source: Box::new(source) };
        loaded.await.map_err(named)
    }

    async fn load_plan(
        &self,
        directory: &str,
        accelerator: &dyn Accelerator,
    ) -> Result<(Digest, Arc<dyn Program>), LoadError> {
        let (digest, plan) = self.plan(directory).await?;
        let mut programs = self.programs.lock().await;
        if let Some(program) = programs.get(&digest).and_then(Weak::upgrade) {
            return Ok((digest, program));
        }
        let mut fragments = Vec::new();
        for fragment in &plan.fragments {
            fragments.push(self.fragment(directory, fragment, accelerator).await?);
        }
        let device = accelerator.describe().clone();
        let program: Arc<dyn Program> = Arc::new(Pipeline::new(&plan, fragments, device)?);
        remember(&mut programs, digest, &program);
        Ok((digest, program))
    }

    /// What lies beside a model, and a digest of all of it.
    async fn blobs(&self, model: &Artefact, directory: &str) -> Result<(Digest, Blobs), LoadError> {
        let (format, file) = (self.format.clone(), model.clone());
        let locations = spawn_blocking(move || format.blobs(&file)).await;
        let locations = locations.map_err(|error| ModelError(format!("the model can't be read: {error}")))??;
        let (mut blobs, mut names, mut left) = (Blobs::new(), model.digest.as_bytes().to_vec(), BLOBS_MAX_BYTES);
        for location in locations {
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

    async fn decode(&self, model: Artefact, blobs: Blobs) -> Result<Graph, LoadError> {
        let format = self.format.clone();
        let graph = spawn_blocking(move || format.decode(&model, &blobs)).await;
        Ok(graph.map_err(|error| ModelError(format!("the model can't be read: {error}")))??)
    }
}

fn remember(programs: &mut HashMap<Digest, Weak<dyn Program>>, digest: Digest, program: &Arc<dyn Program>) {
    programs.retain(|_, program| program.strong_count() > 0);
    programs.insert(digest, Arc::downgrade(program));
}

/// The directory of a file, empty for that of the registry itself.
pub fn parent(reference: &str) -> &str {
    reference.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// The registry refuses what leads out.
fn below(directory: &str, name: &str) -> String {
    if directory.is_empty() { name.into() } else { format!("{}/{name}", directory.trim_end_matches('/')) }
}
