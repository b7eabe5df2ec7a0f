//! A cut model over a cluster, as one program.

use super::uses::Use;
use crate::{
    mechanisms::{
        relay::{
            Relay,
            wire::{Turn, Values},
        },
        rows,
        session::first,
    },
    nouns::{Account, Digest, Fault, Signature, Tensor},
    ports::{Accelerator, Device, Program, Session},
};
use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

/// After which who waits for nodes is told.
const WAITING: Duration = Duration::from_secs(10);

/// A cut model, run by whoever holds its parts.
pub struct SpreadProgram {
    pub relay: Arc<Relay>,
    pub accelerator: Arc<dyn Accelerator>,
    pub digest: Digest,
    pub signature: Signature,
    /// Rows that are computed at a time.
    pub micro_batch: Option<NonZeroUsize>,
    pub device: Device,
    pub(super) _in_use: Use,
}

impl Program for SpreadProgram {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn for_account(self: Arc<Self>, _: &Account) -> Arc<dyn Program> {
        self
    }

    fn is_ready(&self) -> bool {
        self.relay.current(&self.digest).is_some()
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let mut changes = self.relay.changes();
            while !self.is_ready() {
                if tokio::time::timeout(WAITING, changes.changed()).await.is_err() {
                    tracing::warn!(model = %self.digest, "it waits for nodes that hold all of it");
                }
            }
        })
    }

    fn session(self: Arc<Self>) -> Option<Box<dyn Session>> {
        let session = self.relay.open();
        Some(Box::new(SpreadSession { program: self, session, step: 0, committed: 0, attempts: 0 }))
    }

    fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<Vec<Tensor>, Fault>> {
        Box::pin(async move {
            self.signature.fits(&inputs)?;
            let mut values = Values::new();
            for (port, input) in self.signature.inputs.iter().zip(inputs) {
                values.push((port.name.clone(), self.accelerator.download(&input).await?));
            }
            let outputs = self.compute(values, deadline).await?;
            let find = |name: &String| {
                let found = outputs.iter().find(|(found, _)| found == name).map(|(_, tensor)| tensor.clone());
                found.ok_or_else(|| Fault::Invalid(format!("the cluster yields no `{name}`")))
            };
            self.signature.outputs.iter().map(|port| find(&port.name)).collect()
        })
    }
}

impl SpreadProgram {
    /// Computes a request, a micro-batch beside the other where they were promised not to know of each other: while one
    /// is at a stage, the next is at the stage before.
    async fn compute(&self, values: Values, deadline: Instant) -> Result<Values, Fault> {
        let run = |values| self.relay.run(self.digest, values, None, deadline);
        let Some(parts) = self.micro_batch.and_then(|most| rows::cut(&values, most)) else { return run(values).await };
        let outputs = stream::iter(parts).map(run).buffered(self.relay.credits_each()).try_collect().await?;
        rows::join(outputs, rows::count(&values))
    }
}

/// Steps of a model whose states stay with the nodes of its stages.
struct SpreadSession {
    program: Arc<SpreadProgram>,
    session: u128,
    step: u64,
    /// The nodes may know one step more than this, and go on from the states before it.
    committed: u64,
    attempts: u64,
}

#[async_trait]
impl Session for SpreadSession {
    async fn step(&mut self, inputs: Vec<(String, Tensor)>, deadline: Instant) -> Result<Vec<(String, Tensor)>, Fault> {
        let SpreadProgram { relay, accelerator, digest, signature, .. } = &*self.program;
        let mut values = if self.step == 0 { first(signature, &inputs)? } else { Values::new() };
        for (name, input) in inputs {
            values.push((name, accelerator.download(&input).await?));
        }
        let turn = Turn { session: self.session, step: self.step, attempt: self.attempts, replay: false };
        self.attempts += 1;
        let outputs = relay.run(*digest, values, Some(turn), deadline).await?;
        self.step += 1;
        Ok(outputs)
    }

    fn device(&self) -> &Device {
        &self.program.device
    }

    fn commit(&mut self) {
        self.committed = self.step;
    }

    fn rollback(&mut self) {
        self.step = self.committed;
    }
}

impl Drop for SpreadSession {
    fn drop(&mut self) {
        self.program.relay.close(&self.program.digest, self.session);
    }
}
