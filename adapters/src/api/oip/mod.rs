//! The Open Inference Protocol, version 2, over HTTP, as KServe and Triton speak it.
//!
//! The protocol: <https://github.com/kserve/open-inference-protocol>; binary tensors, statistics, configuration and
//! the repository index are Triton's extensions of it.

mod answer;
mod chunks;
mod data;
mod elements;
mod infer;
mod lists;
mod models;
mod parameters;
mod request;
mod target;

use super::{body::Bodies, inference::Inference, refusal::Refusal};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{any, get, post},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// The only version of every guest.
const VERSION: &str = "1";

/// What the routes share.
struct Serving<I> {
    inference: Arc<I>,
    bodies: Bodies,
}

type Shared<I> = State<Arc<Serving<I>>>;

/// Every `/v2` route but events.
pub(super) fn router<I: Inference>(inference: Arc<I>, bodies: Bodies) -> Router {
    let mut router = Router::new()
        .route("/v2", get(server))
        .route("/v2/health/live", get(async || Json(json!({ "live": true }))))
        .route("/v2/health/ready", get(ready::<I>))
        .route("/v2/models", get(models::list::<I>))
        .route("/v2/models/stats", get(models::all_statistics::<I>))
        .route("/v2/repository/index", post(models::index::<I>));
    for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
        router = router
            .route(model, get(models::metadata::<I>))
            .route(&format!("{model}/infer"), post(infer::infer::<I>))
            .route(&format!("{model}/ready"), get(models::ready::<I>))
            .route(&format!("{model}/config"), get(models::config::<I>))
            .route(&format!("{model}/stats"), get(models::statistics::<I>))
            .route(&format!("{model}/generate"), any(async || Refusal::unsupported("generate")))
            .route(&format!("{model}/generate_stream"), any(async || Refusal::unsupported("generate")));
    }
    router.merge(unsupported()).with_state(Arc::new(Serving { inference, bodies }))
}

/// Triton's routes that mean nothing here: what runs is what the manifest says.
fn unsupported<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let reloading = any(async || Refusal::unsupported("loading and unloading over the network"));
    let tracing = any(async || Refusal::unsupported("changing trace and log settings over the network"));
    let sharing = any(async || Refusal::unsupported("shared memory"));
    Router::new()
        .route("/v2/repository/models/{model}/load", reloading.clone())
        .route("/v2/repository/models/{model}/unload", reloading)
        .route("/v2/trace/setting", tracing.clone())
        .route("/v2/models/{model}/trace/setting", tracing.clone())
        .route("/v2/logging", tracing)
        .route("/v2/systemsharedmemory/{*region}", sharing.clone())
        .route("/v2/cudasharedmemory/{*region}", sharing)
}

async fn server() -> Json<Value> {
    let extensions =
        ["binary_tensor_data", "model_configuration", "model_repository", "parameters", "sequence", "statistics"];
    Json(json!({ "name": "burst", "version": env!("CARGO_PKG_VERSION"), "extensions": extensions }))
}

async fn ready<I: Inference>(State(serving): Shared<I>) -> (StatusCode, Json<Value>) {
    readiness(serving.inference.ready())
}

/// Triton's clients want 400 of what is not ready.
fn readiness(ready: bool) -> (StatusCode, Json<Value>) {
    let status = if ready { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    (status, Json(json!({ "ready": ready })))
}
