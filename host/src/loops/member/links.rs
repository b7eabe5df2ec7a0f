//! Measures what is between this node and each other one, once when it appears.

use super::{Member, Nodes, lock};
use crate::{
    mechanisms::relay::PING,
    nouns::{LinkNews, NodeName},
    ports::FabricError,
};
use bytes::Bytes;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Long enough that it counts, short enough that nobody notices.
const LOAD_BYTES: usize = 256 << 10;
const TIMEOUT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_secs(10);
const TRIES: usize = 5;

/// Whose links were measured, or are being.
#[derive(Default)]
pub struct Links(Mutex<HashSet<NodeName>>);

impl Member {
    /// Measures the nodes that are new, beside everything else, and forgets those that are gone.
    pub(super) fn measure_links(self: &Arc<Self>, nodes: &Nodes) {
        let mut known = lock(&self.links.0);
        known.retain(|name| nodes.contains_key(name));
        self.told().links.retain(|name, _| nodes.contains_key(name));
        for name in nodes.keys().filter(|name| *name != self.fabric.name()) {
            if known.insert(name.clone()) {
                let (member, name) = (self.clone(), name.clone());
                tokio::spawn(async move {
                    match member.link(&name).await {
                        Ok(link) => drop(member.told().links.insert(name, link)),
                        Err(error) => {
                            tracing::debug!(node = %name, %error, "its link is measured again later");
                            tokio::time::sleep(PAUSE).await;
                            lock(&member.links.0).remove(&name);
                        }
                    }
                    member.poke.notify_one();
                });
            }
        }
    }

    async fn link(&self, node: &NodeName) -> Result<LinkNews, FabricError> {
        let empty = self.quickest(node, 0).await?;
        let loaded = self.quickest(node, LOAD_BYTES).await?;
        let transfer = loaded.saturating_sub(empty).max(Duration::from_micros(1));
        let bytes_per_second = LOAD_BYTES as f64 / transfer.as_secs_f64();
        // There and back.
        Ok(LinkNews { latency_us: empty.as_secs_f64() * 1e6 / 2.0, bytes_per_second })
    }

    async fn quickest(&self, node: &NodeName, bytes: usize) -> Result<Duration, FabricError> {
        let load = Bytes::from(vec![0; bytes]);
        let mut quickest = Duration::MAX;
        for _ in 0..TRIES {
            let started = Instant::now();
            self.fabric.call(node, PING, load.clone(), started + TIMEOUT).await?;
            quickest = quickest.min(started.elapsed());
        }
        Ok(quickest)
    }
}
