//! One node of a cluster: learns its cut models, measures them, holds its part of each, and leads where it is the first.
//!
//! Nobody is asked for permission: every node tells what it knows and does, and the first by name of those that know a
//! model decides where its fragments go. What it decides has a number, and the largest counts everywhere.

mod follow;
mod health;
mod lead;
mod links;
mod program;
mod standby;
mod uses;
pub mod view;

use crate::{
    loops::models::{LoadError, Models},
    mechanisms::{
        measure::measure,
        pipeline::Pipeline,
        place::{PlaceError, Task},
        relay::{CLOSE, Closing, PING, Ping, Relay, STAGE},
        shelf::{BLOB, Shelf},
    },
    nouns::{Digest, ModelNews, NodeName, NodeNews, Objective, Plan, ReleaseNews, Signature, Tensor},
    ports::{
        Accelerator, Device, Fabric, FabricError, Handler, Memory, ModelFormat, Program, Reach, Service, Serving,
        Urgency,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use follow::Loaded;
use health::Health;
use links::Links;
use program::SpreadProgram;
use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};
use tokio::sync::Notify;
use uses::Uses;
use view::held;

/// Runs of a fragment that are measured when a model comes, and for how long.
const RUNS: NonZeroUsize = NonZeroUsize::new(8).unwrap();
const WINDOW: Duration = Duration::from_millis(200);
/// After which a model is tried again.
const WAITING: Duration = Duration::from_secs(10);
/// What a fragment takes where it does not fit.
const NEVER_US: f64 = 1e15;
/// How often a node looks at its own memory.
const LOOK: Duration = Duration::from_secs(10);

/// What operators ask of nodes, by way of any other.
const CONTROL: Service = Service { name: "control", reach: Reach::Cluster, urgency: Urgency::First };
const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);
const DRAIN: &[u8] = b"drain";
const RETURN: &[u8] = b"return";

/// A node's part in its cluster.
pub struct Member {
    pub fabric: Arc<dyn Fabric>,
    pub relay: Arc<Relay>,
    pub shelf: Arc<Shelf>,
    /// Fragments come from the shelf.
    models: Models,
    known: Mutex<HashMap<Digest, Arc<Known>>>,
    /// What this node tells.
    told: Mutex<NodeNews>,
    loaded: Loaded,
    links: Links,
    health: Health,
    /// Why models that this node leads are on no nodes, as was said last.
    refused: Mutex<HashMap<Digest, PlaceError>>,
    /// What this node spreads models for where it leads.
    objective: Objective,
    uses: Uses,
    /// News go out in the order in which they were made.
    telling: tokio::sync::Mutex<()>,
    /// Something of this node's own changed.
    poke: Notify,
    serving: Mutex<Vec<Serving>>,
}

/// What a node gives to its cluster, and wants of it.
pub struct Part {
    /// What fragments may hold here.
    pub most_bytes: u64,
    /// As far as this has room.
    pub memory: Arc<dyn Memory>,
    pub objective: Objective,
}

/// A cut model that this node has measured.
pub struct Known {
    pub plan: Arc<Plan>,
    pub signature: Signature,
}

/// What the live nodes tell, as this one understands it.
pub type Nodes = BTreeMap<NodeName, NodeNews>;

impl Member {
    /// Serves this node's stages and artefacts. With no room for fragments it is a way in and no more: nothing is measured
    /// or placed here.
    pub async fn join(
        fabric: Arc<dyn Fabric>,
        relay: Arc<Relay>,
        shelf: Arc<Shelf>,
        accelerator: Arc<dyn Accelerator>,
        format: Arc<dyn ModelFormat>,
        part: Part,
    ) -> Result<Arc<Self>, FabricError> {
        let serving = vec![
            fabric.serve(STAGE, relay.clone()).await?,
            fabric.serve(BLOB, shelf.clone()).await?,
            fabric.serve(PING, Arc::new(Ping)).await?,
            fabric.serve(CLOSE, Closing::of(&relay)).await?,
        ];
        let health = Health::new(part.most_bytes, part.memory);
        let memory_bytes = health.memory_bytes(0);
        let told = NodeNews { device: accelerator.describe().to_string(), memory_bytes, ..NodeNews::default() };
        let models = Models::new(accelerator, shelf.clone(), format);
        let member = Self {
            fabric,
            relay,
            shelf,
            models,
            known: Mutex::default(),
            told: Mutex::new(told),
            loaded: Loaded::default(),
            links: Links::default(),
            health,
            refused: Mutex::default(),
            objective: part.objective,
            uses: Uses::default(),
            telling: tokio::sync::Mutex::default(),
            poke: Notify::new(),
            serving: Mutex::new(serving),
        };
        let member = Arc::new(member);
        let control = member.fabric.serve(CONTROL, Arc::new(Control(Arc::downgrade(&member)))).await?;
        lock(&member.serving).push(control);
        member.announce().await?;
        Ok(member)
    }

    /// What the live nodes tell.
    pub fn nodes(&self) -> Nodes {
        let news = self.fabric.news().borrow().clone();
        news.iter().filter_map(|(name, news)| Some((name.clone(), NodeNews::parse(news)?))).collect()
    }

    /// What this node tells of its releases.
    pub async fn tell_release(&self, news: impl FnOnce() -> ReleaseNews + Send) -> Result<(), FabricError> {
        {
            // Read and told in one step: what is told last is the latest.
            let mut told = self.told();
            told.release = news();
        }
        self.announce().await
    }

    /// This node's name.
    pub fn name(&self) -> &NodeName {
        self.fabric.name()
    }

    /// The plan of a cut model that this node has measured.
    pub fn plan(&self, digest: &Digest) -> Option<Arc<Plan>> {
        self.known().get(digest).map(|known| known.plan.clone())
    }

    /// Takes nothing new and wants to be relieved of what it has; or again not.
    pub async fn drain(&self, draining: bool) -> Result<(), FabricError> {
        self.told().draining = draining;
        self.poke.notify_one();
        self.announce().await
    }

    /// The same for any node of the cluster.
    pub async fn drain_node(&self, node: &NodeName, draining: bool) -> Result<(), FabricError> {
        if node == self.fabric.name() {
            return self.drain(draining).await;
        }
        let order = Bytes::from_static(if draining { DRAIN } else { RETURN });
        self.fabric.call(node, CONTROL, order, Instant::now() + CONTROL_TIMEOUT).await.map(drop)
    }

    /// A cut model as a program of the whole cluster: one of this node's own registry, or of its shelf. It is ready once
    /// nodes hold all of it.
    pub async fn spread(
        self: &Arc<Self>,
        directory: Option<&str>,
        digest: Digest,
        plan: &Plan,
    ) -> Result<Arc<dyn Program>, LoadError> {
        if let Some(directory) = directory {
            self.shelf.place(directory, digest, plan);
        }
        let in_use = self.uses(digest);
        let known = self.learn(digest).await.inspect_err(|_| self.loaded.forget(&digest))?;
        self.poke.notify_one();
        let accelerator = self.models.accelerator.clone();
        let cluster = format!("{} and the nodes of its cluster", self.fabric.name());
        let device = Device { name: cluster, memory_bytes: None, ..accelerator.describe().clone() };
        let (signature, micro_batch) = (known.signature.clone(), known.plan.micro_batch);
        Ok(Arc::new(SpreadProgram {
            relay: self.relay.clone(),
            accelerator,
            digest,
            signature,
            micro_batch,
            device,
            _in_use: in_use,
        }))
    }

    /// Does what there is to do whenever a node tells something new, for ever.
    pub async fn run(self: Arc<Self>) {
        let (mut news, mut slowdown) = (self.fabric.news(), self.relay.pace.slowdown());
        loop {
            news.borrow_and_update();
            slowdown.borrow_and_update();
            self.look();
            self.round().await;
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return },
                Ok(()) = slowdown.changed() => {}
                () = self.poke.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn round(self: &Arc<Self>) {
        let nodes = self.nodes();
        let models = nodes.values().flat_map(|node| &node.models).filter(|(_, model)| model.used);
        let used: Vec<Digest> = models.map(|(digest, _)| *digest).collect();
        if !self.holds_nothing() {
            used.into_iter().for_each(|digest| self.learn_later(digest));
        }
        self.leave(&nodes);
        self.measure_links(&nodes);
        let near = near(&nodes, self.name());
        self.lead(&near);
        self.follow(&near);
        if let Err(error) = self.announce().await {
            tracing::warn!(%error, "the cluster can't be told");
        }
    }

    /// Measures a model that guests of another node run, beside everything else.
    fn learn_later(self: &Arc<Self>, digest: Digest) {
        let fresh = self.loaded.learning(digest);
        if !fresh {
            return;
        }
        let member = self.clone();
        tokio::spawn(async move {
            if let Err(error) = member.learn(digest).await {
                tracing::warn!(model = %digest, %error, "this node takes no part in it yet");
                tokio::time::sleep(WAITING).await;
                member.loaded.forget(&digest);
            }
            member.poke.notify_one();
        });
    }

    /// Fetches and measures a model.
    async fn learn(&self, digest: Digest) -> Result<Arc<Known>, LoadError> {
        self.loaded.learning(digest);
        if let Some(known) = self.known().get(&digest) {
            return Ok(known.clone());
        }
        let plan = self.shelf.plan(&digest).await?;
        let (compute_us, signatures) = match self.holds_nothing() {
            true => (Vec::new(), self.read(digest, &plan).await?),
            false => self.measure(digest, &plan).await?,
        };
        let signature = Pipeline::signature(&plan, &signatures);
        let known = Arc::new(Known { plan, signature });
        self.known().insert(digest, known.clone());
        self.told().models.entry(digest).or_default().compute_us = compute_us;
        tracing::info!(model = %known.plan.model, fragments = known.plan.fragments.len(), "learnt");
        Ok(known)
    }

    /// What the fragments of a model take and yield, without loading any.
    async fn read(&self, digest: Digest, plan: &Plan) -> Result<Vec<Signature>, LoadError> {
        let mut signatures = Vec::new();
        for fragment in &plan.fragments {
            let graph = self.models.fragment_graph(&digest.to_string(), fragment).await?;
            signatures.push(Signature { inputs: graph.inputs, outputs: graph.outputs });
        }
        Ok(signatures)
    }

    /// How long every fragment of a model takes here, one after the other: none has to fit beside another. One that does
    /// not fit at all is never placed here.
    async fn measure(&self, digest: Digest, plan: &Plan) -> Result<(Vec<f64>, Vec<Signature>), LoadError> {
        let mut values: HashMap<String, Tensor> = HashMap::new();
        let (mut compute_us, mut signatures) = (Vec::new(), Vec::new());
        for fragment in &plan.fragments {
            if held(&[Task::from(fragment)]) > self.health.most_bytes {
                let graph = self.models.fragment_graph(&digest.to_string(), fragment).await?;
                compute_us.push(NEVER_US);
                signatures.push(Signature { inputs: graph.inputs, outputs: graph.outputs });
                continue;
            }
            let program = self.models.fragment(&digest.to_string(), fragment, &*self.models.accelerator).await?;
            let signature = program.signature().clone();
            let mut inputs = Vec::new();
            for port in &signature.inputs {
                let value = values.get(&port.name).cloned().map_or_else(|| port.zeros(|_| 1), Ok)?;
                inputs.push(self.models.accelerator.upload(value).await?);
            }
            let (measured, outputs) = measure(&*program, &*self.models.accelerator, inputs, RUNS, WINDOW).await?;
            compute_us.push(measured.compute_us);
            values.extend(signature.outputs.iter().map(|port| port.name.clone()).zip(outputs));
            signatures.push(signature);
        }
        Ok((compute_us, signatures))
    }

    fn holds_nothing(&self) -> bool {
        self.health.most_bytes == 0
    }

    /// Tells what changed, if anything did.
    async fn announce(&self) -> Result<(), FabricError> {
        let _turn = self.telling.lock().await;
        let news = serde_json::to_vec(&*self.told()).map_err(|error| FabricError::Broken(error.to_string()))?;
        let news = Bytes::from(news);
        let known = self.fabric.news().borrow().get(self.fabric.name()).cloned();
        if known.as_ref() == Some(&news) { Ok(()) } else { self.fabric.announce(news).await }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Known>>> {
        lock(&self.known)
    }

    fn told(&self) -> MutexGuard<'_, NodeNews> {
        lock(&self.told)
    }

    fn tell(&self, digest: Digest, change: impl FnOnce(&mut ModelNews)) {
        change(self.told().models.entry(digest).or_default());
    }
}

/// Nodes of the same premises: values go no further, so each has spreads of its own.
pub fn near(nodes: &Nodes, node: &NodeName) -> Nodes {
    let near = nodes.iter().filter(|(name, _)| name.premises() == node.premises());
    near.map(|(name, news)| (name.clone(), news.clone())).collect()
}

/// What operators ask of this node.
struct Control(Weak<Member>);

#[async_trait]
impl Handler for Control {
    async fn handle(&self, message: Bytes) -> Bytes {
        if let (Some(member), Some(draining)) = (self.0.upgrade(), ordered(&message))
            && let Err(error) = member.drain(draining).await
        {
            tracing::warn!(%error, "the cluster can't be told");
        }
        Bytes::new()
    }
}

fn ordered(message: &[u8]) -> Option<bool> {
    match message {
        DRAIN => Some(true),
        RETURN => Some(false),
        _ => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
