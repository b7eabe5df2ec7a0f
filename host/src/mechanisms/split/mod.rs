//! Cuts a model into fragments where little crosses the cut.
//!
//! The operators stand in line, in the model's own order; a cut is a place in that line. It is weighed by the bytes of
//! what was computed before it and is used after it. What follows from constants alone crosses no cut: each fragment
//! computes it for itself. Cuts are looked for where blocks repeat, then at every minimum, then anywhere.

mod blocks;
mod carve;
mod cuts;
mod line;
#[cfg(test)]
mod tests;
mod weigh;

use crate::nouns::{Attribute, Graph, Memory, Port};
use line::Line;
use std::{collections::HashMap, num::NonZeroUsize};
use weigh::Weighed;

/// What is known of a value that an operator yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub port: Port,
    /// Its size, with every open extent as large as it is assumed to be.
    pub bytes: u64,
}

/// What is known of a model's values, by their names. One that is missing is in no cut.
pub type Values = HashMap<String, Known>;

/// How finely a model is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// So many fragments, as equal in memory as cuts allow.
    Parts(NonZeroUsize),
    /// As few fragments as possible, none of which holds more than this.
    MemoryMax(u64),
}

/// One fragment: a model of its own.
#[derive(Clone, Debug)]
pub struct Piece {
    pub graph: Graph,
    pub memory: Memory,
    /// What crosses the cut before it.
    pub received_bytes: u64,
}

/// Why a model can't be cut like that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    #[error("{wanted} fragments are wanted, there are cuts for {max} at most")]
    Parts { wanted: usize, max: usize },
    #[error("no cuts leave every fragment within {limit} bytes; the smallest of the largest holds {least}")]
    Memory { limit: u64, least: u64 },
    #[error("the size of `{0}` is not known, and without it no memory; export the model with its shapes")]
    Unknown(String),
}

/// Cuts a model. The pieces, one after the other, compute what it computes.
pub fn split(graph: &Graph, values: &Values, wanted: Wanted) -> Result<Vec<Piece>, SplitError> {
    let graph = hoisted(graph);
    let line = Line::of(&graph);
    let weighed = Weighed::new(&line, values);
    let cuts = cuts::choose(&line, &weighed, wanted)?;
    let bounds: Vec<usize> = [0].into_iter().chain(cuts).chain([line.steps.len()]).collect();
    let last = bounds.len() - 2;
    let piece = |(index, bounds): (usize, &[usize])| {
        let (start, end) = (bounds[0], bounds[1]);
        Piece {
            graph: carve::carve(&line, values, index, start..end, index == last),
            memory: weighed.memory(start).take(end - start).last().unwrap_or_default(),
            received_bytes: weighed.crossing(start).unwrap_or_default(),
        }
    };
    Ok(bounds.windows(2).enumerate().map(piece).collect())
}

/// The names of values that are worth knowing: those that somebody uses.
pub fn used_values(graph: &Graph) -> Vec<String> {
    let line = Line::of(graph);
    let yielded = line.steps.iter().flat_map(|step| &graph.ops[step.op].outputs);
    let known = |name: &&String| line.last_use.contains_key(name.as_str()) || line.is_output(name);
    yielded.filter(known).cloned().collect()
}

/// The same graph with the tensors of `Constant` operators among its constants, where they can be shared and weighed.
fn hoisted(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    let (mut ops, mut constants) = (Vec::with_capacity(graph.ops.len()), std::mem::take(&mut graph.constants));
    for op in std::mem::take(&mut graph.ops) {
        match (op.attributes.as_slice(), op.outputs.as_slice()) {
            ([(name, Attribute::Tensor(tensor))], [output])
                if op.kind == "Constant" && op.domain.is_empty() && name == "value" =>
            {
                constants.push((output.clone(), tensor.clone()));
            }
            _ => ops.push(op),
        }
    }
    Graph { ops, constants, ..graph }
}
