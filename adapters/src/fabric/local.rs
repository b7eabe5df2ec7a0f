//! Nodes of one process: a cluster for tests, and for a house that stands alone.

use burst_host::{
    nouns::NodeName,
    ports::{CALLS_MAX, Fabric, FabricError, Handler, News, Service, Serving},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::{Semaphore, watch};

/// Where the nodes of one cluster meet.
#[derive(Clone)]
pub struct Hub(Arc<Meeting>);

struct Meeting {
    nodes: Mutex<BTreeMap<NodeName, Arc<Inside>>>,
    news: watch::Sender<News>,
}

/// One node's end. It leaves when it is dropped.
pub struct LocalFabric {
    name: NodeName,
    meeting: Arc<Meeting>,
    inside: Arc<Inside>,
}

/// What others reach of a node.
struct Inside {
    services: Mutex<HashMap<Service, Door>>,
    gone: watch::Sender<bool>,
}

impl Default for Hub {
    fn default() -> Self {
        Self(Arc::new(Meeting { nodes: Mutex::default(), news: watch::Sender::default() }))
    }
}

impl Hub {
    /// Joins a node; one of the same name that is there already is `Broken`.
    pub fn join(&self, name: NodeName) -> Result<LocalFabric, FabricError> {
        let inside = Arc::new(Inside { services: Mutex::default(), gone: watch::Sender::new(false) });
        let mut nodes = lock(&self.0.nodes);
        if nodes.contains_key(&name) {
            return Err(FabricError::Broken(format!("there is a node `{name}` already")));
        }
        nodes.insert(name.clone(), inside.clone());
        Ok(LocalFabric { name, meeting: self.0.clone(), inside })
    }

    /// Takes a node away, as if its power failed: calls to it end unanswered, and it reaches nobody.
    pub fn remove(&self, name: &NodeName) {
        if let Some(inside) = lock(&self.0.nodes).remove(name) {
            inside.gone.send_replace(true);
            self.0.news.send_modify(|all| drop(Arc::make_mut(all).remove(name)));
        }
    }
}

impl Fabric for LocalFabric {
    fn name(&self) -> &NodeName {
        &self.name
    }

    fn serve(&self, service: Service, handler: Arc<dyn Handler>) -> BoxFuture<'_, Result<Serving, FabricError>> {
        Box::pin(async move {
            lock(&self.inside.services).insert(service, Door { handler, calls: Arc::new(Semaphore::new(CALLS_MAX)) });
            Ok(Box::new(Served { inside: self.inside.clone(), service }) as Serving)
        })
    }

    fn call<'a>(
        &'a self,
        node: &'a NodeName,
        service: Service,
        message: Bytes,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Bytes, FabricError>> {
        Box::pin(async move {
            service.admits(&self.name, node, &message)?;
            let unreachable = || FabricError::Unreachable(node.clone());
            if *self.inside.gone.borrow() {
                return Err(unreachable());
            }
            let inside = lock(&self.meeting.nodes).get(node).cloned().ok_or_else(unreachable)?;
            let Door { handler, calls } = lock(&inside.services).get(&service).cloned().ok_or_else(unreachable)?;
            let permit = calls.try_acquire_owned().map_err(|_| FabricError::Busy(node.clone()))?;
            let mut gone = inside.gone.subscribe();
            // Of its own: what was asked goes on when the caller gives up, as it would on another machine.
            let answer = tokio::spawn(async move {
                let answer = handler.handle(message).await;
                drop(permit);
                answer
            });
            tokio::select! {
                answer = answer => answer.map_err(|_| unreachable()),
                _ = gone.wait_for(|gone| *gone) => Err(unreachable()),
                () = tokio::time::sleep_until(deadline.into()) => Err(FabricError::TimedOut),
            }
        })
    }

    fn announce(&self, news: Bytes) -> BoxFuture<'_, Result<(), FabricError>> {
        Box::pin(async move {
            if !*self.inside.gone.borrow() {
                self.meeting.news.send_modify(|all| drop(Arc::make_mut(all).insert(self.name.clone(), news)));
            }
            Ok(())
        })
    }

    fn news(&self) -> watch::Receiver<News> {
        self.meeting.news.subscribe()
    }
}

impl Drop for LocalFabric {
    fn drop(&mut self) {
        Hub(self.meeting.clone()).remove(&self.name);
    }
}

/// Who answers, and how many calls at once.
#[derive(Clone)]
struct Door {
    handler: Arc<dyn Handler>,
    calls: Arc<Semaphore>,
}

/// A service, until it is dropped.
struct Served {
    inside: Arc<Inside>,
    service: Service,
}

impl Drop for Served {
    fn drop(&mut self) {
        lock(&self.inside.services).remove(&self.service);
    }
}

/// Nothing that holds one of these locks can break half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
