//! Where guests and models are fetched from.

use crate::nouns::{Digest, Space};
use async_trait::async_trait;
use bytes::Bytes;
use std::ops::Range;

/// Bytes whose digest was verified after they were read.
#[derive(Clone)]
pub struct Artefact {
    pub digest: Digest,
    pub bytes: Bytes,
}

impl Artefact {
    /// Names `bytes` by their digest.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { digest: Digest::of(&bytes), bytes }
    }
}

/// Why an artefact can't be had.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("`{0}` does not exist")]
    NotFound(String),
    /// It has no bytes of its own, what is in it may have.
    #[error("`{0}` is a directory")]
    Directory(String),
    #[error("`{reference}` is refused: {reason}")]
    Refused { reference: String, reason: String },
    #[error("`{reference}` is larger than {limit_bytes} bytes")]
    TooLarge { reference: String, limit_bytes: u64 },
    #[error("`{reference}` can't be read: {reason}")]
    Unreadable { reference: String, reason: String },
}

/// Changes with the bytes: as long as it is the same, so are they.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision(pub String);

/// A place that keeps artefacts.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The artefact behind `reference`, at most `limit_bytes` long.
    async fn fetch(&self, reference: &str, limit_bytes: u64) -> Result<Artefact, RegistryError>;

    /// How long it is, and the part of it from `offset` on, at most `bytes_max` long. Nothing is verified.
    async fn piece(&self, reference: &str, offset: u64, bytes_max: u64) -> Result<(u64, Bytes), RegistryError> {
        let bytes = self.fetch(reference, u64::MAX).await?.bytes;
        let (total, begin) = (bytes.len() as u64, offset.min(bytes.len() as u64));
        let end = begin.saturating_add(bytes_max).min(total);
        Ok((total, bytes.slice(begin as usize..end as usize)))
    }

    /// How long it is.
    async fn length(&self, reference: &str) -> Result<u64, RegistryError>;

    /// Reads an artefact that is exactly `bytes` long into those of `space`. What is read again and again passes the
    /// system's caches by: it would drive out everything else, and be gone itself before its next turn.
    ///
    /// Nothing is verified. The revision is that of what was read; `None` where it can't be told.
    async fn read(
        &self,
        reference: &str,
        space: Space,
        bytes: Range<usize>,
    ) -> Result<(Space, Option<Revision>), RegistryError>;
}
