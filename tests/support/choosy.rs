//! An accelerator that refuses fragments of cut models, and takes long for others.

use burst_host::{
    nouns::{Account, Fault, Frame, Graph, Signature, Tensor, View},
    ports::{Accelerator, Device, Program},
};
use futures::future::BoxFuture;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Fragments by their number.
#[derive(Clone)]
pub struct Choosy {
    inner: Arc<dyn Accelerator>,
    device: Device,
    refuses: Vec<usize>,
    dear: Vec<usize>,
    pause: Duration,
}

impl Choosy {
    /// Takes all, as quickly as it can.
    pub fn new(inner: Arc<dyn Accelerator>) -> Self {
        let device = inner.describe().clone();
        Self { inner, device, refuses: Vec::new(), dear: Vec::new(), pause: Duration::ZERO }
    }

    /// The same under another name.
    pub fn called(self, name: &str) -> Self {
        Self { device: Device { name: name.into(), ..self.device.clone() }, ..self }
    }

    pub fn refuses(self, fragments: &[usize]) -> Self {
        Self { refuses: fragments.into(), ..self }
    }

    /// Each run of these takes so much longer.
    pub fn pauses(self, fragments: &[usize], pause: Duration) -> Self {
        Self { dear: fragments.into(), pause, ..self }
    }
}

/// `burst split` numbers the graphs.
fn is_one(graph: &Graph, fragments: &[usize]) -> bool {
    fragments.iter().any(|fragment| graph.name.ends_with(&format!(".{fragment}")))
}

impl Accelerator for Choosy {
    fn describe(&self) -> &Device {
        &self.device
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
            if is_one(graph, &self.refuses) {
                return Err(Fault::Unsupported(format!("`{}` on the choosy one", graph.name)));
            }
            let pause = if is_one(graph, &self.dear) { self.pause } else { Duration::ZERO };
            Ok(Arc::new(Paused { inner: self.inner.load(graph).await?, device: self.device.clone(), pause })
                as Arc<dyn Program>)
        })
    }
}

struct Paused {
    inner: Arc<dyn Program>,
    device: Device,
    pause: Duration,
}

impl Program for Paused {
    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn for_account(self: Arc<Self>, account: &Account) -> Arc<dyn Program> {
        let inner = self.inner.clone().for_account(account);
        Arc::new(Self { inner, device: self.device.clone(), pause: self.pause })
    }

    fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<Vec<Tensor>, Fault>> {
        Box::pin(async move {
            let outputs = self.inner.run(inputs, deadline).await;
            tokio::time::sleep(self.pause).await;
            outputs
        })
    }
}
