//! A response body of a few pieces, sent as they are.

use axum::body::HttpBody;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// The pieces that are not sent yet.
pub(super) struct Chunks(VecDeque<Bytes>);

impl Chunks {
    /// Up to here copying is cheaper than one more piece.
    const SMALL_BYTES: usize = 16 << 10;

    /// A body of `head` and what follows it; small pieces are joined.
    pub fn body(head: Vec<u8>, tail: &[Bytes]) -> axum::body::Body {
        let mut pieces = VecDeque::with_capacity(tail.len() + 1);
        let mut last = head;
        for piece in tail {
            if piece.len() <= Self::SMALL_BYTES {
                last.extend_from_slice(piece);
            } else {
                pieces.push_back(Bytes::from(std::mem::take(&mut last)));
                pieces.push_back(piece.clone());
            }
        }
        if pieces.is_empty() {
            return last.into();
        }
        pieces.push_back(Bytes::from(last));
        pieces.retain(|piece| !piece.is_empty());
        axum::body::Body::new(Self(pieces).map_err(|never: Infallible| match never {}))
    }
}

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(head: usize, tail: &[usize], pieces: usize) {
        let tail: Vec<_> = tail.iter().map(|&size| Bytes::from(vec![1; size])).collect();
        let mut body = Chunks::body(vec![0; head], &tail);
        let length = head + tail.iter().map(Bytes::len).sum::<usize>();
        assert_eq!(body.size_hint().exact(), Some(length as u64));
        let (mut found, mut sent) = (0, 0);
        while let Some(frame) = body.frame().await {
            (found, sent) = (found + 1, sent + frame.unwrap().into_data().unwrap().len());
        }
        assert_eq!((found, sent), (pieces, length));
    }

    #[tokio::test]
    async fn large_pieces_are_sent_as_they_are() {
        check(100, &[], 1).await;
        check(100, &[10, 10], 1).await;
        check(100, &[1 << 20], 2).await;
        check(100, &[1 << 20, 10, 20, 1 << 20, 5], 5).await;
    }
}
