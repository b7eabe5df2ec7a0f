//! Counts what one lease holds, before it is allocated.

use crate::nouns::{Fault, Tensor};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// A budget of bytes. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Account>);

#[derive(Debug)]
struct Account {
    held_bytes: AtomicUsize,
    limit_bytes: usize,
}

impl Ledger {
    pub fn new(limit_bytes: usize) -> Self {
        Self(Arc::new(Account { held_bytes: AtomicUsize::new(0), limit_bytes }))
    }

    /// Books `bytes` until the charge is dropped.
    pub fn charge(&self, bytes: usize) -> Result<Charge, Fault> {
        let limit = self.0.limit_bytes;
        let book = |held: usize| held.checked_add(bytes).filter(|&held| held <= limit);
        match self.0.held_bytes.fetch_update(Relaxed, Relaxed, book) {
            Ok(_) => Ok(Charge { ledger: self.clone(), bytes }),
            Err(held) => Err(Fault::TooLarge(format!(
                "{bytes} bytes more than the {held} already held would exceed tensor_max_bytes = {limit}"
            ))),
        }
    }

    /// Books a tensor's contents.
    pub fn charge_tensor(&self, tensor: &Tensor) -> Result<Charge, Fault> {
        let bytes = tensor.contents().map(|contents| contents.len()).or_else(|| tensor.spec().bytes());
        self.charge(bytes.unwrap_or(0))
    }

    /// What is booked now.
    pub fn held_bytes(&self) -> usize {
        self.0.held_bytes.load(Relaxed)
    }
}

/// Bytes booked on a ledger; given back on drop.
#[derive(Debug)]
pub struct Charge {
    ledger: Ledger,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.0.held_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_ledger_is_the_sum_of_its_charges(steps in prop::collection::vec((0usize..200, any::<bool>()), 1..200)) {
            let ledger = Ledger::new(1_000);
            let mut charges = Vec::new();
            for (bytes, release) in steps {
                if release && !charges.is_empty() {
                    charges.remove(bytes % charges.len());
                } else if let Ok(charge) = ledger.charge(bytes) {
                    charges.push(charge);
                }
                prop_assert_eq!(ledger.held_bytes(), charges.iter().map(|charge: &Charge| charge.bytes).sum::<usize>());
                prop_assert!(ledger.held_bytes() <= 1_000);
            }
            drop(charges);
            prop_assert_eq!(ledger.held_bytes(), 0);
        }
    }

    #[test]
    fn a_charge_that_overflows_is_refused() {
        let ledger = Ledger::new(usize::MAX);
        let _held = ledger.charge(1).unwrap();
        assert!(matches!(ledger.charge(usize::MAX), Err(Fault::TooLarge(_))));
    }
}
