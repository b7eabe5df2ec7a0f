//! Holds this node's part of each spread, and sends requests where the latest one is ready.

use super::{Known, Member, Nodes, WAITING, lock, view::latest};
use crate::{
    loops::models::LoadError,
    mechanisms::{
        pipeline::Pipeline,
        relay::{Held, Part},
    },
    nouns::{Digest, Epoch, Spread},
    ports::Program,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

/// Requests of a spread that was replaced may go on for so long.
const GRACE: Duration = Duration::from_secs(30);

/// What is loaded, and what is on its way.
#[derive(Default)]
pub struct Loaded {
    /// By plan and fragment: parts of several spreads share them, and the last one takes them away.
    fragments: Mutex<HashMap<(Digest, usize), Arc<Slot>>>,
    /// Plans that were begun to be measured.
    learning: Mutex<HashSet<Digest>>,
    /// The spread of each model whose parts are held or being loaded.
    following: Mutex<HashMap<Digest, Epoch>>,
}

/// A fragment that somebody loads, or has.
type Slot = tokio::sync::Mutex<Option<Weak<dyn Program>>>;

impl Loaded {
    /// Whether nobody has begun with this plan yet.
    pub fn learning(&self, digest: Digest) -> bool {
        lock(&self.learning).insert(digest)
    }

    /// Fragments that are loaded or being loaded, by plan.
    pub fn fragments(&self) -> Vec<(Digest, usize)> {
        let mut fragments = lock(&self.fragments);
        fragments.retain(|_, slot| is_held(slot));
        fragments.keys().copied().collect()
    }

    fn slot(&self, digest: Digest, index: usize) -> Arc<Slot> {
        lock(&self.fragments).entry((digest, index)).or_default().clone()
    }

    /// It is to be begun again.
    pub fn forget(&self, digest: &Digest) {
        lock(&self.learning).remove(digest);
    }

    /// Nothing of it is followed any more.
    pub fn forget_model(&self, digest: &Digest) {
        lock(&self.following).remove(digest);
        self.forget(digest);
    }
}

/// Whether somebody loads it or has it.
fn is_held(slot: &Arc<Slot>) -> bool {
    let loaded = |program: &Option<Weak<dyn Program>>| program.as_ref().is_some_and(|it| it.strong_count() > 0);
    Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|program| loaded(&program))
}

impl Member {
    /// Adopts the latest spreads: holds what this node should of each, and tells so.
    pub(super) fn follow(self: &Arc<Self>, nodes: &Nodes) {
        let known: Vec<_> = self.known().iter().map(|(digest, known)| (*digest, known.clone())).collect();
        for (digest, known) in known {
            let own = self.told().models.get(&digest).and_then(|model| model.spread.clone());
            let latest = latest(nodes, &digest, &known.plan).cloned();
            let newest = [own, latest].into_iter().flatten().max_by(|a, b| a.epoch.cmp(&b.epoch));
            let Some(spread) = newest else { continue };
            self.tell(digest, |model| model.spread = Some(spread.clone()));
            let begun = lock(&self.loaded.following).insert(digest, spread.epoch.clone());
            if begun.as_ref() != Some(&spread.epoch) {
                let (member, spread, known) = (self.clone(), spread.clone(), known.clone());
                tokio::spawn(async move { member.hold(digest, known, spread).await });
            }
            self.turn_to(digest, &spread, nodes);
        }
    }

    /// Loads this node's parts of a spread.
    async fn hold(self: Arc<Self>, digest: Digest, known: Arc<Known>, spread: Spread) {
        let mut stages = BTreeMap::new();
        for stage in spread.of(self.fabric.name()) {
            match self.part(digest, &known, &spread, stage).await {
                Ok(part) => drop(stages.insert(stage, Arc::new(part))),
                Err(error) => {
                    tracing::error!(model = %known.plan.model, stage, %error, "a part can't be held: others have to");
                    self.tell(digest, |model| model.compute_us.clear());
                    self.poke.notify_one();
                    return self.learn_again(digest).await;
                }
            }
        }
        let epoch = spread.epoch.clone();
        self.relay.hold(Held { digest, plan: known.plan.clone(), spread, stages });
        self.tell(digest, |model| model.ready = model.ready.take().max(Some(epoch)));
        self.poke.notify_one();
    }

    /// Measures a model anew after a while: what was in the way may be gone.
    async fn learn_again(&self, digest: Digest) {
        tokio::time::sleep(WAITING).await;
        self.known().remove(&digest);
        self.loaded.forget_model(&digest);
        self.poke.notify_one();
    }

    async fn part(&self, digest: Digest, known: &Known, spread: &Spread, stage: usize) -> Result<Part, LoadError> {
        let range = spread.stages[stage].fragments.clone();
        let mut programs = Vec::new();
        for index in range.clone() {
            programs.push(self.fragment(digest, known, index).await?);
        }
        let accelerator = self.models.accelerator.clone();
        let needed = known.plan.needed(range.end).into_iter().cloned().collect();
        let pipeline = Pipeline::new(&known.plan.part(range), programs, accelerator.describe().clone())?;
        Ok(Part { program: Arc::new(pipeline), accelerator, needed })
    }

    async fn fragment(&self, digest: Digest, known: &Known, index: usize) -> Result<Arc<dyn Program>, LoadError> {
        let slot = self.loaded.slot(digest, index);
        let mut loaded = slot.lock().await;
        if let Some(program) = loaded.as_ref().and_then(Weak::upgrade) {
            return Ok(program);
        }
        let (directory, fragment) = (digest.to_string(), &known.plan.fragments[index]);
        let program = self.models.fragment(&directory, fragment, &*self.models.accelerator).await?;
        *loaded = Some(Arc::downgrade(&program));
        Ok(program)
    }

    /// Sends requests to a spread once a node of each stage holds it, and forgets those before it after a while.
    fn turn_to(self: &Arc<Self>, digest: Digest, spread: &Spread, nodes: &Nodes) {
        let ready = |name| {
            let model = nodes.get(name).and_then(|node| node.models.get(&digest));
            model.and_then(|model| model.ready.as_ref()) == Some(&spread.epoch)
        };
        if !spread.stages.iter().all(|stage| stage.nodes.iter().any(ready)) {
            return;
        }
        let turned = self.relay.current(&digest).is_some_and(|held| held.spread.epoch == spread.epoch);
        if turned || !self.relay.make_current(&digest, &spread.epoch) {
            return;
        }
        let (relay, epoch) = (self.relay.clone(), spread.epoch.clone());
        tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            relay.forget(&digest, &epoch);
        });
    }
}
