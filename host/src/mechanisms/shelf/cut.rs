//! The files of a cut model, by what its plan calls them.

use super::Shelf;
use crate::{
    nouns::{Digest, Fragment, Plan, Space},
    ports::{Artefact, Registry, RegistryError, Revision},
};
use async_trait::async_trait;
use std::ops::Range;

/// Cut models by the digest of their plan: `sha256:…/plan.json` and what the plan names beside it.
#[async_trait]
impl Registry for Shelf {
    async fn fetch(&self, reference: &str, limit_bytes: u64) -> Result<Artefact, RegistryError> {
        let not_found = || RegistryError::NotFound(reference.into());
        let (plan, file) = reference.split_once('/').ok_or_else(not_found)?;
        let plan: Digest = plan.parse().map_err(|_| not_found())?;
        let digest = match Fragment::blob_digest(file) {
            Some(blob) => blob,
            None if file == Plan::FILE => plan,
            None => {
                let plan = self.plan(&plan).await?;
                let fragment = plan.fragments.iter().find(|fragment| fragment.model_file() == file);
                fragment.ok_or_else(not_found)?.model
            }
        };
        self.get(&digest, limit_bytes).await
    }

    async fn length(&self, reference: &str) -> Result<u64, RegistryError> {
        Ok(self.fetch(reference, u64::MAX).await?.bytes.len() as u64)
    }

    async fn read(
        &self,
        reference: &str,
        mut space: Space,
        bytes: Range<usize>,
    ) -> Result<(Space, Option<Revision>), RegistryError> {
        let unreadable =
            |reason: &str| RegistryError::Unreadable { reference: reference.into(), reason: reason.into() };
        let artefact = self.fetch(reference, bytes.len() as u64).await?;
        let window = space.window(bytes.clone()).ok_or_else(|| unreadable("there is no room for it"))?;
        let same = artefact.bytes.len() == bytes.len();
        window
            .get_mut(..bytes.len())
            .filter(|_| same)
            .ok_or_else(|| unreadable("its length is another"))?
            .copy_from_slice(&artefact.bytes);
        Ok((space, Some(Revision(artefact.digest.to_string()))))
    }
}
