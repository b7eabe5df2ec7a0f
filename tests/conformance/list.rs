//! The list of an accelerator: what became of each case, kept in the tree, so that a change is a diff.

use super::set::Set;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
};

/// Outcomes as they print, by the case's name.
#[derive(Default)]
pub struct List(pub BTreeMap<String, String>);

impl List {
    /// The list in the tree; empty where there is none yet.
    pub fn read(set: Set, accelerator: &str) -> Self {
        let text = fs::read_to_string(set.lists().join(format!("{accelerator}.txt"))).unwrap_or_default();
        let words = text.lines().filter_map(|line| line.split_once(' '));
        Self(words.map(|(name, outcome)| (name.into(), outcome.into())).collect())
    }

    pub fn write(&self, set: Set, accelerator: &str) -> io::Result<()> {
        let lines: String = self.0.iter().map(|(name, outcome)| format!("{name} {outcome}\n")).collect();
        fs::write(set.lists().join(format!("{accelerator}.txt")), lines)
    }

    /// A line for each case that came out otherwise in `found`.
    pub fn differences(&self, found: &Self) -> Vec<String> {
        let names: BTreeSet<&String> = self.0.keys().chain(found.0.keys()).collect();
        let outcome = |list: &Self, name| list.0.get(name).cloned().unwrap_or_else(|| "nowhere".into());
        let pairs = names.into_iter().map(|name| (name, outcome(self, name), outcome(found, name)));
        pairs.filter(|(_, old, new)| old != new).map(|(name, old, new)| format!("{name}: {old} -> {new}")).collect()
    }

    /// The names of what failed and nobody excused.
    pub fn failures(&self, excuses: &Excuses) -> Vec<&str> {
        let failed = self.0.iter().filter(|(_, outcome)| *outcome == "failed").map(|(name, _)| name.as_str());
        failed.filter(|name| !excuses.cover(name)).collect()
    }
}

/// What may fail on one accelerator. `excused.txt` beside the lists has a line each: the accelerator, the case (a `*` at
/// the end stands for any rest) and why.
pub struct Excuses(Vec<String>);

impl Excuses {
    pub fn read(set: Set, accelerator: &str) -> Self {
        let text = fs::read_to_string(set.lists().join("excused.txt")).unwrap_or_default();
        let named = |line: &str| {
            let (name, why) = line.strip_prefix(accelerator)?.strip_prefix(' ')?.split_once(": ")?;
            (!why.trim().is_empty()).then(|| name.to_owned())
        };
        Self(text.lines().filter_map(named).collect())
    }

    fn cover(&self, name: &str) -> bool {
        self.0.iter().any(|excused| match excused.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == excused,
        })
    }
}
