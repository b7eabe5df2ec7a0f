//! `POST /v2/models/{model}/infer`: the way of a request through the house.

use super::{
    super::{inference::Inference, kept::Kept, refusal::Refusal},
    Shared,
    answer::{self, HEAD_LENGTH},
    request,
    target::Target,
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, header},
    response::Response,
};
use std::sync::Arc;

/// More JSON than this is read or written aside, so that other requests need not wait for it.
const ASIDE_BYTES: usize = 256 << 10;

/// Reads a request, has its guest answer it and writes the answer.
pub(super) async fn infer<I: Inference>(
    State(serving): Shared<I>,
    target: Target,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    // All that can be refused without the body is: it may be large.
    let answering = serving.inference.answering(&target.0).ok_or_else(|| target.unknown())?;
    let signature = serving.inference.signature(&answering).clone();
    media(&parts.headers)?;
    let head_length = head_length(&parts.headers)?;
    let taken = serving.bodies.take(&parts.headers, body).await?;
    let (bytes, guest) = (taken.bytes, Arc::<str>::from(target.0));
    let json_bytes = head_length.unwrap_or(bytes.len());
    let asked = {
        let (guest, max_bytes) = (Arc::clone(&guest), serving.bodies.max_bytes());
        aside(json_bytes, move || request::parse(&guest, &signature, bytes, head_length, max_bytes)).await?
    };
    let mut answer = serving.inference.answer(&answering, asked.request).await?;
    let step = answer.step.take();
    drop(taken.charge);
    let answer_bytes = answer.outputs.iter().filter_map(|(_, tensor)| tensor.contents()).map(bytes::Bytes::len).sum();
    let encode = move || answer::encode(&guest, asked.id.as_deref(), &asked.wanted, &answer);
    let encoded = aside(answer_bytes, encode).await?;
    let charge = serving.bodies.answer(encoded.bytes()).await?;
    // What the client can't be told has not happened.
    if let Some(step) = step {
        step.commit();
    }
    Ok(encoded.response().map(|body| Body::new(Kept::new(body, charge))))
}

async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    if bytes <= ASIDE_BYTES {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Refusal::internal("the request could not be processed")))
}

/// Refuses bodies that say they are something else. `curl --data` says form; none says nothing.
fn media(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let kind = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let known = ["application/json", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain"];
    if known.iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    Err(Refusal::media("the body is application/json, or application/octet-stream with binary data"))
}

fn head_length(headers: &HeaderMap) -> Result<Option<usize>, Refusal> {
    let Some(value) = headers.get(HEAD_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|value| value.trim().parse().ok());
    length.map(Some).ok_or_else(|| Refusal::invalid("inference-header-content-length is not a number of bytes"))
}
