//! A model cut into fragments: what `plan.json` says, and the rules that it keeps.

use super::Digest;
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, num::NonZeroUsize};

/// A model in fragments. One after the other, in order, they compute what the model computes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`Plan::VERSION`]; another one is refused.
    pub version: u32,
    /// The model's own name, for people.
    pub model: String,
    /// Names, in the order of the model.
    pub inputs: Vec<String>,
    /// Names, in the order of the model.
    pub outputs: Vec<String>,
    /// Rows of the first axis that a cluster computes at a time. Whoever cut the model promised that rows don't know of
    /// each other; `None` where nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<NonZeroUsize>,
    pub fragments: Vec<Fragment>,
}

/// One fragment: an ONNX model of its own, beside the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fragment {
    /// Beside the plan, `<name>.onnx` is its model and `<name>.wasm` a guest that answers with it.
    pub name: String,
    /// Of the model. It names its weights by their own digests, so this names them too.
    pub model: Digest,
    /// Of the guest, in which the same model is.
    pub component: Digest,
    /// Inputs of the model, and what fragments before it yield.
    pub inputs: Vec<String>,
    /// Outputs of the model, and what fragments after it use.
    pub outputs: Vec<String>,
    /// Weights, each in `blobs/sha256/<hex>`. Several fragments may name one.
    pub blobs: Vec<Digest>,
    /// Operators.
    pub ops: usize,
    pub memory: Memory,
    /// What crosses the cut before it: everything that was computed there and is used from here on.
    pub received_bytes: u64,
}

/// What a part of a model holds in memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    pub weight_bytes: u64,
    /// Inputs that the model gives back as outputs (`past_…`, `present_…`): they stay from run to run.
    pub state_bytes: u64,
    /// The most that one run holds besides.
    pub activation_bytes: u64,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weight_bytes.saturating_add(self.state_bytes).saturating_add(self.activation_bytes)
    }
}

/// Why a plan is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("it is no plan of a cut model, cut the model again: {0}")]
    Malformed(String),
    #[error("it is a plan of version {0}, this host reads version {version}: cut the model again", version = Plan::VERSION)]
    Version(u32),
    #[error("it has {0} fragments, 1 to {max} are allowed", max = Plan::FRAGMENTS_MAX)]
    Fragments(usize),
    #[error("`{0}` is not the name of files beside the plan")]
    Name(String),
    #[error("`{value}` is used by `{user}`, but nothing before it yields it")]
    Undefined { value: String, user: String },
    #[error("`{0}` is yielded twice")]
    Duplicate(String),
    #[error("`{file}` is not the {expected} that the plan means; cut the model again")]
    Digest { file: String, expected: Digest },
    #[error("`{0}` takes and yields other values than the plan says; cut the model again")]
    Values(String),
}

impl Plan {
    /// The version that this host writes and reads.
    pub const VERSION: u32 = 1;
    /// The most fragments.
    pub const FRAGMENTS_MAX: usize = 1024;
    /// Its file, in the directory of the fragments.
    pub const FILE: &str = "plan.json";

    /// Reads a plan and holds it to its rules.
    pub fn parse(json: &[u8]) -> Result<Self, PlanError> {
        /// A later version may have other fields.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let malformed = |error: serde_json::Error| PlanError::Malformed(error.to_string());
        let Versioned { version } = serde_json::from_slice(json).map_err(malformed)?;
        if version != Self::VERSION {
            return Err(PlanError::Version(version));
        }
        let plan: Self = serde_json::from_slice(json).map_err(malformed)?;
        plan.check()?;
        Ok(plan)
    }

    /// Writes it, for people too.
    pub fn print(&self) -> Result<Vec<u8>, PlanError> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| PlanError::Malformed(error.to_string()))?;
        json.push(b'\n');
        Ok(json)
    }

    /// Every value is yielded once, and before it is used.
    fn check(&self) -> Result<(), PlanError> {
        if !(1..=Self::FRAGMENTS_MAX).contains(&self.fragments.len()) {
            return Err(PlanError::Fragments(self.fragments.len()));
        }
        let mut known = HashSet::new();
        for input in &self.inputs {
            define(&mut known, input)?;
        }
        for fragment in &self.fragments {
            if fragment.name.is_empty() || fragment.name.starts_with('.') || fragment.name.contains(['/', '\\', '\0']) {
                return Err(PlanError::Name(fragment.name.clone()));
            }
            used(&known, &fragment.inputs, &fragment.name)?;
            for output in &fragment.outputs {
                define(&mut known, output)?;
            }
        }
        used(&known, &self.outputs, "the outputs")
    }
}

impl Fragment {
    /// Its model, from the plan's directory.
    pub fn model_file(&self) -> String {
        format!("{}.onnx", self.name)
    }

    /// Its guest, from the plan's directory.
    pub fn component_file(&self) -> String {
        format!("{}.wasm", self.name)
    }

    /// Where a blob is, from the plan's directory.
    pub fn blob(digest: &Digest) -> String {
        format!("{}{}", Self::BLOBS, digest.hex())
    }

    /// The digest that a blob has to have by its name; `None` for the name of something else.
    pub fn blob_digest(location: &str) -> Option<Digest> {
        format!("sha256:{}", location.strip_prefix(Self::BLOBS)?).parse().ok()
    }

    /// The directory of all blobs, from the plan's.
    pub fn blob_directory() -> &'static str {
        Self::BLOBS.trim_end_matches('/')
    }

    /// As in an OCI layout.
    const BLOBS: &str = "blobs/sha256/";
}

fn define<'a>(known: &mut HashSet<&'a str>, value: &'a str) -> Result<(), PlanError> {
    if known.insert(value) { Ok(()) } else { Err(PlanError::Duplicate(value.into())) }
}

fn used(known: &HashSet<&str>, values: &[String], user: &str) -> Result<(), PlanError> {
    let mut seen = HashSet::new();
    for value in values {
        if !known.contains(value.as_str()) {
            return Err(PlanError::Undefined { value: value.clone(), user: user.into() });
        }
        define(&mut seen, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fragment(index: usize, inputs: &[&str], outputs: &[&str]) -> Fragment {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        Fragment {
            name: format!("fragment-{index}"),
            model: Digest::of(&[index as u8]),
            component: Digest::of(b"guest"),
            inputs: words(inputs),
            outputs: words(outputs),
            blobs: vec![Digest::of(b"weights")],
            ops: 3,
            memory: Memory { weight_bytes: 7, state_bytes: 0, activation_bytes: 9 },
            received_bytes: 5,
        }
    }

    fn plan(fragments: Vec<Fragment>) -> Plan {
        let words = |word: &str| vec![word.to_owned()];
        let (inputs, outputs) = (words("x"), words("y"));
        Plan { version: Plan::VERSION, model: "m".into(), inputs, outputs, micro_batch: None, fragments }
    }

    fn check(plan: &Plan, expected: Result<(), PlanError>) {
        assert_eq!(Plan::parse(&plan.print().unwrap()).map(drop), expected);
    }

    #[test]
    fn a_plan_survives_its_file() {
        let plan = plan(vec![fragment(0, &["x"], &["a"]), fragment(1, &["a", "x"], &["y"])]);
        for micro_batch in [None, NonZeroUsize::new(4)] {
            let plan = Plan { micro_batch, ..plan.clone() };
            assert_eq!(Plan::parse(&plan.print().unwrap()), Ok(plan));
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let undefined = |value: &str, user: &str| Err(PlanError::Undefined { value: value.into(), user: user.into() });
        check(&plan(vec![]), Err(PlanError::Fragments(0)));
        check(&plan(vec![fragment(0, &["x"], &["a"])]), undefined("y", "the outputs"));
        check(&plan(vec![fragment(0, &["a"], &["y"])]), undefined("a", "fragment-0"));
        let twice = vec![fragment(0, &["x"], &["y"]), fragment(1, &["x"], &["y"])];
        check(&plan(twice), Err(PlanError::Duplicate("y".into())));
        check(&plan(vec![fragment(0, &["x", "x"], &["y"])]), Err(PlanError::Duplicate("x".into())));
        for name in ["", "../a", "/etc/passwd", ".hidden", "a\\b"] {
            let out = Fragment { name: name.into(), ..fragment(0, &["x"], &["y"]) };
            check(&plan(vec![out]), Err(PlanError::Name(name.into())));
        }
        let later = Plan { version: 2, ..plan(vec![]) };
        check(&later, Err(PlanError::Version(2)));
    }

    #[test]
    fn blobs_are_named_by_their_digest() {
        let digest = Digest::of(b"weights");
        assert_eq!(Fragment::blob_digest(&Fragment::blob(&digest)), Some(digest));
        assert_eq!(Fragment::blob_digest("blobs/sha256/../../secret"), None);
        assert_eq!(Fragment::blob_digest("weights.bin"), None);
    }

    proptest! {
        #[test]
        fn garbage_is_refused(json in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Plan::parse(&json).is_err());
        }
    }
}
