//! How a node joins: its name, its doors, its papers.

use super::access::{self, Members};
use burst_host::{
    nouns::{Digest, NodeName},
    ports::{FabricError, MESSAGE_MAX_BYTES},
};
use serde_json::{Value, json};
use std::{net::IpAddr, num::NonZeroU64, path::PathBuf};
use zenoh::Config;

/// What a node needs to join.
#[derive(Clone, Debug)]
pub struct Options {
    /// Nodes of one network may belong to several.
    pub cluster: String,
    /// The common name of its certificate.
    pub name: NodeName,
    /// Where it can be reached, as `tcp/127.0.0.1:7447` or `quic/10.0.0.7:7447`.
    pub listen: Vec<String>,
    /// Nodes to begin with; they name the others.
    pub join: Vec<String>,
    /// Look for nodes by multicast.
    pub discover: bool,
    /// A node that is not heard of for so long is gone.
    pub lease_ms: NonZeroU64,
    /// May be left out between the processes of one box only.
    pub tls: Option<Tls>,
    /// Who may take part, by the common names of their certificates.
    pub members: Vec<NodeName>,
    /// Those that pass on what others say to each other, for nodes that don't reach each other.
    pub routers: Vec<NodeName>,
}

/// A node's papers, PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Signs the certificates of every member.
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Options {
    /// Everything that Zenoh has to know, and nothing that it decides by itself.
    pub(super) fn config(&self) -> Result<Config, FabricError> {
        self.check()?;
        let mut config = Config::default();
        let mode = if self.routers.contains(&self.name) { "router" } else { "peer" };
        let mut settings = vec![
            ("mode", json!(mode)),
            ("listen/endpoints", json!(self.listen)),
            ("connect/endpoints", json!(self.join)),
            ("connect/exit_on_failure", json!(false)),
            // Tries again for ever.
            ("connect/timeout_ms", json!(-1)),
            ("connect/retry", json!({ "period_init_ms": 100, "period_max_ms": 4000, "period_increase_factor": 2 })),
            ("scouting/multicast/enabled", json!(self.discover)),
            ("scouting/gossip/enabled", json!(true)),
            // One of two nodes that hear of each other connects, or they would close each other's connections.
            ("scouting/gossip/autoconnect_strategy", json!({ "peer": { "to_peer": "greater-zid" } })),
            ("scouting/multicast/autoconnect_strategy", json!({ "peer": { "to_peer": "greater-zid" } })),
            ("scouting/delay", json!(0)),
            ("transport/link/tx/lease", json!(self.lease_ms)),
            ("transport/link/rx/max_message_size", json!(MESSAGE_MAX_BYTES + (1 << 20))),
            // Receivers keep what was shared long after it was read.
            ("transport/shared_memory/enabled", json!(false)),
            ("open/return_conditions/connect_scouted", json!(false)),
        ];
        if !self.routers.is_empty() {
            // Zenoh's routers pass on what is said between regions, and not within one.
            settings.push(("region_name", json!(region(&self.name))));
        }
        if self.routers.contains(&self.name) {
            let others = self.members.iter().filter(|member| !self.routers.contains(member));
            let regions = others.map(|other| json!({ "filters": [{ "region_names": [region(other)] }] }));
            settings.push(("gateway", json!({ "south": regions.collect::<Vec<_>>() })));
            // Who takes nothing of what is passed on to it holds up everybody else.
            let patience_us = i64::try_from(self.lease_ms.get().saturating_mul(1000)).unwrap_or(i64::MAX);
            settings.push(("transport/link/tx/queue/congestion_control/block/wait_before_close", json!(patience_us)));
        }
        if let Some(tls) = &self.tls {
            settings.push(("transport/link/tls", tls.settings()));
            let members = Members { all: &self.members, routers: &self.routers };
            settings.push(("access_control", access::rules(&self.cluster, &self.name, &members)));
        }
        for (key, value) in settings {
            let set = config.insert_json5(key, &value.to_string());
            set.map_err(|error| FabricError::Broken(format!("the setting `{key}`: {error}")))?;
        }
        Ok(config)
    }

    fn check(&self) -> Result<(), FabricError> {
        let broken = |why: String| Err(FabricError::Broken(why));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.cluster.is_empty() || !self.cluster.chars().all(plain) {
            return broken(format!("`{}` is no cluster's name: small letters, digits and `-`", self.cluster));
        }
        let open = self.listen.iter().chain(&self.join).find(|endpoint| !endpoint.starts_with("quic/"));
        let outside = self.listen.iter().chain(&self.join).find(|endpoint| !is_loopback(endpoint));
        match (&self.tls, outside, open) {
            (None, Some(endpoint), _) => broken(format!(
                "`{endpoint}` leads out of this box: set cluster.tls, so that nodes show their certificates"
            )),
            (None, None, _) if self.discover => {
                broken("looking for nodes leads out of this box: set cluster.tls".into())
            }
            (Some(_), _, Some(endpoint)) => broken(format!("`{endpoint}` would go without TLS: use quic/…")),
            (Some(_), ..) if !self.members.contains(&self.name) => {
                broken(format!("`{}` is not among cluster.members, who may take part", self.name))
            }
            _ if !self.routers.iter().all(|router| self.members.contains(router)) => {
                broken("cluster.routers names a node that is not among cluster.members".into())
            }
            _ => Ok(()),
        }
    }
}

impl Tls {
    fn settings(&self) -> Value {
        json!({
            "root_ca_certificate": self.authority,
            "listen_certificate": self.certificate,
            "listen_private_key": self.key,
            "connect_certificate": self.certificate,
            "connect_private_key": self.key,
            "enable_mtls": true,
            // Names are of nodes, not of addresses; the access rules hold every node to its own.
            "verify_name_on_connect": false,
            "close_link_on_expiration": true,
        })
    }
}

/// The region of a node, each its own: names of regions are shorter than those of nodes may be.
fn region(node: &NodeName) -> String {
    Digest::of(node.as_str().as_bytes()).to_string().chars().rev().take(32).collect()
}

/// Whether an endpoint stays within the box.
fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint.split_once('/').map(|(_, address)| address).and_then(|address| address.rsplit_once(':'));
    let host = host.map(|(host, _)| host.trim_start_matches('[').trim_end_matches(']'));
    host.and_then(|host| host.parse::<IpAddr>().ok()).is_some_and(|address| address.is_loopback())
}
