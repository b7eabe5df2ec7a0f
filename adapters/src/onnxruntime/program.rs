//! One loaded model on ONNX Runtime.

use super::session::Session;
use crate::cpu::{on_host, workers::Workers};
use burst_host::{
    nouns::{Account, Fault, Signature, Tensor},
    ports::{Device, Program},
};
use futures::future::BoxFuture;
use ort::session::RunOptions;
use std::{sync::Arc, time::Instant};

/// A session, and the threads that run it.
pub(super) struct OnnxRuntimeProgram {
    pub session: Arc<Session>,
    pub device: Arc<Device>,
    pub workers: Arc<Workers>,
}

impl Program for OnnxRuntimeProgram {
    fn signature(&self) -> &Signature {
        &self.session.signature
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn for_account(self: Arc<Self>, _: &Account) -> Arc<dyn Program> {
        self
    }

    fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<Vec<Tensor>, Fault>> {
        Box::pin(async move {
            inputs.iter().try_for_each(on_host)?;
            self.session.signature.fits(&inputs)?;
            let options = RunOptions::new().map_err(super::fault::of_run)?;
            let (session, options) = (self.session.clone(), Arc::new(options));
            let _end = EndOnDrop(options.clone());
            self.workers.run(Some(deadline), move || session.run(&inputs, &options)).await
        })
    }
}

/// Ends a run that nobody waits for any more: at its deadline, and when its request is gone.
pub(super) struct EndOnDrop(pub Arc<RunOptions>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if let Err(error) = self.0.terminate() {
            tracing::warn!(%error, "a run on ONNX Runtime can't be ended");
        }
    }
}
