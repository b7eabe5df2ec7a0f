//! Puts operators behind those whose results they use. ONNX asks for that order; some converters append what they add.

use burst_host::nouns::Op;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
};

/// Sorts the operators of a graph or a function, and of the graphs inside them. What is in order stays as it is; a
/// cycle is left for the check of names to refuse.
pub(super) fn sort(ops: &mut Vec<Op>) {
    for graph in ops.iter_mut().flat_map(Op::graphs_mut) {
        sort(&mut graph.ops);
    }
    let Some(order) = order(ops) else { return };
    let mut slots: Vec<Option<Op>> = std::mem::take(ops).into_iter().map(Some).collect();
    ops.extend(order.into_iter().filter_map(|at| slots[at].take()));
}

/// The places of the operators, the earliest first of those that could come; `None` where nothing has to move.
fn order(ops: &[Op]) -> Option<Vec<usize>> {
    let mut makers = HashMap::new();
    for (at, op) in ops.iter().enumerate() {
        for output in op.outputs.iter().filter(|output| !output.is_empty()) {
            makers.entry(output.as_str()).or_insert(at);
        }
    }
    let mut waits = vec![0usize; ops.len()];
    let mut readers = vec![Vec::new(); ops.len()];
    let mut sorted = true;
    for (at, op) in ops.iter().enumerate() {
        let mut used = HashSet::new();
        reads(op, &mut used);
        let before: HashSet<usize> = used.iter().filter_map(|name| makers.get(name).copied()).collect();
        sorted &= before.iter().all(|&maker| maker < at);
        waits[at] = before.len();
        before.into_iter().for_each(|maker| readers[maker].push(at));
    }
    if sorted {
        return None;
    }
    let mut ready: BinaryHeap<Reverse<usize>> = (0..ops.len()).filter(|&at| waits[at] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(ops.len());
    while let Some(Reverse(at)) = ready.pop() {
        order.push(at);
        for &reader in &readers[at] {
            waits[reader] -= 1;
            if waits[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    (order.len() == ops.len()).then_some(order)
}

/// The values that an operator uses, those of outer scopes that its graphs use among them.
pub fn reads<'a>(op: &'a Op, used: &mut HashSet<&'a str>) {
    used.extend(op.inputs.iter().map(String::as_str));
    for graph in op.graphs() {
        let mut inside = HashSet::new();
        graph.ops.iter().for_each(|op| reads(op, &mut inside));
        inside.extend(graph.outputs.iter().map(|output| output.name.as_str()));
        let own = graph.inputs.iter().map(|input| &input.name).chain(graph.constants.iter().map(|(name, _)| name));
        for name in own.chain(graph.ops.iter().flat_map(|op| &op.outputs)) {
            inside.remove(name.as_str());
        }
        used.extend(inside);
    }
}
