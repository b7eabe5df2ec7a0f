//! How an artefact goes from node to node: a piece for each call.

use super::{BLOB, Shelf, lock, unreadable};
use crate::{
    nouns::{Digest, NodeName},
    ports::{Fabric, FabricError, Handler, MESSAGE_MAX_BYTES, RegistryError},
};
use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What one call carries of an artefact.
const PIECE_BYTES: u64 = 8 << 20;
/// For one piece.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);
/// What comes before a piece: whether the artefact is there, and how long it is.
const HEAD_BYTES: usize = 1 + size_of::<u64>();
const _: () = assert!(PIECE_BYTES as usize + HEAD_BYTES < MESSAGE_MAX_BYTES);

#[derive(Serialize, Deserialize)]
struct Wanted {
    digest: Digest,
    offset: u64,
}

/// An artefact that another node has, one piece after the other. What they come to is for the caller to verify.
pub struct Pieces<'a> {
    fabric: &'a dyn Fabric,
    node: &'a NodeName,
    digest: &'a Digest,
    total: u64,
    offset: u64,
    next: Option<Bytes>,
}

impl Shelf {
    /// The pieces of an artefact; `None` where the node does not have it.
    pub(super) async fn pieces<'a>(
        &'a self,
        node: &'a NodeName,
        digest: &'a Digest,
        limit_bytes: u64,
    ) -> Result<Option<Pieces<'a>>, RegistryError> {
        let mut pieces = Pieces { fabric: &*self.fabric, node, digest, total: 0, offset: 0, next: None };
        let first = match pieces.call().await {
            Ok(piece) => piece_of(piece),
            Err(FabricError::Unreachable(_)) => None,
            Err(error) => return Err(unreadable(digest, error)),
        };
        let Some((total, piece)) = first else { return Ok(None) };
        if total > limit_bytes {
            return Err(RegistryError::TooLarge { reference: digest.to_string(), limit_bytes });
        }
        (pieces.total, pieces.next) = (total, Some(piece));
        Ok(Some(pieces))
    }

    /// A part of an artefact that is here.
    async fn piece(&self, wanted: &Wanted) -> Option<Bytes> {
        if let Some((total, bytes)) = self.disk.piece(&wanted.digest, wanted.offset, PIECE_BYTES).await {
            return Some(piece(total, &bytes));
        }
        let place = lock(&self.places).get(&wanted.digest).cloned()?;
        let (total, bytes) = self.registry.piece(&place, wanted.offset, PIECE_BYTES).await.ok()?;
        Some(piece(total, &bytes))
    }
}

impl Pieces<'_> {
    /// The next one; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        if self.offset >= self.total {
            return Ok(None);
        }
        let piece = match self.next.take() {
            Some(first) => first,
            None => {
                let piece = self.call().await.map_err(|error| unreadable(self.digest, error))?;
                piece_of(piece).filter(|(total, _)| *total == self.total).map(|(_, piece)| piece).unwrap_or_default()
            }
        };
        let left = self.total - self.offset;
        if piece.is_empty() || piece.len() as u64 > left {
            let (node, offset, total) = (self.node, self.offset, self.total);
            return Err(unreadable(self.digest, format!("`{node}` ends it after {offset} of {total} bytes")));
        }
        self.offset += piece.len() as u64;
        Ok(Some(piece))
    }

    async fn call(&self) -> Result<Bytes, FabricError> {
        let wanted = Wanted { digest: *self.digest, offset: self.offset };
        let message = serde_json::to_vec(&wanted).map_err(|error| FabricError::Broken(error.to_string()))?;
        self.fabric.call(self.node, BLOB, message.into(), Instant::now() + PIECE_TIMEOUT).await
    }
}

#[async_trait]
impl Handler for Shelf {
    async fn handle(&self, message: Bytes) -> Bytes {
        let piece = match serde_json::from_slice(&message) {
            Ok(wanted) => self.piece(&wanted).await,
            Err(_) => None,
        };
        piece.unwrap_or_else(|| Bytes::from_static(&[0]))
    }
}

fn piece(total: u64, bytes: &[u8]) -> Bytes {
    let mut piece = BytesMut::with_capacity(HEAD_BYTES + bytes.len());
    piece.put_u8(1);
    piece.put_u64(total);
    piece.put_slice(bytes);
    piece.freeze()
}

/// The length of an artefact, and a part of it; `None` where it is not there.
fn piece_of(mut message: Bytes) -> Option<(u64, Bytes)> {
    let there = message.try_get_u8().ok()? == 1;
    let total = message.try_get_u64().ok()?;
    there.then_some((total, message))
}
