//! Stops tract's optimiser from fusing or reordering operators where it does so wrongly: it fuses `Sub` and `Div` into a
//! convolution that is their right operand as if it were the left one, moves a `Slice` with steps before a softmax along
//! the same axis, takes a product with 0 for 0, and mixes up directions of scans.

use super::{ops, translate::MARK};
use crate::constants::Constants;
use burst_host::nouns::{Attribute, Element, Graph, Op, Tensor};
use std::collections::HashSet;

/// Operators that tract makes part of the convolution before them.
const ABSORBED: &[&str] =
    &["Add", "BatchNormalization", "Cast", "Div", "Dropout", "Identity", "Mul", "Neg", "Squeeze", "Sub", "Unsqueeze"];

/// Rewrites the graph, its branches and loops.
pub(super) fn keep(graph: &mut Graph, outer: &Constants) {
    let mut convolved = HashSet::new();
    let constants = outer.inside(graph);
    let steps =
        |name: &String| constants.integers(name).is_some_and(|all| all.iter().any(|step| step.unsigned_abs() != 1));
    for mut op in std::mem::take(&mut graph.ops) {
        op.graphs_mut().for_each(|inner| keep(inner, &constants));
        if op.kind == "Conv" || ABSORBED.contains(&op.kind.as_str()) && op.inputs.iter().any(|x| convolved.contains(x))
        {
            convolved.extend(op.outputs.iter().cloned());
        }
        match op.kind.as_str() {
            "Scan" => keep_directions(&mut op),
            "Sub" | "Div" if op.inputs.get(1).is_some_and(|name| convolved.contains(name)) => {
                separate(&mut op, 1, &mut graph.ops);
            }
            "Slice" if op.inputs.get(4).is_some_and(steps) => {
                separate(&mut op, 0, &mut graph.ops);
            }
            // A product with 0 would be 0, also where the other side is infinite or no number, and a sum with 0 the
            // other side, also where that is -0.
            "Add" | "Div" | "Mul" | "Sub" => {
                let zeros = |index: &usize| op.inputs.get(*index).is_some_and(|name| zero(&constants, name));
                if let Some(index) = [0, 1].iter().find(|index| zeros(index)) {
                    separate(&mut op, *index, &mut graph.ops);
                }
            }
            _ => {}
        }
        graph.ops.push(op);
    }
}

/// Puts an operator before an input that tract's optimiser does not look through.
fn separate(op: &mut Op, index: usize, ops: &mut Vec<Op>) {
    let name = format!("{}{MARK}{}{index}", op.name, ops::APART);
    let outer = std::mem::replace(&mut op.inputs[index], name.clone());
    ops.push(Op { name: name.clone(), kind: ops::APART.into(), ..Op::identity(outer, name) });
}

/// Outputs of a scan that are written in differing directions: tract computes what they share in one of them.
fn keep_directions(scan: &mut Op) {
    let Some(Attribute::Ints(directions)) = scan.attribute("scan_output_directions").cloned() else { return };
    if directions.iter().all(|direction| *direction == directions[0]) {
        return;
    }
    for body in scan.graphs_mut() {
        let states = body.outputs.len().saturating_sub(directions.len());
        for port in &mut body.outputs[states..] {
            let name = format!("{}{MARK}{}", port.name, ops::APART);
            let inner = std::mem::replace(&mut port.name, name.clone());
            body.ops.push(Op { name: name.clone(), kind: ops::APART.into(), ..Op::identity(inner, name) });
        }
    }
}

/// Whether a constant has floats, and none but 0 and -0.
fn zero(constants: &Constants, name: &str) -> bool {
    let floats = |tensor: &&Tensor| matches!(tensor.spec().element, Element::Fp16 | Element::Fp32 | Element::Fp64);
    let Some(tensor) = constants.tensor(name).filter(floats) else { return false };
    let (Some(bytes), Some(size)) = (tensor.contents(), tensor.spec().element.size()) else { return false };
    // Little-endian: the sign is the highest bit of the last byte.
    let is_zero =
        |number: &[u8]| matches!(number, [rest @ .., last] if last << 1 == 0 && rest.iter().all(|byte| *byte == 0));
    !bytes.is_empty() && bytes.chunks_exact(size).all(is_zero)
}
