//! Where records go.

use crate::nouns::Record;
use async_trait::async_trait;
use std::sync::Arc;

/// Why a record was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The sink has no room now; the record is dropped and counted.
    #[error("the sink is full")]
    Full,
    /// The sink is gone.
    #[error("{0}")]
    Closed(String),
}

/// Takes records out of the house.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Delivers one record, or says why not. Must not wait for a slow reader: the camera lane calls it.
    async fn deliver(&self, record: Arc<Record>) -> Result<(), SinkError>;
}
