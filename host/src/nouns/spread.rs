//! A cut model over a cluster: who runs which fragments, and what each node tells of itself.

use super::{Digest, NodeName, Plan, ReleaseNews, Signature};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
};

/// Which of several spreads of a model counts: the largest. Two leaders that could not see each other differ by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    pub number: u64,
    pub leader: NodeName,
}

/// What is to be small where fragments are placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// The slowest of all stages and hand-offs: they work at the same time, each on another request.
    #[default]
    Throughput,
    /// The sum of all stages and hand-offs: one request passes through them.
    Latency,
}

/// Who runs which fragments of a cut model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    pub epoch: Epoch,
    /// In the order of the plan.
    pub stages: Vec<Stage>,
}

/// A run of neighbouring fragments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    pub fragments: Range<usize>,
    /// The first one runs them, the others stand by.
    pub nodes: Vec<NodeName>,
}

/// What a node tells the others of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeNews {
    /// What computes there.
    pub device: String,
    /// What fragments and their guests may hold there.
    pub memory_bytes: u64,
    /// It takes nothing new, and wants to be relieved of what it has.
    pub draining: bool,
    /// What its stages take beyond what they took before, as a part of that: 0.5 is half as long again.
    #[serde(default)]
    pub slowdown: f64,
    /// What is between it and others, measured from its side.
    pub links: BTreeMap<NodeName, LinkNews>,
    /// Cut models that it knows, by the digest of their plan.
    pub models: BTreeMap<Digest, ModelNews>,
    /// What it serves.
    #[serde(default)]
    pub release: ReleaseNews,
}

/// What was measured of a link.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkNews {
    /// A hand-off of nothing.
    pub latency_us: f64,
    pub bytes_per_second: f64,
}

/// What a node tells of one model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelNews {
    /// Guests of this node run it, or are about to.
    pub used: bool,
    /// How long each fragment takes there; empty until it is measured.
    pub compute_us: Vec<f64>,
    /// The latest spread that it knows.
    pub spread: Option<Spread>,
    /// The latest spread of which it holds every fragment that it should.
    pub ready: Option<Epoch>,
}

impl Epoch {
    /// No cluster decides so often.
    const NUMBER_MAX: u64 = 1 << 53;

    /// The number after that of `before`; the first one is 1. `None` after the last.
    pub fn after(before: Option<&Self>, leader: &NodeName) -> Option<Self> {
        let number = before.map_or(0, |before| before.number) + 1;
        (number <= Self::NUMBER_MAX).then(|| Self { number, leader: leader.clone() })
    }
}

impl Spread {
    /// Whether it spreads a plan of so many fragments: each once, in order, each by somebody.
    pub fn covers(&self, fragments: usize) -> bool {
        let follows = self.stages.windows(2).all(|pair| pair[0].fragments.end == pair[1].fragments.start);
        let ends = self.stages.first().map(|stage| stage.fragments.start) == Some(0)
            && self.stages.last().map(|stage| stage.fragments.end) == Some(fragments);
        let held = |stage: &Stage| {
            let once: HashSet<&NodeName> = stage.nodes.iter().collect();
            !stage.fragments.is_empty() && !stage.nodes.is_empty() && once.len() == stage.nodes.len()
        };
        follows && ends && self.stages.iter().all(held)
    }

    /// The stages that a node runs or stands by for.
    pub fn of(&self, node: &NodeName) -> impl Iterator<Item = usize> {
        self.stages.iter().enumerate().filter(move |(_, stage)| stage.nodes.contains(node)).map(|(index, _)| index)
    }

    /// Every node with a part in it.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.stages.iter().flat_map(|stage| &stage.nodes)
    }
}

impl Plan {
    /// The plan of a run of its fragments: what they take from before, and what is used of them afterwards.
    pub fn part(&self, fragments: Range<usize>) -> Self {
        let inside = self.fragments.get(fragments.clone()).unwrap_or_default();
        let made: HashSet<&String> = inside.iter().flat_map(|fragment| &fragment.outputs).collect();
        let mut taken = HashSet::new();
        let inputs = inside.iter().flat_map(|fragment| &fragment.inputs);
        let inputs = inputs.filter(|name| !made.contains(name) && taken.insert(*name)).cloned().collect();
        let needed = self.needed(fragments.end);
        let outputs = inside.iter().flat_map(|fragment| &fragment.outputs);
        let outputs = outputs.filter(|name| needed.contains(name)).cloned().collect();
        let (model, fragments) = (self.model.clone(), inside.to_vec());
        Self { version: self.version, model, inputs, outputs, micro_batch: None, fragments }
    }

    /// Inputs that come back as outputs, with those: what a decoder keeps from step to step.
    pub fn states(&self) -> impl Iterator<Item = (&str, &str)> {
        self.inputs.iter().filter_map(|input| {
            let output = Signature::state_output(input)?;
            Some((input.as_str(), self.outputs.iter().find(|name| **name == output)?.as_str()))
        })
    }

    /// What fragments from this one on take of what is before them, outputs of the model among it.
    pub fn needed(&self, from: usize) -> HashSet<&String> {
        let later = self.fragments.get(from..).unwrap_or_default();
        later.iter().flat_map(|fragment| &fragment.inputs).chain(&self.outputs).collect()
    }
}

impl NodeNews {
    /// Others' words; what can't be read is nothing.
    pub fn parse(json: &[u8]) -> Option<Self> {
        let news: Self = serde_json::from_slice(json).ok()?;
        let epochs = news.models.values().flat_map(|model| model.spread.as_ref().map(|spread| &spread.epoch));
        let sound = epochs.into_iter().all(|epoch| epoch.number <= Epoch::NUMBER_MAX);
        sound.then_some(news)
    }
}
