//! What `burst ps` reads: every guest, its leases and what it did.

use super::{
    ask::{FetchError, ask},
    inference::Inference,
};
use axum::{Json, Router, extract::State, routing::get};
use burst_host::{
    loops::serve::{Deployed, Leases},
    mechanisms::{component::Start, statistics::Retired},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

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

/// Asks the host that serves on `address`.
pub async fn fetch(address: SocketAddr) -> Result<Listing, FetchError> {
    ask(address, "/burst/ps", None).await
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
