//! A fabric whose way to one node takes longer when a test says so.

use burst_host::{
    nouns::NodeName,
    ports::{Fabric, FabricError, Handler, News, Service, Serving},
};
use bytes::Bytes;
use futures::future::BoxFuture;
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

impl Fabric for Far {
    fn name(&self) -> &NodeName {
        self.inner.name()
    }

    fn serve(&self, service: Service, handler: Arc<dyn Handler>) -> BoxFuture<'_, Result<Serving, FabricError>> {
        self.inner.serve(service, handler)
    }

    fn call<'a>(
        &'a self,
        node: &'a NodeName,
        service: Service,
        message: Bytes,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Bytes, FabricError>> {
        Box::pin(async move {
            let distance = self.distance.lock().unwrap().clone();
            if let Some((_, delay)) = distance.filter(|(far, _)| far == node) {
                tokio::time::sleep(delay).await;
            }
            self.inner.call(node, service, message, deadline).await
        })
    }

    fn announce(&self, news: Bytes) -> BoxFuture<'_, Result<(), FabricError>> {
        self.inner.announce(news)
    }

    fn news(&self) -> watch::Receiver<News> {
        self.inner.news()
    }
}
