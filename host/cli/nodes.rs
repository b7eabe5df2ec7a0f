//! `nodes.toml`: the nodes of a cluster, what they were measured to take, and the links between them.

use super::size::Size;
use burst_host::{
    mechanisms::place::{Cluster, Link, Node},
    nouns::{Digest, Plan, Profile},
};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The whole file, and the directory that its paths start from.
pub struct Nodes {
    config: Config,
    base: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// By name.
    nodes: BTreeMap<String, NodeConfig>,
    /// Between any two nodes that `links` does not name.
    link: LinkConfig,
    #[serde(default)]
    links: Vec<Between>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeConfig {
    /// What fragments and their guests may hold there.
    memory: Size,
    /// What `burst profile` wrote there.
    profile: PathBuf,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkConfig {
    /// A hand-off of nothing, measured.
    latency_us: f64,
    /// Measured.
    bytes_per_second: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Between {
    between: [String; 2],
    latency_us: f64,
    bytes_per_second: f64,
}

impl Nodes {
    pub fn read(path: &Path) -> Result<Self> {
        let named = || format!("the nodes `{}`", path.display());
        let text = fs::read_to_string(path).into_diagnostic().wrap_err_with(named)?;
        let config = toml::from_str(&text).into_diagnostic().wrap_err_with(named)?;
        let base = path.parent().unwrap_or(Path::new("")).into();
        Ok(Self { config, base })
    }

    /// The nodes with their measurements of a plan, which is `json` as a file.
    pub fn cluster(&self, json: &[u8], plan: &Plan) -> Result<Cluster> {
        let digest = Digest::of(json);
        let node = |(name, config): (&String, &NodeConfig)| {
            let path = self.base.join(&config.profile);
            let named = || format!("the profile `{}` of `{name}`", path.display());
            let profile = fs::read(&path).into_diagnostic().wrap_err_with(named)?;
            let profile = Profile::parse(&profile, digest, plan.fragments.len()).into_diagnostic();
            let measured = profile.wrap_err_with(named)?.fragments;
            let compute_us = measured.iter().map(|measured| measured.compute_us).collect();
            Ok(Node { name: name.clone(), memory_bytes: config.memory.0, compute_us })
        };
        let nodes = self.config.nodes.iter().map(node).collect::<Result<Vec<_>>>()?;
        Ok(Cluster { links: self.links()?, nodes })
    }

    fn links(&self) -> Result<Vec<Vec<Link>>> {
        let count = self.config.nodes.len();
        let mut links = vec![vec![link(self.config.link)?; count]; count];
        for Between { between: [a, b], latency_us, bytes_per_second } in &self.config.links {
            let place = |name: &String| {
                let found = self.config.nodes.keys().position(|other| other == name);
                found.ok_or_else(|| miette!("a link names `{name}`, which is no node"))
            };
            let (a, b) = (place(a)?, place(b)?);
            let link = link(LinkConfig { latency_us: *latency_us, bytes_per_second: *bytes_per_second })?;
            (links[a][b], links[b][a]) = (link, link);
        }
        Ok(links)
    }
}

fn link(config: LinkConfig) -> Result<Link> {
    let LinkConfig { latency_us, bytes_per_second } = config;
    let sound = latency_us.is_finite() && latency_us >= 0.0 && bytes_per_second.is_finite() && bytes_per_second > 0.0;
    if !sound {
        bail!("a link of {latency_us} µs and {bytes_per_second} bytes a second is none");
    }
    Ok(Link { latency_us, bytes_per_second })
}
