//! A fragment of a cut model, and which of several accelerators computes it.

use super::Device;
use crate::nouns::{Fault, Measured};
use std::fmt;

/// One fragment, where it is computed, and why there.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The fragment's name in the plan.
    pub fragment: String,
    pub device: Device,
    /// One for each accelerator, in the order of the manifest.
    pub trials: Vec<Trial>,
}

/// What came of a fragment on one accelerator.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    pub device: Device,
    /// Its times, or why it is not computed there.
    pub outcome: Result<Measured, Fault>,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.fragment, self.device)?;
        self.trials.iter().try_for_each(|trial| write!(f, "; {trial}"))
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(measured) => write!(f, "{:.1} µs on {}", measured.compute_us, self.device),
            Err(fault) => write!(f, "{fault} on {}", self.device),
        }
    }
}
