//! `[cluster]`: other nodes, and this node's place among them.

use super::{nonzero, nonzero_u64};
use crate::nouns::{NodeName, Objective};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    path::PathBuf,
};

/// A cluster, and this node's place in it. Cut models of the guests are spread over its nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Nodes of one network may belong to several.
    #[serde(default = "cluster_name")]
    pub name: String,
    /// This node: a box, a dot and its premises, as in `press-3.hall-a`; the common name of its certificate.
    #[schemars(with = "String")]
    pub node: NodeName,
    /// Where other nodes reach this one, as `quic/10.0.0.7:7447`; `tcp/127.0.0.1:7447` between processes of one box.
    #[serde(default)]
    pub listen: Vec<String>,
    /// Nodes that were there before this one, as they listen; they name the others.
    #[serde(default)]
    pub join: Vec<String>,
    /// Whether nodes are looked for by multicast, too.
    #[serde(default)]
    pub discover: bool,
    /// Who may take part, this node too, by the names in their certificates.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub members: Vec<NodeName>,
    /// Those of them that pass on what others say to each other, for nodes that don't reach each other. What was derived
    /// from frames they pass on within their own premises only. On every node the same.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub routers: Vec<NodeName>,
    /// What nodes show each other. May be left out between processes of one box only.
    pub tls: Option<Papers>,
    /// A node that is not heard of for so long is gone.
    #[serde(default = "lease_ms")]
    pub lease_ms: NonZeroU64,
    /// Calls to one stage of another node that may be on their way at once; more wait.
    #[serde(default = "credits")]
    pub credits: NonZeroUsize,
    /// What fragments may hold here, in bytes; half of what this process may hold when left out.
    pub memory_max_bytes: Option<NonZeroU64>,
    /// What the places of fragments are chosen for: many requests at once, or the time of one.
    #[serde(default)]
    pub objective: Objective,
    /// Public keys of who may deploy to this node, PEM files. May be left out between processes of one box only: elsewhere
    /// every release is refused then.
    #[serde(default)]
    pub deployers: Vec<PathBuf>,
    /// Leases that guests of the release that serves and of the next one may come to together; twice those of the manifest
    /// when left out, at least 1,024.
    pub leases_max: Option<NonZeroU32>,
}

/// Papers of a node, PEM files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Papers {
    /// The certificate of who signed those of all members.
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

fn cluster_name() -> String {
    "burst".into()
}

fn lease_ms() -> NonZeroU64 {
    nonzero_u64(1_000)
}

fn credits() -> NonZeroUsize {
    nonzero(16)
}
