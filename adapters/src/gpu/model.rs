//! A model on the GPU that is there now: after a loss the next run loads it again.

use super::{lasting::Lasting, program::GpuProgram};
use burst_host::{
    nouns::{Account, Fault, Graph, Ledger, Signature, Tensor},
    ports::{Device, Program},
};
use futures::future::BoxFuture;
use std::{sync::Arc, time::Instant};
use tokio::sync::Mutex;

/// A model for one holder.
pub struct GpuModel {
    source: Arc<Source>,
    /// What its runs give.
    account: Account,
}

/// What all holders of a model share.
struct Source {
    lasting: Arc<Lasting>,
    /// Host memory keeps the weights: a device that was lost has to get them again.
    graph: Arc<Graph>,
    /// Weights and plans.
    account: Ledger,
    signature: Signature,
    /// Held while it is loaded, so that the others wait for it.
    loaded: Mutex<Arc<GpuProgram>>,
}

impl GpuModel {
    /// Loads a graph whose functions are inlined; weights, plans and results are on `account`.
    pub async fn load(lasting: Arc<Lasting>, graph: Graph, account: Account) -> Result<Self, Fault> {
        let graph = Arc::new(graph);
        let gpu = lasting.get().await?;
        let memory = gpu.memory(&account.bytes);
        let program = GpuProgram::load(gpu, memory, graph.clone()).await?;
        program.gpu.kernels.keep();
        let signature = program.signature.clone();
        let (bytes, loaded) = (account.bytes.clone(), Mutex::new(program));
        Ok(Self { source: Arc::new(Source { lasting, graph, account: bytes, signature, loaded }), account })
    }

    async fn attempt(&self, inputs: &[Tensor], deadline: Instant) -> Result<Vec<Tensor>, Fault> {
        let program = self.source.program().await?;
        let memory = program.gpu.memory(&self.account.bytes);
        let outputs = program.run(inputs, deadline, &memory, &self.account.runs).await;
        program.gpu.kernels.keep();
        outputs
    }
}

impl Source {
    /// The model on the device that is there now.
    async fn program(&self) -> Result<Arc<GpuProgram>, Fault> {
        let gpu = self.lasting.get().await?;
        let mut loaded = self.loaded.lock().await;
        if !Arc::ptr_eq(&loaded.gpu, &gpu) {
            let memory = gpu.memory(&self.account);
            *loaded = GpuProgram::load(gpu, memory, self.graph.clone()).await?;
        }
        Ok(loaded.clone())
    }
}

impl Program for GpuModel {
    fn signature(&self) -> &Signature {
        &self.source.signature
    }

    fn device(&self) -> &Device {
        &self.source.lasting.description
    }

    fn for_account(self: Arc<Self>, account: &Account) -> Arc<dyn Program> {
        Arc::new(Self { source: self.source.clone(), account: account.clone() })
    }

    fn held_bytes(&self) -> u64 {
        self.source.account.held() as u64
    }

    fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<Vec<Tensor>, Fault>> {
        Box::pin(async move {
            match self.attempt(&inputs, deadline).await {
                // What was on the lost device is gone; what the host has can be computed again.
                Err(Fault::DeviceLost) if inputs.iter().all(|input| input.resident().is_none()) => {
                    self.attempt(&inputs, deadline).await
                }
                answer => answer,
            }
        })
    }
}
