//! Reads request bodies: decompressed, bounded in bytes, in time, and in what all of them hold together.

use super::{
    inflate::{Coding, Inflate},
    refusal::Refusal,
};
use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, header},
};
use burst_host::nouns::manifest::Server;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// What all requests share.
#[derive(Clone)]
pub(crate) struct Bodies {
    max_bytes: usize,
    timeout: Duration,
    held: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

/// A whole body, and its share of the memory that bodies may hold.
#[derive(Debug)]
pub(crate) struct Taken {
    pub bytes: Bytes,
    /// Held until the answer is made: the inputs are slices of the body.
    pub charge: Charge,
}

impl Bodies {
    /// Bodies of the largest size that may be held at once; smaller ones accordingly more. A body whose length is
    /// declared waits for its whole share before it is read, so that no two wait for each other.
    const LARGEST_HELD: usize = 4;

    pub fn new(limits: &Server) -> Self {
        let max_bytes = limits.body_max_bytes.get();
        let held = Charge::units(max_bytes).saturating_mul(Self::LARGEST_HELD).min(u32::MAX as usize);
        let semaphore = || Arc::new(Semaphore::new(held.min(Semaphore::MAX_PERMITS)));
        let timeout = Duration::from_millis(limits.body_timeout_ms.get());
        Self { max_bytes, timeout, held: semaphore(), answers: semaphore() }
    }

    /// Waits for room among the answers that their clients have not taken: as much as bodies may hold.
    pub async fn answer(&self, bytes: usize) -> Result<Charge, Refusal> {
        let mut charge = Charge::none(&self.answers);
        // One that is larger than all together has them to itself.
        let bytes = bytes.min(self.max_bytes.saturating_mul(Self::LARGEST_HELD));
        let covered = timeout(self.timeout, charge.wait_for(bytes)).await;
        covered.map_err(|_| Refusal::busy("too many large answers wait for their clients"))?;
        Ok(charge)
    }

    /// The largest body, after decompression.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Reads a body to its end.
    pub async fn take(&self, headers: &HeaderMap, body: Body) -> Result<Taken, Refusal> {
        let coding = Coding::of(headers)?;
        let declared = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
        if declared.unwrap_or_default() > self.max_bytes || declares_more(headers, self.max_bytes) {
            return Err(Refusal::too_large(self.max_bytes));
        }
        let mut charge = Charge::none(&self.held);
        if let (None, Some(length)) = (coding, declared) {
            let covered = timeout(self.timeout, charge.wait_for(length)).await;
            covered.map_err(|_| Refusal::busy("too many large bodies at once"))?;
        }
        let read = async {
            match coding {
                None => self.collect(body, declared, &mut charge).await,
                Some(coding) => self.inflate(body, coding, &mut charge).await,
            }
        };
        let bytes = timeout(self.timeout, read).await.map_err(|_| Refusal::slow_body())??;
        Ok(Taken { bytes, charge })
    }

    async fn collect(&self, mut body: Body, declared: Option<usize>, charge: &mut Charge) -> Result<Bytes, Refusal> {
        let first = next(&mut body).await?.unwrap_or_default();
        self.admit(charge, first.len())?;
        let Some(second) = (if body.is_end_stream() { None } else { next(&mut body).await? }) else {
            return Ok(first);
        };
        let mut whole = BytesMut::from(first);
        let mut piece = Some(second);
        while let Some(data) = piece {
            let length = whole.len().saturating_add(data.len());
            self.admit(charge, length)?;
            if length > whole.capacity() {
                whole.reserve(room(length, declared) - whole.len());
            }
            whole.extend_from_slice(&data);
            piece = next(&mut body).await?;
        }
        Ok(whole.freeze())
    }

    async fn inflate(&self, mut body: Body, coding: Coding, charge: &mut Charge) -> Result<Bytes, Refusal> {
        /// Compressed bytes between two chances for other requests.
        const SLICE: usize = 16 << 10;
        let mut inflate = Inflate::new(coding, self.max_bytes);
        while let Some(data) = next(&mut body).await? {
            for slice in data.chunks(SLICE) {
                inflate.push(slice)?;
                self.admit(charge, inflate.len())?;
                tokio::task::yield_now().await;
            }
        }
        Ok(inflate.finish()?.into())
    }

    fn admit(&self, charge: &mut Charge, bytes: usize) -> Result<(), Refusal> {
        if bytes > self.max_bytes {
            return Err(Refusal::too_large(self.max_bytes));
        }
        if charge.cover(bytes) { Ok(()) } else { Err(Refusal::busy("too many large bodies at once")) }
    }
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, Refusal> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::invalid("the body broke off"))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn declares_more(headers: &HeaderMap, max_bytes: usize) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > max_bytes as u64)
}

/// How much to reserve for `length` bytes at hand. A declared length is believed once a part of it came.
fn room(length: usize, declared: Option<usize>) -> usize {
    const BELIEVED: usize = 256 << 10;
    let doubled = length.saturating_mul(2);
    declared.filter(|&declared| length >= BELIEVED || declared <= doubled).unwrap_or(doubled).max(length)
}

/// A share of the memory that bodies may hold together, taken in units.
#[derive(Debug)]
pub(crate) struct Charge {
    held: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Charge {
    const UNIT_BYTES: usize = 64 << 10;

    fn units(bytes: usize) -> usize {
        bytes.div_ceil(Self::UNIT_BYTES)
    }

    fn none(held: &Arc<Semaphore>) -> Self {
        Self { held: Arc::clone(held), permit: None }
    }

    /// Units that are not held yet for `bytes`. Up to one unit is free: the number of connections bounds those.
    fn missing(&self, bytes: usize) -> u32 {
        let have = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        u32::try_from(Self::units(bytes).saturating_sub(1).saturating_sub(have)).unwrap_or(u32::MAX)
    }

    /// Waits until `bytes` are covered.
    async fn wait_for(&mut self, bytes: usize) {
        let missing = self.missing(bytes);
        if missing > 0
            && let Ok(more) = Arc::clone(&self.held).acquire_many_owned(missing).await
        {
            self.add(more);
        }
    }

    /// Grows to cover `bytes`, if that much is free.
    fn cover(&mut self, bytes: usize) -> bool {
        let missing = self.missing(bytes);
        if missing == 0 {
            return true;
        }
        let more = Arc::clone(&self.held).try_acquire_many_owned(missing);
        more.map(|more| self.add(more)).is_ok()
    }

    fn add(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(max_bytes: usize) -> Bodies {
        Bodies::new(&Server { body_max_bytes: max_bytes.try_into().unwrap(), ..Server::default() })
    }

    async fn check(pieces: &[usize], max_bytes: usize) -> Result<usize, String> {
        let pieces: Vec<_> = pieces.iter().map(|&size| Ok::<_, std::io::Error>(Bytes::from(vec![7; size]))).collect();
        let body = Body::from_stream(futures::stream::iter(pieces));
        let taken = bodies(max_bytes).take(&HeaderMap::new(), body).await;
        taken.map(|taken| taken.bytes.len()).map_err(|refusal| refusal.to_string())
    }

    #[tokio::test]
    async fn bodies_of_any_number_of_pieces_come_whole() {
        assert_eq!(check(&[], 10).await, Ok(0));
        assert_eq!(check(&[10], 10).await, Ok(10));
        assert_eq!(check(&[1, 2, 3], 10).await, Ok(6));
        assert_eq!(check(&[300_000, 300_000, 1], 1 << 20).await, Ok(600_001));
    }

    #[tokio::test]
    async fn bodies_above_the_limit_are_refused() {
        assert_eq!(check(&[11], 10).await, Err("the body is above 10 bytes".into()));
        assert_eq!(check(&[6, 6], 10).await, Err("the body is above 10 bytes".into()));
    }

    #[tokio::test]
    async fn large_bodies_share_a_bounded_memory() {
        let bodies = bodies(1 << 20);
        let headers = HeaderMap::new();
        let declared = || bodies.take(&headers, Body::from(vec![0; 1 << 20]));
        let mut held = Vec::new();
        while let Ok(taken) = timeout(Duration::from_millis(50), declared()).await {
            held.push(taken.unwrap());
            assert!(held.len() <= Bodies::LARGEST_HELD + 1);
        }
        assert!(held.len() >= Bodies::LARGEST_HELD);
        let chunks = futures::stream::iter([Ok::<_, std::io::Error>(vec![0; 1 << 20])]);
        let refused = bodies.take(&headers, Body::from_stream(chunks)).await.unwrap_err();
        assert_eq!(refused.text(), "too many large bodies at once");
        assert_eq!(bodies.take(&headers, Body::from(vec![0; 1000])).await.unwrap().bytes.len(), 1000);
        let (waiting, ()) = tokio::join!(declared(), async { drop(held.pop()) });
        assert!(waiting.is_ok());
    }

    #[tokio::test]
    async fn large_answers_share_a_bounded_memory() {
        let limits = Server {
            body_max_bytes: (1 << 20).try_into().unwrap(),
            body_timeout_ms: 50.try_into().unwrap(),
            ..Server::default()
        };
        let bodies = Bodies::new(&limits);
        let mut held = Vec::new();
        while let Ok(charge) = bodies.answer(1 << 20).await {
            held.push(charge);
            assert!(held.len() <= Bodies::LARGEST_HELD + 1);
        }
        assert!(held.len() >= Bodies::LARGEST_HELD);
        assert_eq!(bodies.answer(1 << 20).await.unwrap_err().text(), "too many large answers wait for their clients");
        assert!(bodies.answer(1000).await.is_ok());
        held.clear();
        assert!(bodies.answer(1 << 30).await.is_ok());
    }
}
