//! The control plane: from the name of a component to a filled pool.

use super::{
    models::{LoadError, Models, parent},
    serve::Deployment,
};
use crate::{
    mechanisms::{
        address_space::Capacity,
        cache::Cache,
        component::{CompileError, CompiledGuest},
        embedded::{self, SectionError},
        ends::Ends,
        feed::Feed,
        imports::Grants,
        pool::Pool,
        sandbox::Sandbox,
        sequences::Sequences,
        statistics::Statistics,
    },
    nouns::{
        Account, Ledger, Manifest, Port, Signature,
        manifest::{Guest, Limits, PortConfig},
    },
    ports::{Accelerator, Artefact, ModelFormat, Program, Registry, RegistryError},
};
use std::{collections::BTreeMap, sync::Arc};

/// The largest component.
pub const COMPONENT_MAX_BYTES: u64 = 64 << 20;
/// What a node of a cluster reserves for guests, unless its manifest says otherwise.
const LEASES_IN_CLUSTER: usize = 1024;

/// Compiles guests and loads models.
#[derive(Clone)]
pub struct Deployer {
    pub sandbox: Arc<Sandbox>,
    /// `None` compiles at every start.
    pub cache: Option<Cache>,
    pub models: Models,
    /// What the sandbox has reserved: guests that serve and those that are to take their place share it.
    pub leases: Ledger,
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
    #[error(
        "its pool of {max} leases does not fit beside the {held} that guests have now, this node has reserved {reserved}: \
         lower pool.max, or raise cluster.leases_max and start the node again"
    )]
    Leases { max: usize, held: usize, reserved: usize },
    #[error("the component has a graph of its own, `{name}`, and so has the manifest", name = embedded::NAME)]
    TwoGraphs,
    #[error("its vocabulary has the id {0} twice")]
    Vocabulary(u16),
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
        let leases = Ledger::new("cluster.leases_max", usize::MAX);
        Self { sandbox, cache, models: Models::new(accelerator, registry, format), leases }
    }

    /// The same with the references of a release.
    pub fn of_release(&self, registry: Arc<dyn Registry>) -> Self {
        Self { models: self.models.of_release(registry), ..self.clone() }
    }

    /// Fetches, verifies, compiles, prepares and fills the floor of one guest.
    pub async fn deploy(
        &self,
        name: &str,
        config: &Guest,
        cameras: BTreeMap<String, Feed>,
    ) -> Result<Deployment, DeployError> {
        self.replace(name, config, cameras, Arc::default()).await
    }

    /// The same in place of a guest of that name, whose counters go on.
    pub async fn replace(
        &self,
        name: &str,
        config: &Guest,
        cameras: BTreeMap<String, Feed>,
        statistics: Arc<Statistics>,
    ) -> Result<Deployment, DeployError> {
        let pool = self.sandbox.fitted(&config.pool);
        let max = pool.max.get();
        let room = self.leases.try_charge(max).ok_or_else(|| {
            let (held, reserved) = (self.leases.held(), self.leases.limit());
            DeployError::Leases { max, held, reserved }
        })?;
        let guest = self.compile(config, cameras).await?;
        let sees_frames = !config.cameras.is_empty();
        if sees_frames && !guest.watches() {
            return Err(DeployError::NoWatcher);
        }
        if !sees_frames && !guest.responds() {
            return Err(DeployError::NeverRuns);
        }
        let signature = signature(config, &guest.grants().models);
        let keeps = guest.grants().models.values().any(|program| program.signature().states().next().is_some());
        let sequences = keeps.then(|| Arc::new(Sequences::new(config.sequences.clone())));
        let pool = Pool::open(guest, pool, statistics.clone()).await?;
        Ok(Deployment {
            name: name.into(),
            signature: Arc::new(signature),
            answers: !sees_frames,
            limits: config.limits.clone(),
            accelerator: self.models.accelerator.clone(),
            statistics,
            sequences,
            ends: Ends::default(),
            pool,
            _room: room,
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
    /// this one is gone. Its weights may be larger than the tensors of a guest.
    fn shared(&self, config: &Guest) -> Arc<dyn Accelerator> {
        let account = Account { tensor_max_bytes: u64::MAX, ..Account::of(&config.limits) };
        self.models.accelerator.for_account(&account)
    }
}

/// What the sandbox has to reserve for a manifest: every lease of every guest, and a few for `prepare`. A node of a cluster
/// does not know what it will be given: guests of two releases at once, each with as much memory as any may have.
pub fn capacity(manifest: &Manifest) -> Capacity {
    const PREPARING: usize = 8;
    let memory = manifest.guests.values().map(|guest| guest.limits.memory_max_bytes.get()).max();
    let memory_max_bytes = match &manifest.cluster {
        Some(_) => Limits::MEMORY_CEILING_BYTES,
        None => memory.unwrap_or(64 << 20),
    };
    let leases = u32::try_from(leases(manifest).saturating_add(PREPARING)).unwrap_or(u32::MAX);
    Capacity { leases, memories: Capacity::MEMORIES, memory_max_bytes }
}

/// Leases that all guests may come to.
pub fn leases(manifest: &Manifest) -> usize {
    let own = manifest.leases();
    match &manifest.cluster {
        Some(cluster) => {
            let chosen = cluster.leases_max.map(|max| max.get() as usize);
            chosen.unwrap_or_else(|| own.saturating_mul(2).max(LEASES_IN_CLUSTER))
        }
        None => own,
    }
}

/// The graph inside a component. What is no component is for the compiler to tell.
pub(super) fn own_graph(component: &Artefact, config: &Guest) -> Result<Option<Artefact>, DeployError> {
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
