//! The control plane: from the name of a component to a filled pool.

use super::{
    models::{LoadError, Models, parent},
    serve::Deployment,
};
use crate::{
    mechanisms::{
        cache::Cache,
        component::{CompileError, CompiledGuest},
        embedded::{self, SectionError},
        feed::Feed,
        imports::Grants,
        pool::Pool,
        sandbox::{Capacity, Sandbox},
        sequences::Sequences,
        statistics::Statistics,
    },
    nouns::{
        Account, Manifest, Port, Signature,
        manifest::{Guest, PortConfig},
    },
    ports::{Accelerator, Artefact, ModelFormat, Program, Registry, RegistryError},
};
use std::{collections::BTreeMap, sync::Arc};

/// The largest component.
pub const COMPONENT_MAX_BYTES: u64 = 64 << 20;
/// Compiles guests and loads models.
pub struct Deployer {
    pub sandbox: Arc<Sandbox>,
    /// `None` compiles at every start.
    pub cache: Option<Cache>,
    pub models: Models,
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
    #[error("the component: {0}")]
    Section(#[from] SectionError),
    #[error("the component has a graph of its own, `{name}`, and so has the manifest", name = embedded::NAME)]
    TwoGraphs,
    #[error("the guest sees cameras but exports no `watcher`")]
    NoWatcher,
    #[error("the guest exports no `responder` and the manifest gives it no camera: it would never run")]
    NeverRuns,
}

impl Deployer {
    pub fn new(
        sandbox: Arc<Sandbox>,
        cache: Option<Cache>,
        accelerator: Arc<dyn Accelerator>,
        registry: Arc<dyn Registry>,
        format: Arc<dyn ModelFormat>,
    ) -> Self {
        Self { sandbox, cache, models: Models::new(accelerator, registry, format) }
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
        let signature = signature(config, &guest.grants().models);
        let statistics = Arc::new(Statistics::default());
        let keeps = guest.grants().models.values().any(|program| program.signature().states().next().is_some());
        let sequences = keeps.then(|| Arc::new(Sequences::new(config.sequences.clone())));
        let pool = Pool::open(guest, config.pool.clone(), statistics.clone()).await?;
        Ok(Deployment {
            name: name.into(),
            signature: Arc::new(signature),
            answers: !sees_frames,
            limits: config.limits.clone(),
            accelerator: self.models.accelerator.clone(),
            statistics,
            sequences,
            pool,
        })
    }

    /// Compiles a guest with everything it is granted, without a pool.
    pub async fn compile(&self, config: &Guest, cameras: BTreeMap<String, Feed>) -> Result<CompiledGuest, DeployError> {
        let component = self.models.registry.fetch(&config.component, COMPONENT_MAX_BYTES).await;
        let component = component.map_err(DeployError::Component)?;
        let account = Account::of(&config.limits);
        let mut found = BTreeMap::new();
        for (name, reference) in &config.models {
            found.insert(name.as_str(), self.models.load(reference, &self.shared(config)).await);
        }
        if let Some(graph) = own_graph(&component, config)? {
            let directory = parent(&config.component);
            found.insert(embedded::NAME, self.models.load_artefact(graph, directory, &self.shared(config)).await);
        }
        let (mut models, mut digests, mut loaded) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (name, program) in found {
            let held = program.and_then(|(digest, program)| {
                program.signature().held_by_guests()?;
                Ok((digest, program))
            });
            let (digest, program) = held.map_err(|source| DeployError::Model { name: name.into(), source })?;
            models.insert(name.into(), program.clone().for_account(&account));
            loaded.push(program);
            digests.insert(name.into(), digest);
        }
        let accelerator = self.models.accelerator.for_account(&account);
        let grants = Grants { accelerator, models, loaded, digests, cameras, limits: config.limits.clone(), account };
        let guest = CompiledGuest::new(self.sandbox.clone(), self.cache.as_ref(), &component, Arc::new(grants));
        Ok(guest.await?)
    }

    /// Where a model of this guest is loaded: on an account of its own, since other guests may go on with it after
    /// this one is gone.
    fn shared(&self, config: &Guest) -> Arc<dyn Accelerator> {
        self.models.accelerator.for_account(&Account::of(&config.limits))
    }
}

/// What the sandbox has to reserve for a manifest: every lease of every guest, and a few for `prepare`.
pub fn capacity(manifest: &Manifest) -> Capacity {
    const PREPARING: usize = 8;
    let leases = manifest.guests.values().map(|guest| guest.pool.max.get()).fold(PREPARING, usize::saturating_add);
    let memory = manifest.guests.values().map(|guest| guest.limits.memory_max_bytes.get()).max();
    Capacity { leases: u32::try_from(leases).unwrap_or(u32::MAX), memory_max_bytes: memory.unwrap_or(64 << 20) }
}

/// The graph inside a component. What is no component is for the compiler to tell.
fn own_graph(component: &Artefact, config: &Guest) -> Result<Option<Artefact>, DeployError> {
    let graph = match embedded::embedded(&component.bytes) {
        Err(SectionError::Malformed) => None,
        graph => graph?,
    };
    if graph.is_some() && config.models.contains_key(embedded::NAME) {
        return Err(DeployError::TwoGraphs);
    }
    Ok(graph.map(Artefact::new))
}

/// What the manifest says, or what the graph inside the component does.
fn signature(config: &Guest, models: &BTreeMap<String, Arc<dyn Program>>) -> Signature {
    let silent = config.inputs.is_empty() && config.outputs.is_empty();
    match models.get(embedded::NAME) {
        Some(graph) if silent && !config.models.contains_key(embedded::NAME) => {
            graph.signature().clone().with_optional_states()
        }
        _ => {
            let ports = |ports: &[PortConfig]| ports.iter().map(Port::from).collect();
            Signature { inputs: ports(&config.inputs), outputs: ports(&config.outputs) }
        }
    }
}
