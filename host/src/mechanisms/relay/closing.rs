//! Tells the nodes of a model that a session has ended: their memory of it is free at once.

use super::Relay;
use crate::{
    nouns::{Digest, NodeName},
    ports::{Handler, Reach, Service, Urgency},
};
use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

/// Takes the names of sessions that have ended.
pub const CLOSE: Service = Service { name: "close", reach: Reach::Premises, urgency: Urgency::Usual };
/// A node that is not told in time forgets the session when others need its place.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
struct Ended {
    plan: Digest,
    session: u128,
}

/// Forgets what others say has ended.
pub struct Closing(Weak<Relay>);

#[async_trait]
impl Handler for Closing {
    async fn handle(&self, message: Bytes) -> Bytes {
        if let (Some(relay), Ok(Ended { plan, session })) = (self.0.upgrade(), serde_json::from_slice(&message)) {
            relay.sessions.close(&plan, session);
        }
        Bytes::new()
    }
}

impl Relay {
    /// Forgets a session that began here, and tells the others of its stages.
    pub fn close(&self, plan: &Digest, session: u128) {
        self.sessions.close(plan, session);
        let ended = serde_json::to_vec(&Ended { plan: *plan, session }).map(Bytes::from);
        let (Some(held), Ok(ended)) = (self.current(plan), ended) else { return };
        // Without one the process is about to end.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let nodes: BTreeSet<&NodeName> = held.spread.nodes().filter(|node| *node != self.fabric.name()).collect();
        for node in nodes {
            let (fabric, node, ended) = (self.fabric.clone(), node.clone(), ended.clone());
            runtime.spawn(async move { fabric.call(&node, CLOSE, ended, Instant::now() + TIMEOUT).await.map(drop) });
        }
    }

    /// Sessions whose states are kept here.
    pub fn sessions(&self) -> usize {
        self.sessions.kept()
    }
}

impl Closing {
    pub fn of(relay: &Arc<Relay>) -> Arc<Self> {
        Arc::new(Self(Arc::downgrade(relay)))
    }
}
