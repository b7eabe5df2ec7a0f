//! What a graph costs before anything of it is allocated or computed: bytes at the worst moment, its largest tensor, and
//! operations. One table, for all accelerators.
//!
//! Needs the shapes of inputs, and the numbers of those that decide over shapes. What can't be told from them counts as
//! nothing: the accelerator's own limits hold there.

mod attributes;
mod control;
mod index;
mod inputs;
mod learned;
mod node;
mod numbers;
mod picks;
mod pointwise;
mod product;
mod recurrent;
mod reduce;
mod shape;
mod skeleton;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod walk;
mod window;

use burst_host::nouns::{Account, Fault, Op};
pub use skeleton::Skeleton;
pub use value::Value;

/// What a run of a graph takes, beside its inputs and constants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of results that are held at the worst moment.
    pub bytes: u64,
    /// Bytes of the largest result.
    pub tensor_bytes: u64,
    /// Multiplications with what is added to them, comparisons and steps of functions.
    pub operations: u64,
    /// Results whose size is not known: they count as nothing.
    pub unknown: usize,
}

/// The most that a graph may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub bytes_max: u64,
    pub tensor_bytes_max: u64,
    pub operations_max: u64,
}

impl Budget {
    /// What an account lets one graph take.
    pub fn of(account: &Account) -> Self {
        Self {
            bytes_max: account.bytes.limit() as u64,
            tensor_bytes_max: account.tensor_max_bytes,
            operations_max: account.graph_operations_max,
        }
    }

    pub fn unlimited() -> Self {
        Self { bytes_max: u64::MAX, tensor_bytes_max: u64::MAX, operations_max: u64::MAX }
    }

    pub fn admits(&self, cost: &Cost) -> bool {
        cost.bytes <= self.bytes_max
            && cost.tensor_bytes <= self.tensor_bytes_max
            && cost.operations <= self.operations_max
    }

    /// Fails with `TooLarge`: the operator with which a graph exceeds a limit, what it comes to, and the limit's key.
    fn check(&self, cost: &Cost, op: &Op) -> Result<(), Fault> {
        let (what, most, key) = if cost.tensor_bytes > self.tensor_bytes_max {
            (format!("gives {} bytes", cost.tensor_bytes), self.tensor_bytes_max, "tensor_max_bytes")
        } else if cost.bytes > self.bytes_max {
            (format!("brings the graph to {} bytes", cost.bytes), self.bytes_max, "device_max_bytes")
        } else if cost.operations > self.operations_max {
            (format!("brings the graph to {} operations", cost.operations), self.operations_max, "graph_operations_max")
        } else {
            return Ok(());
        };
        Err(Fault::TooLarge(format!("{} {what}, more than limits.{key} = {most}", called(op))))
    }
}

/// An operator in messages: its kind, and its result where it has one.
fn called(op: &Op) -> String {
    let name = op.outputs.iter().find(|name| !name.is_empty());
    name.map_or_else(|| format!("`{}`", op.kind), |name| format!("`{}` of `{name}`", op.kind))
}
