//! How the bytes of a model become a graph.

use super::Artefact;
use crate::nouns::Graph;

/// Why a model can't be read; the text says what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ModelError(pub String);

/// A file format for models.
pub trait ModelFormat: Send + Sync {
    /// Reads a whole model. Takes milliseconds to seconds: call it off the reactor.
    fn decode(&self, model: &Artefact) -> Result<Graph, ModelError>;
}
