//! What a release names, as a registry: a reference is what the release says it is, or an error.

use crate::{
    nouns::{Content, Release, Space},
    ports::{Artefact, Registry, RegistryError, Revision},
};
use async_trait::async_trait;
use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// The artefacts of a release, which all lie in one place under their digests.
pub struct Contents {
    artefacts: BTreeMap<String, Content>,
    place: Arc<dyn Registry>,
}

impl Contents {
    /// `place` knows artefacts by the hexadecimal digits of their digests.
    pub fn new(release: &Release, place: Arc<dyn Registry>) -> Self {
        Self { artefacts: release.artefacts.clone(), place }
    }

    fn find(&self, reference: &str) -> Result<&Content, RegistryError> {
        let below = || format!("{}/", reference.trim_end_matches('/'));
        self.artefacts.get(reference).ok_or_else(|| match self.artefacts.keys().any(|key| key.starts_with(&below())) {
            true => RegistryError::Directory(reference.into()),
            false => RegistryError::NotFound(reference.into()),
        })
    }
}

#[async_trait]
impl Registry for Contents {
    async fn fetch(&self, reference: &str, limit_bytes: u64) -> Result<Artefact, RegistryError> {
        let content = self.find(reference)?;
        let artefact = self.place.fetch(&content.digest.hex(), limit_bytes).await?;
        if artefact.digest == content.digest {
            return Ok(artefact);
        }
        let reason = format!("it was damaged on this node's disk, it is no longer {}", content.digest);
        Err(RegistryError::Refused { reference: reference.into(), reason })
    }

    async fn length(&self, reference: &str) -> Result<u64, RegistryError> {
        self.find(reference).map(|content| content.bytes)
    }

    async fn read(
        &self,
        reference: &str,
        space: Space,
        bytes: Range<usize>,
    ) -> Result<(Space, Option<Revision>), RegistryError> {
        self.place.read(&self.find(reference)?.digest.hex(), space, bytes).await
    }
}
