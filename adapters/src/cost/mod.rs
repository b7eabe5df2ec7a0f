//! What a graph costs before anything of it is allocated or computed: bytes at the worst moment, and operations. One
//! table, for all accelerators.
//!
//! Needs the shapes of inputs, and the numbers of those that decide over shapes. What can't be told from them counts as
//! nothing: the accelerator's own limits hold there.

mod attributes;
mod index;
mod node;
mod numbers;
mod pointwise;
mod product;
mod recurrent;
mod reduce;
mod shape;
mod table;
mod value;
mod walk;
mod window;

use burst_host::nouns::{Attribute, Fault, Graph, Op, Port, Tensor};
pub use value::Value;
use walk::Walk;

/// What a run of a graph takes at least, beside its inputs and constants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of results that are held at the worst moment, and the operator that computes then.
    pub bytes: u64,
    pub largest: String,
    /// Multiplications with what is added to them, comparisons and steps of functions, and the operator of the most.
    pub operations: u64,
    pub dearest: String,
    /// Operations of that one.
    most: u64,
    /// Results whose size is not known: they count as nothing.
    pub unknown: usize,
}

impl Cost {
    /// Counts an operator that holds so many bytes with all that is held.
    fn take(&mut self, kind: &str, bytes: u64, operations: u64, inner: Self) {
        self.unknown += inner.unknown;
        if bytes > self.bytes {
            self.largest = if inner.largest.is_empty() { kind.to_owned() } else { inner.largest };
            self.bytes = bytes;
        }
        if operations > self.most {
            self.dearest = if inner.dearest.is_empty() { kind.to_owned() } else { inner.dearest };
            self.most = operations;
        }
        self.operations = self.operations.saturating_add(operations);
    }

    fn larger(self, other: Self) -> Self {
        let dearer = if other.operations > self.operations { other.clone() } else { self.clone() };
        let unknown = self.unknown.max(other.unknown);
        let larger = if other.bytes > self.bytes { other } else { self };
        Self { bytes: larger.bytes, largest: larger.largest, unknown, ..dearer }
    }

    fn times(self, rounds: u64) -> Self {
        Self { operations: self.operations.saturating_mul(rounds), most: self.most.saturating_mul(rounds), ..self }
    }
}

/// What a run costs whose inputs are these, and what it gives as far as that is known. `unfolds` where convolutions
/// write their windows side by side.
///
/// Fails with `TooLarge` and the operator whose result has more elements than any tensor, with `Invalid` and the
/// attribute that is out of bounds.
pub fn cost(graph: &Graph, inputs: Vec<Value>, unfolds: bool) -> Result<(Cost, Vec<Value>), Fault> {
    Walk::new(graph, unfolds).graph(graph, inputs)
}

/// The graph without the contents of constants that are data: what they are stays, as what is known of values.
pub fn skeleton(mut graph: Graph) -> Graph {
    let (kept, weights) = std::mem::take(&mut graph.constants).into_iter().partition::<Vec<_>, _>(|(_, tensor)| few(tensor));
    graph.constants = kept;
    graph.values = weights.iter().map(|(name, tensor)| Port::exactly(name, tensor.spec())).collect();
    let (kept, data) = std::mem::take(&mut graph.ops).into_iter().partition::<Vec<_>, _>(|op| weight(op).is_none());
    graph.values.extend(data.iter().filter_map(|op| Some(Port::exactly(op.outputs.first()?, weight(op)?.spec()))));
    graph.ops = kept;
    for inner in graph.ops.iter_mut().flat_map(Op::graphs_mut) {
        *inner = skeleton(std::mem::take(inner));
    }
    graph
}

fn few(tensor: &Tensor) -> bool {
    tensor.spec().shape.elements() as u64 <= value::NUMBERS_MAX
}

/// The contents of a `Constant` of many numbers.
fn weight(op: &Op) -> Option<&Tensor> {
    match op.attributes.first()? {
        (_, Attribute::Tensor(tensor)) if op.kind == "Constant" && op.domain.is_empty() && !few(tensor) => Some(tensor),
        _ => None,
    }
}
