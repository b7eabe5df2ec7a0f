//! Inputs whose numbers decide over shapes, or over how an operator computes, where tract wants constants: a plan is made
//! for each set of them that is in use.

use burst_host::nouns::{Fault, Graph, Op, Tensor};
use bytes::Bytes;
use std::collections::HashMap;

/// Numbers of such an input at most: beyond that it is data.
const NUMBERS_MAX: usize = 4096;

/// Operators, and which of their inputs tract wants to know.
const WANTED: &[(&str, &[usize])] = &[
    ("BatchNormalization", &[1, 2, 3, 4]),
    ("BlackmanWindow", &[0]),
    ("Compress", &[1]),
    ("ConstantOfShape", &[0]),
    ("CumSum", &[1]),
    ("DFT", &[1, 2]),
    ("DequantizeLinear", &[1, 2]),
    ("Expand", &[1]),
    ("GRU", &[4]),
    ("HammingWindow", &[0]),
    ("HannWindow", &[0]),
    ("If", &[0]),
    ("LSTM", &[4]),
    ("MelWeightMatrix", &[0, 1, 2, 3, 4]),
    ("NonMaxSuppression", &[2]),
    ("OneHot", &[1, 2]),
    ("Pad", &[1, 2, 3]),
    ("QLinearConv", &[1, 2, 4, 5, 6, 7]),
    ("QLinearMatMul", &[1, 2, 4, 5, 6, 7]),
    ("QuantizeLinear", &[1, 2]),
    ("RNN", &[4]),
    ("Range", &[0, 1, 2]),
    ("ReduceL1", &[1]),
    ("ReduceL2", &[1]),
    ("ReduceLogSum", &[1]),
    ("ReduceLogSumExp", &[1]),
    ("ReduceMax", &[1]),
    ("ReduceMean", &[1]),
    ("ReduceMin", &[1]),
    ("ReduceProd", &[1]),
    ("ReduceSum", &[1]),
    ("ReduceSumSquare", &[1]),
    ("Reshape", &[1]),
    ("Resize", &[1, 2, 3]),
    ("STFT", &[1, 2, 3]),
    ("Slice", &[1, 2, 3, 4]),
    ("Split", &[1]),
    ("Squeeze", &[1]),
    ("Tile", &[1]),
    ("TopK", &[1]),
    ("Trilu", &[1]),
    ("Unsqueeze", &[1]),
    ("Upsample", &[1]),
];

/// The arithmetic of shapes, which carries such numbers on.
const CARRYING: &[&str] = &[
    "Add",
    "And",
    "Cast",
    "Concat",
    "Div",
    "Equal",
    "Gather",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "Less",
    "LessOrEqual",
    "Max",
    "Min",
    "Mul",
    "Not",
    "Or",
    "Reshape",
    "Slice",
    "Squeeze",
    "Sub",
    "Unsqueeze",
    "Where",
];

/// Whether an operator can be one that wants to know an input.
pub(super) fn wants(kind: &str) -> bool {
    WANTED.iter().any(|(name, _)| *name == kind)
}

/// Which inputs of a graph those are, in their order.
pub(super) fn deciding(graph: &Graph) -> Vec<usize> {
    let mut ops = Vec::new();
    collect(graph, &mut ops);
    let makers: HashMap<&str, &Op> =
        ops.iter().flat_map(|op| op.outputs.iter().map(move |name| (name.as_str(), *op))).collect();
    let (mut names, mut at): (Vec<&str>, usize) = (ops.iter().flat_map(|op| wanted(op)).collect(), 0);
    while let Some(name) = names.get(at).copied() {
        let maker = makers.get(name).filter(|op| CARRYING.contains(&op.kind.as_str()));
        for input in maker.into_iter().flat_map(|op| &op.inputs) {
            if !names.contains(&input.as_str()) {
                names.push(input);
            }
        }
        at += 1;
    }
    let vector = |index: &usize| graph.inputs[*index].shape.as_ref().is_none_or(|shape| shape.len() <= 1);
    let named = |index: &usize| names.contains(&graph.inputs[*index].name.as_str());
    (0..graph.inputs.len()).filter(|index| named(index) && vector(index)).collect()
}

/// The names of what tract wants to know of an operator.
fn wanted(op: &Op) -> Vec<&str> {
    let row = WANTED.iter().find(|(kind, _)| *kind == op.kind);
    let inputs = row.into_iter().flat_map(|(_, inputs)| inputs.iter());
    inputs.filter_map(|&index| op.inputs.get(index)).map(String::as_str).collect()
}

/// The numbers of these inputs, which are kept for as long as what was planned for them.
pub(super) fn numbers(graph: &Graph, deciding: &[usize], inputs: &[Tensor]) -> Result<Vec<Bytes>, Fault> {
    let numbers = |&index: &usize| {
        let (name, input) = (&graph.inputs[index].name, &inputs[index]);
        if input.spec().shape.elements() > NUMBERS_MAX {
            let why = format!("input `{name}`, which decides over shapes, with more than {NUMBERS_MAX} numbers");
            return Err(Fault::Unsupported(format!("{why} on the CPU")));
        }
        Ok(input.contents().cloned().unwrap_or_default())
    };
    deciding.iter().map(numbers).collect()
}

/// The graph with these inputs as constants.
pub(super) fn decided(graph: &Graph, deciding: &[usize], inputs: &[Tensor]) -> Graph {
    let mut decided = graph.clone();
    for &index in deciding.iter().rev() {
        let port = decided.inputs.remove(index);
        decided.constants.push((port.name, inputs[index].clone()));
    }
    decided
}

/// Operators, those of graphs inside of others too.
fn collect<'a>(graph: &'a Graph, ops: &mut Vec<&'a Op>) {
    for op in &graph.ops {
        ops.push(op);
        op.graphs().for_each(|inner| collect(inner, ops));
    }
}
