//! Counts what somebody holds, before it is there.

use super::{Fault, Tensor, manifest::Limits};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// A budget: of bytes, or of what else can be counted. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Entry>);

#[derive(Debug)]
struct Entry {
    /// The key of the manifest that limits it.
    name: &'static str,
    held: AtomicUsize,
    limit: usize,
}

/// What one holder may have of a device. Clones share it.
#[derive(Clone, Debug)]
pub struct Account {
    pub bytes: Ledger,
    /// Runs that were submitted and have not ended.
    pub runs: Ledger,
    /// Bytes of the largest result within a graph.
    pub tensor_max_bytes: u64,
    /// Operations that one run of a graph may take.
    pub graph_operations_max: u64,
}

impl Account {
    /// The account of a guest, whatever the number of its leases.
    pub fn of(limits: &Limits) -> Self {
        Self {
            bytes: Ledger::new("device_max_bytes", limits.device_max_bytes.get()),
            runs: Ledger::new("device_runs_max", limits.device_runs_max.get()),
            tensor_max_bytes: limits.tensor_max_bytes.get() as u64,
            graph_operations_max: limits.graph_operations_max.get(),
        }
    }

    /// An account without limits: the house's own.
    pub fn unlimited() -> Self {
        let (bytes, runs) = (Ledger::unlimited(), Ledger::unlimited());
        Self { bytes, runs, tensor_max_bytes: u64::MAX, graph_operations_max: u64::MAX }
    }
}

impl Ledger {
    /// A budget whose limit is set by the manifest's key `name`.
    pub fn new(name: &'static str, limit: usize) -> Self {
        Self(Arc::new(Entry { name, held: AtomicUsize::new(0), limit }))
    }

    /// A budget that only counts.
    pub fn unlimited() -> Self {
        Self::new("no limit", usize::MAX)
    }

    /// Books so much until the charge is dropped; `None` where the limit would be exceeded.
    pub fn try_charge(&self, amount: usize) -> Option<Charge> {
        let book = |held: usize| held.checked_add(amount).filter(|&held| held <= self.0.limit);
        self.0.held.fetch_update(Relaxed, Relaxed, book).ok()?;
        Some(Charge { ledger: self.clone(), amount })
    }

    /// Books `bytes` until the charge is dropped.
    pub fn charge(&self, bytes: usize) -> Result<Charge, Fault> {
        self.try_charge(bytes).ok_or_else(|| {
            let (held, Entry { name, limit, .. }) = (self.held(), &*self.0);
            Fault::TooLarge(format!("{bytes} bytes more than the {held} already held would exceed {name} = {limit}"))
        })
    }

    /// Books a tensor's contents.
    pub fn charge_tensor(&self, tensor: &Tensor) -> Result<Charge, Fault> {
        let bytes = tensor.contents().map(|contents| contents.len()).or_else(|| tensor.spec().bytes());
        self.charge(bytes.unwrap_or(0))
    }

    /// What is booked now.
    pub fn held(&self) -> usize {
        self.0.held.load(Relaxed)
    }

    /// What may be booked at most.
    pub fn limit(&self) -> usize {
        self.0.limit
    }
}

/// What is booked on a ledger; given back on drop.
#[derive(Debug)]
pub struct Charge {
    ledger: Ledger,
    amount: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.0.held.fetch_sub(self.amount, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_ledger_is_the_sum_of_its_charges(steps in prop::collection::vec((0usize..200, any::<bool>()), 1..200)) {
            let ledger = Ledger::new("limit", 1_000);
            let mut charges = Vec::new();
            for (bytes, release) in steps {
                if release && !charges.is_empty() {
                    charges.remove(bytes % charges.len());
                } else if let Ok(charge) = ledger.charge(bytes) {
                    charges.push(charge);
                }
                prop_assert_eq!(ledger.held(), charges.iter().map(|charge: &Charge| charge.amount).sum::<usize>());
                prop_assert!(ledger.held() <= ledger.limit());
            }
            drop(charges);
            prop_assert_eq!(ledger.held(), 0);
        }
    }

    #[test]
    fn a_charge_that_overflows_is_refused() {
        let ledger = Ledger::new("limit", usize::MAX);
        let _held = ledger.charge(1).unwrap();
        assert!(matches!(ledger.charge(usize::MAX), Err(Fault::TooLarge(text)) if text.contains("limit")));
    }
}
