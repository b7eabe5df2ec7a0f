//! The cluster, for its operators: who is there, who runs what, and who is to be relieved.

use super::{
    ask::{FetchError, ask},
    refusal::Refusal,
};
use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use burst_host::{
    loops::member::{Member, Nodes},
    nouns::{Digest, NodeName, Plan},
};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc};

/// The answer of `GET /burst/nodes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// Who was asked.
    pub node: NodeName,
    /// The name of the cluster.
    pub cluster: String,
    /// The live ones, as they tell of themselves.
    pub nodes: Nodes,
}

/// The body of `POST /burst/drain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub node: NodeName,
    /// Or `false`, to take part again.
    pub drain: bool,
}

/// Asks the node whose operators' port this is.
pub async fn fetch(address: SocketAddr) -> Result<Listing, FetchError> {
    ask(address, "/burst/nodes", None).await
}

/// Asks it to relieve a node of its cluster.
pub async fn drain(address: SocketAddr, order: &Order) -> Result<Listing, FetchError> {
    let json = serde_json::to_vec(order).map_err(|error| FetchError::Answer(error.to_string()))?;
    ask(address, "/burst/drain", Some(json)).await
}

/// Asks it for the plan of a cut model that its cluster runs.
pub async fn plan(address: SocketAddr, digest: &Digest) -> Result<Plan, FetchError> {
    ask(address, &format!("/burst/plans/{digest}"), None).await
}

/// `GET /burst/nodes`, `GET /burst/plans/{digest}` and `POST /burst/drain`, on the operators' port; none where this node
/// stands alone.
pub fn router(member: Option<Arc<Member>>, cluster: String) -> Router {
    let Some(member) = member else { return Router::new() };
    let router = Router::new().route("/burst/nodes", get(nodes)).route("/burst/plans/{digest}", get(plan_of));
    router.route("/burst/drain", post(relieve)).with_state(Arc::new(Here { member, cluster }))
}

struct Here {
    member: Arc<Member>,
    cluster: String,
}

async fn nodes(State(here): State<Arc<Here>>) -> Json<Listing> {
    let Here { member, cluster } = &*here;
    Json(Listing { node: member.name().clone(), cluster: cluster.clone(), nodes: member.nodes() })
}

async fn plan_of(State(here): State<Arc<Here>>, Path(digest): Path<Digest>) -> Response {
    match here.member.plan(&digest) {
        Some(plan) => Json(&*plan).into_response(),
        None => Refusal::not_found(format!("this node knows no plan {digest}")).into_response(),
    }
}

async fn relieve(State(here): State<Arc<Here>>, Json(order): Json<Order>) -> Response {
    match here.member.drain_node(&order.node, order.drain).await {
        Ok(()) => nodes(State(here)).await.into_response(),
        Err(error) => Refusal::unavailable(error.to_string()).into_response(),
    }
}
