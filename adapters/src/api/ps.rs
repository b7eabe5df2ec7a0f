//! What `burst ps` reads: every guest, its leases and what it did.

use super::inference::Inference;
use axum::{Json, Router, extract::State, routing::get};
use burst_host::{
    loops::serve::{Deployed, Leases},
    mechanisms::{component::Start, statistics::Retired},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};
use tokio::net::TcpStream;

/// Far more than the guests of one box need.
const LISTING_MAX_BYTES: usize = 16 << 20;

/// The answer of `GET /burst/ps`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    pub ready: bool,
    pub guests: Vec<Line>,
}

/// One guest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub name: String,
    pub digest: String,
    pub ready: bool,
    pub leases: LeaseCounts,
    pub device: String,
    /// How leases start: from a snapshot, with `prepare` in each and why, or plain.
    pub start: Start,
    /// `(image: FP32[1, 28, 28]) -> (scores: FP32[1, 10])`
    pub signature: String,
    pub requests: Requests,
    /// Ended leases, by reason.
    pub retired: BTreeMap<String, u64>,
}

/// Why a host could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    Connection(#[from] io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error("it answered something else: {0}")]
    Answer(String),
}

/// Asks the host that serves on `address`.
pub async fn fetch(address: SocketAddr) -> Result<Listing, FetchError> {
    let stream = TcpStream::connect(address).await?;
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let mut request = hyper::Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = hyper::Uri::from_static("/burst/ps");
    let host = hyper::header::HeaderValue::from_str(&address.to_string());
    let host = host.map_err(|error| FetchError::Answer(error.to_string()))?;
    request.headers_mut().insert(hyper::header::HOST, host);
    let body = client.send_request(request).await?.into_body();
    let body = Limited::new(body, LISTING_MAX_BYTES).collect().await;
    connection.abort();
    let body = body.map_err(|error| FetchError::Answer(error.to_string()))?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| FetchError::Answer(error.to_string()))
}

/// [`Leases`], as they travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseCounts {
    pub ready: usize,
    pub busy: usize,
    pub waiting: usize,
    pub floor: usize,
    pub max: usize,
}

/// What became of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    pub success: u64,
    pub fail: u64,
    pub refused: u64,
}

/// `GET /burst/ps`.
pub(crate) fn router<I: Inference>(inference: Arc<I>) -> Router {
    Router::new().route("/burst/ps", get(listing::<I>)).with_state(inference)
}

async fn listing<I: Inference>(State(inference): State<Arc<I>>) -> Json<Listing> {
    let guests = inference.guests().iter().map(Line::from).collect();
    Json(Listing { ready: inference.ready(), guests })
}

impl From<&Deployed> for Line {
    fn from(guest: &Deployed) -> Self {
        let statistics = &guest.statistics;
        let retired = Retired::ALL.map(|reason| (reason.name().to_owned(), statistics.retired(reason)));
        Self {
            name: guest.name.to_string(),
            digest: guest.digest.to_string(),
            ready: guest.ready,
            leases: guest.leases.into(),
            device: guest.device.to_string(),
            start: guest.start.clone(),
            signature: guest.signature.to_string(),
            requests: Requests {
                success: statistics.success.count(),
                fail: statistics.fail.count(),
                refused: statistics.refused.get(),
            },
            retired: retired.into_iter().filter(|(_, count)| *count > 0).collect(),
        }
    }
}

impl From<Leases> for LeaseCounts {
    fn from(Leases { ready, busy, waiting, floor, max }: Leases) -> Self {
        Self { ready, busy, waiting, floor, max }
    }
}
