//! How the bytes of a model become a graph.

use super::Artefact;
use crate::nouns::Graph;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Why a model can't be read; the text says what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ModelError(pub String);

/// Files beside a model that hold its weights, by the path that the model has for them.
pub type Blobs = BTreeMap<String, Bytes>;

/// A file format for models.
pub trait ModelFormat: Send + Sync {
    /// The files beside the model that it needs, each once, as paths from its own directory. A stranger's words: who
    /// fetches them checks them. Takes milliseconds to seconds: call it off the reactor.
    fn blobs(&self, model: &Artefact) -> Result<Vec<String>, ModelError>;

    /// Reads a whole model with the files beside it. Call it off the reactor, too.
    fn decode(&self, model: &Artefact, blobs: &Blobs) -> Result<Graph, ModelError>;
}
