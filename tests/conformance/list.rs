//! The list of an accelerator: what became of each case, kept in the tree, so that a change is a diff.

use crate::support::root;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
};

/// Outcomes as they print, by the case's name.
#[derive(Default)]
pub struct List(pub BTreeMap<String, String>);

impl List {
    /// The list in the tree; empty where there is none yet.
    pub fn read(accelerator: &str) -> Self {
        let text = fs::read_to_string(path(accelerator)).unwrap_or_default();
        let words = text.lines().filter_map(|line| line.split_once(' '));
        Self(words.map(|(name, outcome)| (name.into(), outcome.into())).collect())
    }

    pub fn write(&self, accelerator: &str) -> io::Result<()> {
        let lines: String = self.0.iter().map(|(name, outcome)| format!("{name} {outcome}\n")).collect();
        fs::write(path(accelerator), lines)
    }

    /// A line for each case that came out otherwise in `found`.
    pub fn differences(&self, found: &Self) -> Vec<String> {
        let names: BTreeSet<&String> = self.0.keys().chain(found.0.keys()).collect();
        let outcome = |list: &Self, name| list.0.get(name).cloned().unwrap_or_else(|| "nowhere".into());
        let pairs = names.into_iter().map(|name| (name, outcome(self, name), outcome(found, name)));
        pairs.filter(|(_, old, new)| old != new).map(|(name, old, new)| format!("{name}: {old} -> {new}")).collect()
    }
}

fn path(accelerator: &str) -> PathBuf {
    root().join(format!("tests/conformance/{accelerator}.txt"))
}
