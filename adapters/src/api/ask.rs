//! How the command line asks a host that runs.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, body::Body, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::{io, net::SocketAddr};
use tokio::net::TcpStream;

/// Far more than the guests of one box and the nodes of one cluster need.
const ANSWER_MAX_BYTES: usize = 16 << 20;

/// Why a host could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    Connection(#[from] io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    /// Its own words.
    #[error("{0}")]
    Refused(String),
    #[error("it answered something else: {0}")]
    Answer(String),
}

/// `GET`, or `POST` with this JSON.
pub(super) async fn ask<T: DeserializeOwned>(
    address: SocketAddr,
    path: &str,
    json: Option<Vec<u8>>,
) -> Result<T, FetchError> {
    let method = if json.is_some() { Method::POST } else { Method::GET };
    let body = Full::new(Bytes::from(json.unwrap_or_default()));
    let body = send(address, method, path, "application/json", body).await?;
    serde_json::from_slice(&body).map_err(|error| FetchError::Answer(error.to_string()))
}

/// Any request, and the body of its answer.
pub(super) async fn send<B>(
    address: SocketAddr,
    method: Method,
    path: &str,
    kind: &str,
    body: B,
) -> Result<Bytes, FetchError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let answer = |error: &dyn ToString| FetchError::Answer(error.to_string());
    let stream = TcpStream::connect(address).await?;
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, kind);
    let request = request.body(body).map_err(|error| answer(&error))?;
    let response = client.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES).collect().await;
    connection.abort();
    let body = body.map_err(|error| answer(&error))?.to_bytes();
    if !status.is_success() {
        return Err(FetchError::Refused(refusal(&body)));
    }
    Ok(body)
}

/// The text of a refusal.
fn refusal(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let told = json.as_ref().and_then(|json| json.get("error")?.as_str()).map(str::to_owned);
    told.unwrap_or_else(|| String::from_utf8_lossy(body).chars().take(500).collect())
}
