//! The body of an answer, with something that is held until it is sent.

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// A body and what it holds. hyper drops a body when it has the last of its data, which may be long before they are
/// written: larger pieces hold the same.
pub(super) struct Kept<K> {
    body: Body,
    kept: Arc<K>,
}

/// Bytes up to here are taken by the kernel at once.
const SMALL_BYTES: usize = 16 << 10;

impl<K: Send + Sync + 'static> Kept<K> {
    pub fn new(body: Body, kept: K) -> Self {
        Self { body, kept: Arc::new(kept) }
    }
}

/// A piece of a body, and what it holds.
struct Piece<K> {
    data: Bytes,
    _kept: Arc<K>,
}

impl<K> AsRef<[u8]> for Piece<K> {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl<K: Send + Sync + 'static> HttpBody for Kept<K> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let kept = self.kept.clone();
        let holding = |data: Bytes| match data.len() {
            ..=SMALL_BYTES => data,
            _ => Bytes::from_owner(Piece { data, _kept: kept }),
        };
        let frame = Pin::new(&mut self.body).poll_frame(context);
        frame.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(holding))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
