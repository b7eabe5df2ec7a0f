//! One fragment where it lies: what has to be read of it, and whether that is still what it was.

use super::PagingError;
use crate::{
    nouns::{Digest, Fragment, Space},
    ports::{Artefact, Blobs, Registry, RegistryError, Revision},
};
use bytes::Bytes;
use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Smaller blobs stay in memory: reading each would cost more time than they hold bytes.
const KEPT_MAX_BYTES: usize = 64 << 10;

/// A fragment that is read for each run.
pub struct Sheet {
    pub model: Artefact,
    blobs: Vec<Blob>,
    /// What the blobs that are read take, each from a block on.
    space_bytes: usize,
}

struct Blob {
    /// As the model calls it.
    location: String,
    /// As the registry does.
    reference: String,
    length: usize,
    /// Where it goes.
    at: usize,
    state: Mutex<State>,
}

struct State {
    /// By its name, or by its first reading.
    digest: Option<Digest>,
    /// Of bytes that had this digest.
    verified: Option<Revision>,
    kept: Option<Bytes>,
}

/// What was read of a sheet, not verified yet.
pub struct Pages {
    pub space: Space,
    revisions: Vec<Option<Revision>>,
}

impl Sheet {
    /// Finds out how much there is to read. `blobs` are locations and references.
    pub async fn open(
        registry: &dyn Registry,
        model: Artefact,
        blobs: Vec<(String, String)>,
    ) -> Result<Self, RegistryError> {
        let mut sheet = Self { model, blobs: Vec::new(), space_bytes: 0 };
        for (location, reference) in blobs {
            let too_large = || RegistryError::TooLarge { reference: reference.clone(), limit_bytes: usize::MAX as u64 };
            let length = usize::try_from(registry.length(&reference).await?).map_err(|_| too_large())?;
            let state = State { digest: Fragment::blob_digest(&location), verified: None, kept: None };
            let at = sheet.space_bytes;
            sheet.space_bytes = at.checked_add(Space::blocks(length)).ok_or_else(too_large)?;
            sheet.blobs.push(Blob { location, reference, length, at, state: Mutex::new(state) });
        }
        Ok(sheet)
    }

    /// What it takes where it is in memory once.
    pub fn bytes(&self) -> u64 {
        self.model.bytes.len() as u64 + self.space_bytes as u64
    }

    /// What stays of it when its pages are gone.
    pub fn kept_bytes(&self) -> u64 {
        let small = self.blobs.iter().map(|blob| blob.length).filter(|&length| length <= KEPT_MAX_BYTES);
        (self.model.bytes.len() + small.sum::<usize>()) as u64
    }

    /// The room that its pages take.
    pub fn space_bytes(&self) -> usize {
        self.space_bytes
    }

    /// Reads what is not kept.
    pub async fn read(&self, registry: &dyn Registry, mut space: Space) -> Result<Pages, RegistryError> {
        let mut revisions = Vec::with_capacity(self.blobs.len());
        for blob in &self.blobs {
            let mut revision = None;
            if blob.state().kept.is_none() {
                (space, revision) = registry.read(&blob.reference, space, blob.range()).await?;
            }
            revisions.push(revision);
        }
        Ok(Pages { space, revisions })
    }

    /// The blobs, each with the digest that it had or has to have. Takes as long as hashing what was not yet verified.
    pub fn verify(&self, pages: &Bytes, revisions: &[Option<Revision>]) -> Result<Blobs, PagingError> {
        let pairs = self.blobs.iter().zip(revisions);
        pairs.map(|(blob, revision)| Ok((blob.location.clone(), blob.verify(pages, revision.as_ref())?))).collect()
    }
}

impl Pages {
    /// The bytes, in the hands of `hold`, and what tells whether they were verified.
    pub fn split(self, hold: impl FnOnce(Space) -> Bytes) -> (Bytes, Vec<Option<Revision>>) {
        (hold(self.space), self.revisions)
    }
}

impl Blob {
    fn range(&self) -> Range<usize> {
        self.at..self.at.saturating_add(self.length)
    }

    /// What is written to it is whole, whoever panics.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verify(&self, pages: &Bytes, revision: Option<&Revision>) -> Result<Bytes, PagingError> {
        let mut state = self.state();
        if let Some(kept) = &state.kept {
            return Ok(kept.clone());
        }
        let changed = |found| PagingError::Changed { location: self.location.clone(), found };
        let bytes = if pages.get(self.range()).is_some() { pages.slice(self.range()) } else { Bytes::new() };
        if revision.is_none() || state.verified.as_ref() != revision {
            let found = Digest::of(&bytes);
            if *state.digest.get_or_insert(found) != found {
                return Err(changed(found));
            }
            state.verified = revision.cloned();
        }
        if self.length <= KEPT_MAX_BYTES {
            state.kept = Some(Bytes::copy_from_slice(&bytes));
        }
        Ok(bytes)
    }
}
