//! An accelerator that takes longer when a test says so.

use burst_host::{
    nouns::{Account, Fault, Frame, Graph, Signature, Tensor, View},
    ports::{Accelerator, Device, Program},
};
use futures::future::BoxFuture;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Sleeps for so many milliseconds after each run.
#[derive(Clone)]
pub struct Slow {
    inner: Arc<dyn Accelerator>,
    pub pause_ms: Arc<AtomicU64>,
}

impl Slow {
    pub fn new(inner: Arc<dyn Accelerator>) -> Self {
        Self { inner, pause_ms: Arc::default() }
    }
}

impl Accelerator for Slow {
    fn describe(&self) -> &Device {
        self.inner.describe()
    }

    fn for_account(&self, account: &Account) -> Arc<dyn Accelerator> {
        Arc::new(Self { inner: self.inner.for_account(account), ..self.clone() })
    }

    fn upload(&self, tensor: Tensor) -> BoxFuture<'_, Result<Tensor, Fault>> {
        self.inner.upload(tensor)
    }

    fn download<'a>(&'a self, tensor: &'a Tensor) -> BoxFuture<'a, Result<Tensor, Fault>> {
        self.inner.download(tensor)
    }

    fn view<'a>(&'a self, frame: &'a Frame, view: &'a View) -> BoxFuture<'a, Result<Tensor, Fault>> {
        self.inner.view(frame, view)
    }

    fn load<'a>(&'a self, graph: &'a Graph) -> BoxFuture<'a, Result<Arc<dyn Program>, Fault>> {
        Box::pin(async move {
            Ok(Arc::new(Slowed { inner: self.inner.load(graph).await?, pause_ms: self.pause_ms.clone() })
                as Arc<dyn Program>)
        })
    }
}

struct Slowed {
    inner: Arc<dyn Program>,
    pause_ms: Arc<AtomicU64>,
}

impl Program for Slowed {
    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn device(&self) -> &Device {
        self.inner.device()
    }

    fn for_account(self: Arc<Self>, account: &Account) -> Arc<dyn Program> {
        Arc::new(Self { inner: self.inner.clone().for_account(account), pause_ms: self.pause_ms.clone() })
    }

    fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<Vec<Tensor>, Fault>> {
        Box::pin(async move {
            let outputs = self.inner.run(inputs, deadline).await;
            tokio::time::sleep(Duration::from_millis(self.pause_ms.load(Relaxed))).await;
            outputs
        })
    }
}
