//! What operators hand over: a release with its artefacts, and orders to one node.

use super::{Rollout, RolloutError, lock};
use crate::{
    mechanisms::shelf::Incoming,
    nouns::{Content, Digest, HoldBack, Release, ReleaseId, Seal, Sealed},
    ports::{Artefact, FabricError, Handler, Reach, Service, Serving, Urgency},
};
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// Orders to a node, by way of any other.
const RELEASE: Service = Service { name: "release", reach: Reach::Cluster, urgency: Urgency::Usual };
const ORDER_TIMEOUT: Duration = Duration::from_secs(5);

/// What became of an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    pub id: ReleaseId,
    /// Artefacts that the node has yet to be given. Once there are none, the release is the latest.
    pub missing: Vec<Digest>,
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    #[error(transparent)]
    Refused(#[from] RolloutError),
    #[error("the order is malformed: {0}")]
    Malformed(serde_json::Error),
    #[error("it is an order from release {from}, and the latest is {}", .latest.map_or("none".into(), |id| id.to_string()))]
    Late { from: ReleaseId, latest: Option<ReleaseId> },
    #[error("it has served no release before")]
    First,
    #[error("it was not carried out: {0}")]
    Elsewhere(String),
    #[error(transparent)]
    Fabric(#[from] FabricError),
}

/// An order on its way to its node.
#[derive(Serialize, Deserialize)]
struct Order {
    order: String,
    seal: Option<Seal>,
}

/// Takes orders that come by way of other nodes.
pub(super) async fn serve(rollout: &Arc<Rollout>) -> Result<Serving, FabricError> {
    let orders = Orders { rollout: Arc::downgrade(rollout) };
    rollout.member.fabric.serve(RELEASE, Arc::new(orders)).await
}

impl Rollout {
    /// Takes a release that is signed and later than the latest. What it names has to be here, or to be given next.
    pub async fn offer(&self, text: Bytes, seal: Option<Seal>) -> Result<Offered, RolloutError> {
        self.consider(text, seal).await.inspect_err(|error| {
            self.refused.add(1);
            tracing::warn!(%error, "a release is refused");
        })
    }

    async fn consider(&self, text: Bytes, seal: Option<Seal>) -> Result<Offered, RolloutError> {
        let artefact = Artefact::new(text);
        // Before anything else of it is believed.
        self.trust.verify(&artefact.bytes, seal.as_ref())?;
        let number = Release::parse(&artefact.bytes)?.number;
        let sealed = Sealed { id: ReleaseId { number, digest: artefact.digest }, seal };
        let release = self.examine(&sealed, &artefact)?;
        let latest = self.releases().latest.map(|latest| latest.id);
        if let Some(latest) = latest.filter(|latest| *latest != sealed.id && latest.number >= number) {
            return Err(RolloutError::Older { number, latest });
        }
        let mut missing = Vec::new();
        for content in release.artefacts.values() {
            if !self.member.shelf.disk.lists(content).await && !missing.contains(&content.digest) {
                missing.push(content.digest);
            }
        }
        let id = sealed.id;
        if missing.is_empty() {
            if latest != Some(id) {
                self.adopt(sealed, &artefact).await?;
            }
            *lock(&self.offered) = None;
        } else {
            *lock(&self.offered) = Some(Arc::new(release));
        }
        Ok(Offered { id, missing })
    }

    /// Room for an artefact of the release that was offered last; `None` for any other.
    pub async fn receive(&self, digest: &Digest) -> Result<Option<Incoming>, RolloutError> {
        let offered = lock(&self.offered).clone();
        let named = |content: &&Content| content.digest == *digest;
        let content = offered.as_ref().and_then(|release| release.artefacts.values().find(named));
        match content {
            Some(content) => Ok(Some(self.member.shelf.disk.begin(*content).await?)),
            None => Ok(None),
        }
    }

    /// The text of a release that this node keeps.
    pub async fn text(&self, digest: &Digest) -> Option<Bytes> {
        let id = self.releases().ids().find(|id| id.digest == *digest)?;
        Some(self.member.shelf.disk.read(&id.digest).await?.bytes)
    }

    /// Has the node that an order names go back to what it served before the latest release.
    pub async fn order(&self, order: String, seal: Option<Seal>) -> Result<(), OrderError> {
        let held: HoldBack = serde_json::from_str(&order).map_err(OrderError::Malformed)?;
        if held.hold_back == *self.member.name() {
            return self.obey(&order, &held, seal).await.inspect_err(|error| {
                self.refused.add(1);
                tracing::warn!(%error, "an order is refused");
            });
        }
        let message = serde_json::to_vec(&Order { order, seal }).map_err(OrderError::Malformed)?;
        let deadline = Instant::now() + ORDER_TIMEOUT;
        let answer = self.member.fabric.call(&held.hold_back, RELEASE, message.into(), deadline).await?;
        let answer: Result<(), String> = serde_json::from_slice(&answer).map_err(OrderError::Malformed)?;
        answer.map_err(OrderError::Elsewhere)
    }

    async fn obey(&self, text: &str, order: &HoldBack, seal: Option<Seal>) -> Result<(), OrderError> {
        self.trust.verify(text.as_bytes(), seal.as_ref()).map_err(RolloutError::from)?;
        if order.cluster != self.cluster {
            return Err(RolloutError::Cluster(order.cluster.clone()).into());
        }
        let releases = self.releases();
        let latest = releases.latest.as_ref().map(|latest| latest.id);
        if latest != Some(order.from) {
            return Err(OrderError::Late { from: order.from, latest });
        }
        // Where the latest does not even start, it stays on what it serves.
        let turned = releases.serving.as_ref().map(|serving| serving.id) == latest;
        let back = if turned { releases.previous } else { releases.serving };
        let back = releases.held_back.or(back).ok_or(OrderError::First)?;
        self.change(move |releases| releases.held_back = Some(back)).await.map_err(RolloutError::from)?;
        self.poke.notify_one();
        Ok(())
    }
}

struct Orders {
    rollout: Weak<Rollout>,
}

#[async_trait]
impl Handler for Orders {
    async fn handle(&self, message: Bytes) -> Bytes {
        let answer = match (self.rollout.upgrade(), serde_json::from_slice(&message)) {
            (Some(rollout), Ok(Order { order, seal })) => {
                rollout.order(order, seal).await.map_err(|error| error.to_string())
            }
            (None, _) => Err("the node ends".into()),
            (_, Err(error)) => Err(error.to_string()),
        };
        serde_json::to_vec(&answer).unwrap_or_default().into()
    }
}
