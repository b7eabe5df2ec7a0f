//! An accelerator that takes longer when a test says so.

use async_trait::async_trait;
use burst_host::{
    nouns::{Account, Fault, Frame, Graph, Signature, Tensor, View},
    ports::{Accelerator, Device, Program},
};
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

#[async_trait]
impl Accelerator for Slow {
    fn describe(&self) -> &Device {
        self.inner.describe()
    }

    fn for_account(&self, account: &Account) -> Arc<dyn Accelerator> {
        Arc::new(Self { inner: self.inner.for_account(account), ..self.clone() })
    }

    async fn upload(&self, tensor: Tensor) -> Result<Tensor, Fault> {
        self.inner.upload(tensor).await
    }

    async fn download(&self, tensor: &Tensor) -> Result<Tensor, Fault> {
        self.inner.download(tensor).await
    }

    async fn view(&self, frame: &Frame, view: &View) -> Result<Tensor, Fault> {
        self.inner.view(frame, view).await
    }

    async fn load(&self, graph: &Graph) -> Result<Arc<dyn Program>, Fault> {
        Ok(Arc::new(Slowed { inner: self.inner.load(graph).await?, pause_ms: self.pause_ms.clone() }))
    }
}

struct Slowed {
    inner: Arc<dyn Program>,
    pause_ms: Arc<AtomicU64>,
}

#[async_trait]
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

    async fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> Result<Vec<Tensor>, Fault> {
        let outputs = self.inner.run(inputs, deadline).await;
        tokio::time::sleep(Duration::from_millis(self.pause_ms.load(Relaxed))).await;
        outputs
    }
}
