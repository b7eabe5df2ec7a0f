//! Sets of cases: where they lie, and where what becomes of them is kept.

use crate::support::root;
use std::{path::PathBuf, time::Duration};

/// One set; each is written by a script of its own, in one layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// ONNX's node tests: `cases.py`.
    Nodes,
    /// Cases after kinds of public bug reports: `reports/write.py`.
    Reports,
    /// Models that packages ship: `../zoo/zoo.py`.
    Zoo,
}

impl Set {
    /// The set of this name, as the command line has it.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "nodes" => Some(Self::Nodes),
            "reports" => Some(Self::Reports),
            "zoo" => Some(Self::Zoo),
            _ => None,
        }
    }

    /// Where its cases and their index lie.
    pub fn cases(self) -> PathBuf {
        root().join(match self {
            Self::Nodes => "target/conformance/cases",
            Self::Reports => "target/conformance/reports",
            Self::Zoo => "target/zoo/cases",
        })
    }

    /// The directory of its lists, in the tree.
    pub fn lists(self) -> PathBuf {
        root().join(match self {
            Self::Nodes => "tests/conformance",
            Self::Reports => "tests/conformance/reports",
            Self::Zoo => "tests/zoo",
        })
    }

    /// The recipe that writes its cases.
    pub fn recipe(self) -> &'static str {
        match self {
            Self::Nodes => "just conformance",
            Self::Reports => "just reports",
            Self::Zoo => "just zoo",
        }
    }

    /// After this a case hangs. SwiftShader takes seconds to compile a kernel, a model has hundreds of them.
    pub fn limit(self) -> Duration {
        Duration::from_secs(if self == Self::Zoo { 600 } else { 60 })
    }
}
