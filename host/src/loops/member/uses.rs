//! Which cut models guests run, here or with another node. What nobody runs is forgotten, and its memory is free.

use super::{Member, Nodes, lock};
use crate::nouns::Digest;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

/// Requests may still be on their way, and a node that starts again wants it back.
const GRACE: Duration = Duration::from_secs(30);

/// Programs of this node's guests, by plan.
#[derive(Default)]
pub struct Uses {
    programs: Mutex<HashMap<Digest, usize>>,
    /// Models that are about to be forgotten.
    leaving: Mutex<HashSet<Digest>>,
}

/// A program of this node's guests, until it is dropped.
pub struct Use {
    member: Weak<Member>,
    digest: Digest,
}

impl Member {
    /// Tells that guests of this node run a model, or are about to.
    pub(super) fn uses(self: &Arc<Self>, digest: Digest) -> Use {
        *lock(&self.uses.programs).entry(digest).or_default() += 1;
        self.tell(digest, |model| model.used = true);
        Use { member: Arc::downgrade(self), digest }
    }

    /// Forgets models after a while that no guest of any node runs.
    pub(super) fn leave(self: &Arc<Self>, nodes: &Nodes) {
        let held: Vec<Digest> = self.told().models.keys().copied().collect();
        for digest in held {
            if self.is_used(&digest, nodes) || !lock(&self.uses.leaving).insert(digest) {
                continue;
            }
            let member = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(GRACE).await;
                lock(&member.uses.leaving).remove(&digest);
                if !member.is_used(&digest, &member.nodes()) {
                    tracing::info!(model = %digest, "forgotten: no guest runs it");
                    member.forget(&digest);
                }
                member.poke.notify_one();
            });
        }
    }

    fn is_used(&self, digest: &Digest, nodes: &Nodes) -> bool {
        let told = nodes.values().any(|node| node.models.get(digest).is_some_and(|model| model.used));
        told || lock(&self.uses.programs).contains_key(digest)
    }

    fn forget(&self, digest: &Digest) {
        self.relay.forget_model(digest);
        self.known().remove(digest);
        self.loaded.forget_model(digest);
        self.told().models.remove(digest);
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let Some(member) = self.member.upgrade() else { return };
        let mut programs = lock(&member.uses.programs);
        if let Some(count) = programs.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                programs.remove(&self.digest);
                member.tell(self.digest, |model| model.used = false);
                member.poke.notify_one();
            }
        }
    }
}
