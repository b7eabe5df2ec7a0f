//! The control plane: from the name of a component to a filled pool.

use super::serve::Deployment;
use crate::{
    mechanisms::{
        cache::Cache,
        component::{CompileError, CompiledGuest},
        feed::Feed,
        imports::Grants,
        pool::Pool,
        sandbox::{Capacity, Sandbox},
        statistics::Statistics,
    },
    nouns::{
        Account, Digest, Fault, Manifest, Port, Signature,
        manifest::{Guest, Limits, PortConfig},
    },
    ports::{Accelerator, Artefact, ModelError, ModelFormat, Program, Registry, RegistryError},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak},
};
use tokio::sync::Mutex;

/// The largest component.
pub const COMPONENT_MAX_BYTES: u64 = 64 << 20;
/// The largest model file.
pub const MODEL_MAX_BYTES: u64 = 512 << 20;

/// Compiles guests and loads models.
pub struct Deployer {
    pub sandbox: Arc<Sandbox>,
    /// `None` compiles at every start.
    pub cache: Option<Cache>,
    pub accelerator: Arc<dyn Accelerator>,
    pub registry: Arc<dyn Registry>,
    pub format: Arc<dyn ModelFormat>,
    /// Weights are in memory once, and as long as a guest uses them.
    programs: Mutex<HashMap<Digest, Weak<dyn Program>>>,
}

/// Why a guest can't be deployed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error("the component: {0}")]
    Component(#[source] RegistryError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error("the model `{name}`: {source}")]
    Model { name: String, source: LoadError },
    #[error("the guest sees cameras but exports no `watcher`")]
    NoWatcher,
    #[error("the guest exports no `responder` and the manifest gives it no camera: it would never run")]
    NeverRuns,
}

/// Why a model can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Fetch(#[from] RegistryError),
    #[error(transparent)]
    Decode(#[from] ModelError),
    #[error(transparent)]
    Load(#[from] Fault),
}

impl Deployer {
    pub fn new(
        sandbox: Arc<Sandbox>,
        cache: Option<Cache>,
        accelerator: Arc<dyn Accelerator>,
        registry: Arc<dyn Registry>,
        format: Arc<dyn ModelFormat>,
    ) -> Self {
        Self { sandbox, cache, accelerator, registry, format, programs: Mutex::default() }
    }

    /// Fetches, verifies, compiles, prepares and fills the floor of one guest.
    pub async fn deploy(
        &self,
        name: &str,
        config: &Guest,
        cameras: BTreeMap<String, Feed>,
    ) -> Result<Deployment, DeployError> {
        let guest = self.compile(config, cameras).await?;
        let sees_frames = !config.cameras.is_empty();
        if sees_frames && !guest.watches() {
            return Err(DeployError::NoWatcher);
        }
        if !sees_frames && !guest.responds() {
            return Err(DeployError::NeverRuns);
        }
        let statistics = Arc::new(Statistics::default());
        let pool = Pool::open(guest, config.pool.clone(), statistics.clone()).await?;
        Ok(Deployment {
            name: name.into(),
            signature: Arc::new(signature(config)),
            answers: !sees_frames,
            limits: config.limits.clone(),
            accelerator: self.accelerator.clone(),
            statistics,
            pool,
        })
    }

    /// Compiles a guest with everything it is granted, without a pool.
    pub async fn compile(&self, config: &Guest, cameras: BTreeMap<String, Feed>) -> Result<CompiledGuest, DeployError> {
        let component = self.registry.fetch(&config.component, COMPONENT_MAX_BYTES).await;
        let component = component.map_err(DeployError::Component)?;
        let (mut models, mut digests) = (BTreeMap::new(), BTreeMap::new());
        let account = Account::of(&config.limits);
        for (name, reference) in &config.models {
            let program = self.load(reference, &config.limits).await;
            let (digest, program) = program.map_err(|source| DeployError::Model { name: name.clone(), source })?;
            models.insert(name.clone(), program.for_account(&account));
            digests.insert(name.clone(), digest);
        }
        let accelerator = self.accelerator.for_account(&account);
        let grants = Grants { accelerator, models, digests, cameras, limits: config.limits.clone(), account };
        let guest = CompiledGuest::new(self.sandbox.clone(), self.cache.as_ref(), &component, Arc::new(grants));
        Ok(guest.await?)
    }

    /// Loads a model, or shares it with the guests that have it already.
    async fn load(&self, reference: &str, limits: &Limits) -> Result<(Digest, Arc<dyn Program>), LoadError> {
        let model = self.registry.fetch(reference, MODEL_MAX_BYTES).await?;
        let mut programs = self.programs.lock().await;
        if let Some(program) = programs.get(&model.digest).and_then(Weak::upgrade) {
            return Ok((model.digest, program));
        }
        let digest = model.digest;
        let program = self.decode_and_load(model, limits).await?;
        programs.retain(|_, program| program.strong_count() > 0);
        programs.insert(digest, Arc::downgrade(&program));
        Ok((digest, program))
    }

    async fn decode_and_load(&self, model: Artefact, limits: &Limits) -> Result<Arc<dyn Program>, LoadError> {
        let format = self.format.clone();
        let graph = tokio::task::spawn_blocking(move || format.decode(&model)).await;
        let graph = graph.map_err(|error| ModelError(format!("the model can't be read: {error}")))??;
        // An account of its own: other guests may go on with the model after this one is gone.
        Ok(self.accelerator.for_account(&Account::of(limits)).load(&graph).await?)
    }
}

/// What the sandbox has to reserve for a manifest: every lease of every guest, and a few for `prepare`.
pub fn capacity(manifest: &Manifest) -> Capacity {
    const PREPARING: usize = 8;
    let leases = manifest.guests.values().map(|guest| guest.pool.max.get()).fold(PREPARING, usize::saturating_add);
    let memory = manifest.guests.values().map(|guest| guest.limits.memory_max_bytes.get()).max();
    Capacity { leases: u32::try_from(leases).unwrap_or(u32::MAX), memory_max_bytes: memory.unwrap_or(64 << 20) }
}

fn signature(config: &Guest) -> Signature {
    let ports = |ports: &[PortConfig]| ports.iter().map(Port::from).collect();
    Signature { inputs: ports(&config.inputs), outputs: ports(&config.outputs) }
}
