//! ONNX behind the port for model files.

use super::{Limits, decode_with, locations};
use burst_host::{
    nouns::Graph,
    ports::{Artefact, Blobs, ModelError, ModelFormat},
};

/// Reads ONNX files within the default limits.
pub struct Onnx;

impl ModelFormat for Onnx {
    fn blobs(&self, model: &Artefact) -> Result<Vec<String>, ModelError> {
        locations(&model.bytes, &Limits::default()).map_err(|error| ModelError(error.to_string()))
    }

    fn decode(&self, model: &Artefact, blobs: &Blobs) -> Result<Graph, ModelError> {
        decode_with(&model.bytes, blobs, &Limits::default()).map_err(|error| ModelError(error.to_string()))
    }
}
