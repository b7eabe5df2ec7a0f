//! Stops tract's optimiser from fusing or reordering operators where it does so wrongly: it fuses `Sub` and `Div` into a
//! convolution that is their right operand as if it were the left one, moves a `Slice` with steps before a softmax along
//! the same axis, and swaps the operands of `Mod` where the left one is broadcast.

use super::{ops, translate::MARK};
use burst_host::nouns::{Attribute, Element, Graph, Op, Tensor};
use std::collections::{HashMap, HashSet};

/// Rewrites the graph, its branches and loops.
pub(super) fn keep(graph: &mut Graph) {
    let convolved: HashSet<String> =
        graph.ops.iter().filter(|op| op.kind == "Conv").flat_map(|op| op.outputs.clone()).collect();
    let stepping = stepping(graph);
    let constants = graph.constants.iter().map(|(name, _)| name);
    let given: HashSet<String> = graph.inputs.iter().map(|port| &port.name).chain(constants).cloned().collect();
    for mut op in std::mem::take(&mut graph.ops) {
        op.graphs_mut().for_each(keep);
        match op.kind.as_str() {
            "Sub" | "Div" if op.inputs.get(1).is_some_and(|name| convolved.contains(name)) => {
                separate(&mut op, 1, &mut graph.ops);
            }
            "Slice" if op.inputs.get(4).is_some_and(|steps| stepping.contains(steps)) => {
                separate(&mut op, 0, &mut graph.ops);
            }
            "Mod" if op.inputs.first().is_some_and(|left| given.contains(left)) => {
                repeat(&mut op, &mut graph.ops);
                separate(&mut op, 0, &mut graph.ops);
            }
            _ => {}
        }
        graph.ops.push(op);
    }
}

/// Constants with a number other than 1 and -1.
fn stepping(graph: &Graph) -> HashSet<String> {
    let made = graph.ops.iter().filter_map(|op| match (op.kind.as_str(), op.attributes.first()?) {
        ("Constant", (_, Attribute::Tensor(tensor))) => Some((op.outputs.first()?, tensor)),
        _ => None,
    });
    let all: HashMap<&String, &Tensor> =
        graph.constants.iter().map(|(name, tensor)| (name, tensor)).chain(made).collect();
    let steps = |tensor: &Tensor| match tensor.spec().element {
        Element::I32 => tensor.to_vec::<i32>().is_some_and(|steps| steps.iter().any(|step| step.unsigned_abs() != 1)),
        Element::I64 => tensor.to_vec::<i64>().is_some_and(|steps| steps.iter().any(|step| step.unsigned_abs() != 1)),
        _ => false,
    };
    all.into_iter().filter(|(_, tensor)| steps(tensor)).map(|(name, _)| name.clone()).collect()
}

/// Puts an operator before an input that tract's optimiser does not look through.
fn separate(op: &mut Op, index: usize, ops: &mut Vec<Op>) {
    let name = format!("{}{MARK}{}{index}", op.name, ops::APART);
    let outer = std::mem::replace(&mut op.inputs[index], name.clone());
    ops.push(Op { name: name.clone(), kind: ops::APART.into(), ..Op::identity(outer, name) });
}

/// Broadcasts the left operand to the shape of the result.
fn repeat(op: &mut Op, ops: &mut Vec<Op>) {
    let [shape, whole] = ["shape", "whole"].map(|part| format!("{}{MARK}{part}", op.name));
    let left = std::mem::replace(&mut op.inputs[0], whole.clone());
    let made = |kind: &str, inputs, output: String| Op {
        name: output.clone(),
        kind: kind.into(),
        inputs,
        ..Op::identity(String::new(), output)
    };
    ops.push(made("Shape", vec![op.inputs[1].clone()], shape.clone()));
    ops.push(made("Expand", vec![left, shape], whole));
}
