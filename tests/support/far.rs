//! A fabric whose way to one node takes longer when a test says so.

use async_trait::async_trait;
use burst_host::{
    nouns::NodeName,
    ports::{Fabric, FabricError, Handler, News, Service, Serving},
};
use bytes::Bytes;
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// The node whose calls are held up, and for how long.
pub type Distance = Arc<Mutex<Option<(NodeName, Duration)>>>;

/// One node's end of it.
pub struct Far {
    pub inner: Arc<dyn Fabric>,
    pub distance: Distance,
}

#[async_trait]
impl Fabric for Far {
    fn name(&self) -> &NodeName {
        self.inner.name()
    }

    async fn serve(&self, service: Service, handler: Arc<dyn Handler>) -> Result<Serving, FabricError> {
        self.inner.serve(service, handler).await
    }

    async fn call(
        &self,
        node: &NodeName,
        service: Service,
        message: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, FabricError> {
        let distance = self.distance.lock().unwrap().clone();
        if let Some((_, delay)) = distance.filter(|(far, _)| far == node) {
            tokio::time::sleep(delay).await;
        }
        self.inner.call(node, service, message, deadline).await
    }

    async fn announce(&self, news: Bytes) -> Result<(), FabricError> {
        self.inner.announce(news).await
    }

    fn news(&self) -> watch::Receiver<News> {
        self.inner.news()
    }
}
