//! Several accelerators of one box for one cut model: which computes which fragment, and the values between them.

mod assign;
mod links;
#[cfg(test)]
mod tests;
mod values;

pub use assign::{ACCELERATORS_MAX, Assignment, Chain, Step, assign};
pub use links::Links;
pub use values::Values;

use crate::{
    nouns::Account,
    ports::{Accelerator, Part},
};
use std::sync::Arc;

/// Where the fragments of a model are computed.
#[derive(Clone)]
pub struct Mix {
    /// Callers know the first one only: what they give is there or in host memory.
    accelerators: Vec<Arc<dyn Accelerator>>,
    /// For each fragment, the accelerator that computes it.
    chosen: Arc<[usize]>,
    parts: Arc<[Part]>,
}

impl Mix {
    pub fn new(accelerators: Vec<Arc<dyn Accelerator>>, chosen: Vec<usize>, parts: Vec<Part>) -> Self {
        Self { accelerators, chosen: chosen.into(), parts: parts.into() }
    }

    /// The accelerator that computes a fragment, by its number.
    pub fn chosen(&self, fragment: usize) -> usize {
        self.chosen.get(fragment).copied().unwrap_or(0)
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The same for one holder: what is moved in its runs is on that account.
    pub fn for_account(&self, account: &Account) -> Self {
        let accelerators = self.accelerators.iter().map(|accelerator| accelerator.for_account(account));
        Self { accelerators: accelerators.collect(), ..self.clone() }
    }
}
