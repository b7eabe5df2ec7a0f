//! What clients reach over HTTP: the Open Inference Protocol, events, metrics, and what `burst ps` reads.

mod ask;
mod body;
mod devices;
mod events;
mod inference;
mod inflate;
mod kept;
mod lanes;
mod links;
pub mod metrics;
pub mod nodes;
pub mod oip;
mod open;
pub mod ps;
mod refusal;
mod relays;
pub mod releases;
pub mod server;
mod socket;

use crate::sinks::Broadcast;
pub use ask::FetchError;
use axum::{Router, http::Method};
use body::Bodies;
use burst_host::nouns::manifest::Server;
pub use inference::Inference;
use prometheus_client::registry::Registry;
use refusal::Refusal;
use std::sync::Arc;

/// Everything that the routes speak for.
pub struct Api<I> {
    pub inference: Arc<I>,
    pub events: Arc<Broadcast>,
    /// From [`metrics::registry`], with whatever collectors were added.
    pub metrics: Arc<Registry>,
}

impl<I: Inference> Api<I> {
    /// The routes of the main port.
    pub fn router(&self, limits: &Server) -> Router {
        let bodies = Bodies::new(limits);
        oip::router(Arc::clone(&self.inference), bodies)
            .merge(ps::router(Arc::clone(&self.inference)))
            .merge(events::router(Arc::clone(&self.events)))
            .merge(metrics::router(Arc::clone(&self.metrics)))
            .fallback(async || Refusal::not_found("there is no such route"))
            .method_not_allowed_fallback(async |method: Method| Refusal::method(&method))
    }
}
