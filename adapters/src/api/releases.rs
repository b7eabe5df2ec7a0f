//! What `burst deploy` speaks with: a release, its artefacts, and orders to one node; and what Prometheus is told of it.

use super::{
    ask::{FetchError, ask, send},
    refusal::Refusal,
};
use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, State},
    routing::{get, post, put},
};
use burst_host::{
    loops::rollout::{Offered, OrderError, Rollout, RolloutError},
    nouns::{Digest, Release, ReleaseState, Seal},
};
use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::{Method, body::Frame};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::File,
    io::{self, Read},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{sync::Mutex, task::spawn_blocking, time::timeout};

/// Between two parts of an artefact.
const PART_TIMEOUT: Duration = Duration::from_secs(30);
/// What is read of a file at once.
const PART_BYTES: usize = 1 << 20;
/// A release as JSON text, quoted once more.
const OFFER_MAX_BYTES: usize = 2 * Release::MAX_BYTES as usize;

/// The body of `POST /burst/releases` and `POST /burst/orders`: exactly what was signed, and the signature.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    pub text: String,
    pub seal: Option<Seal>,
}

/// Offers a release to the node whose operators' port this is.
pub async fn offer(address: SocketAddr, release: &Signed) -> Result<Offered, FetchError> {
    ask(address, "/burst/releases", Some(json(release)?)).await
}

/// Gives it an order for itself or for another node.
pub async fn order(address: SocketAddr, order: &Signed) -> Result<(), FetchError> {
    ask(address, "/burst/orders", Some(json(order)?)).await
}

/// Reads a release that it keeps.
pub async fn fetch(address: SocketAddr, digest: &Digest) -> Result<Bytes, FetchError> {
    let path = format!("/burst/releases/{}", digest.hex());
    send(address, Method::GET, &path, "application/json", Empty::new()).await
}

/// Sends it a file, part by part.
pub async fn upload(address: SocketAddr, digest: &Digest, file: File) -> Result<(), FetchError> {
    let parts = futures::stream::unfold(Some(file), |file| async {
        let mut file = file?;
        let read = spawn_blocking(move || {
            let mut part = Vec::with_capacity(PART_BYTES);
            file.by_ref().take(PART_BYTES as u64).read_to_end(&mut part).map(|_| (Bytes::from(part), file))
        });
        match read.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok((part, _)) if part.is_empty() => None,
            Ok((part, file)) => Some((Ok(Frame::data(part)), Some(file))),
            Err(error) => Some((Err(error), None)),
        }
    });
    let path = format!("/burst/artefacts/{}", digest.hex());
    let body = BodyExt::boxed_unsync(StreamBody::new(parts));
    send(address, Method::PUT, &path, "application/octet-stream", body).await.map(drop)
}

fn json(signed: &Signed) -> Result<Vec<u8>, FetchError> {
    serde_json::to_vec(signed).map_err(|error| FetchError::Answer(error.to_string()))
}

/// The routes of a node that has a part in a cluster's releases.
pub fn router(rollout: Option<Arc<Rollout>>) -> Router {
    let Some(rollout) = rollout else { return Router::new() };
    Router::new()
        .route("/burst/releases", post(offered))
        .route("/burst/orders", post(ordered))
        .route("/burst/releases/{hex}", get(text))
        .route("/burst/artefacts/{hex}", put(receive))
        .layer(DefaultBodyLimit::max(OFFER_MAX_BYTES))
        .with_state(Arc::new(Door { rollout, uploading: Mutex::default() }))
}

struct Door {
    rollout: Arc<Rollout>,
    /// One artefact after the other: what lies on the disk half way has a bound.
    uploading: Mutex<()>,
}

async fn offered(State(door): State<Arc<Door>>, Json(release): Json<Signed>) -> Result<Json<Offered>, Refusal> {
    Ok(Json(door.rollout.offer(release.text.into(), release.seal).await?))
}

async fn ordered(State(door): State<Arc<Door>>, Json(order): Json<Signed>) -> Result<Json<()>, Refusal> {
    Ok(Json(door.rollout.order(order.text, order.seal).await?))
}

async fn text(State(door): State<Arc<Door>>, Path(hex): Path<String>) -> Result<Bytes, Refusal> {
    let text = door.rollout.text(&digest(&hex)?).await;
    text.ok_or_else(|| Refusal::not_found("this node keeps no such release"))
}

async fn receive(State(door): State<Arc<Door>>, Path(hex): Path<String>, body: Body) -> Result<(), Refusal> {
    let broken = |error: &dyn fmt::Display| Refusal::invalid(format!("the artefact: {error}"));
    let _turn = door.uploading.try_lock().map_err(|_| Refusal::busy("another artefact is on its way"))?;
    let incoming = door.rollout.receive(&digest(&hex)?).await?;
    let mut incoming =
        incoming.ok_or_else(|| Refusal::not_found("the release that was offered names no such artefact"))?;
    let mut parts = body.into_data_stream();
    while let Some(part) = timeout(PART_TIMEOUT, parts.next()).await.map_err(|_| Refusal::slow_body())? {
        incoming = incoming.push(part.map_err(|error| broken(&error))?).await.map_err(|error| broken(&error))?;
    }
    incoming.finish().await.map_err(|error| broken(&error))
}

fn digest(hex: &str) -> Result<Digest, Refusal> {
    format!("sha256:{hex}").parse().map_err(|_| Refusal::not_found("that is no digest"))
}

impl From<RolloutError> for Refusal {
    fn from(error: RolloutError) -> Self {
        let text = error.to_string();
        match error {
            RolloutError::Distrust(_) => Self::forbidden(text),
            RolloutError::Older { .. } | RolloutError::Superseded => Self::conflict(text),
            RolloutError::Release(_) | RolloutError::Cluster(_) | RolloutError::Number => Self::invalid(text),
            RolloutError::Fetch(_) | RolloutError::Warm(_) | RolloutError::Keep(_) => Self::unavailable(text),
        }
    }
}

impl From<OrderError> for Refusal {
    fn from(error: OrderError) -> Self {
        let text = error.to_string();
        match error {
            OrderError::Refused(error) => error.into(),
            OrderError::Malformed(_) => Self::invalid(text),
            OrderError::Late { .. } | OrderError::First | OrderError::Elsewhere(_) => Self::conflict(text),
            OrderError::Fabric(_) => Self::unavailable(text),
        }
    }
}

/// The releases of a node that is not alone, for Prometheus.
pub(super) struct Releases(pub Option<Arc<Rollout>>);

impl fmt::Debug for Releases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Releases")
    }
}

impl Collector for Releases {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(rollout) = &self.0 else { return Ok(()) };
        let news = rollout.news();
        let numbers = [
            ("serving", news.serving.map_or(0, |id| id.number)),
            ("latest", news.latest.map_or(0, |sealed| sealed.id.number)),
        ];
        let help = "Numbers of releases, 0 for the guests of the node's own manifest";
        let mut family = encoder.encode_descriptor("burst_release_number", help, None, MetricType::Gauge)?;
        for (which, number) in numbers {
            ConstGauge::new(number).encode(family.encode_family(&[("release", which)])?)?;
        }
        let help = "1 for what the node does about the latest release";
        let mut family = encoder.encode_descriptor("burst_release_state", help, None, MetricType::Gauge)?;
        for name in ReleaseState::NAMES {
            let is = u64::from(news.state.name() == name);
            ConstGauge::new(is).encode(family.encode_family(&[("state", name)])?)?;
        }
        let help = "Releases and orders that nobody who may has signed, that came too late or that are none";
        let family = encoder.encode_descriptor("burst_releases_refused", help, None, MetricType::Counter)?;
        ConstCounter::new(rollout.refused.get()).encode(family)
    }
}
