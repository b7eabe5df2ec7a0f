//! Which of its optimisers ONNX Runtime must not apply to a graph, because they change what it computes.

use super::Math;
use crate::constants::{self, Constants};
use burst_host::nouns::{Element, Graph, Op};

/// The configuration entry that names optimisers to leave out, separated by semicolons.
const DISABLE: &str = "optimization.disable_specified_optimizers";

/// Fuses a root of a mean of powers into a layer normalization, whatever the exponent is.
const LAYER_NORM: &str = "LayerNormFusionL1;LayerNormFusionL2";

/// Makes a padding part of a `MaxPool`, which pads with -infinity.
const PAD: &str = "Pad_Fusion";

/// Weights of 8-bit products are made unsigned: such products are summed in 16 bits on some processors, and saturate
/// there where the activations are unsigned and the weights are not.
const UNSIGNED_WEIGHTS: &str = "session.x64quantprecision";

/// Configuration entries that keep the numbers of a graph as ONNX says.
pub(super) fn entries(graph: &Graph, math: Math) -> Vec<(&'static str, String)> {
    let has = |test| has(graph, &Constants::default(), test);
    let mut disabled = Vec::new();
    if has(powers_are_averaged) {
        disabled.push(LAYER_NORM);
    }
    if has(pads_and_pools) {
        disabled.push(PAD);
    }
    let mut entries = Vec::new();
    if !disabled.is_empty() {
        entries.push((DISABLE, disabled.join(";")));
    }
    // ONNX Runtime has no product of signed activations and unsigned weights; one of two signed operands is exact.
    if math == Math::Exact && has(is_unsigned) {
        entries.push((UNSIGNED_WEIGHTS, "1".into()));
    }
    entries
}

/// Whether a test holds for a graph or one inside it.
fn has(graph: &Graph, outer: &Constants, test: fn(&Graph, &Constants) -> bool) -> bool {
    let constants = outer.inside(graph);
    test(graph, &constants) || graph.ops.iter().flat_map(Op::graphs).any(|inner| has(inner, &constants, test))
}

/// Whether a mean is taken of powers whose exponent is not known to be 2.
fn powers_are_averaged(graph: &Graph, constants: &Constants) -> bool {
    let power =
        |name: &str| graph.ops.iter().find(|op| op.kind == "Pow" && op.outputs.iter().any(|output| output == name));
    let mean_of =
        |op: &Op| op.inputs.first().and_then(|name| power(name)).is_some_and(|power| !squares(power, constants));
    graph.ops.iter().any(|op| op.kind == "ReduceMean" && mean_of(op))
}

fn squares(power: &Op, constants: &Constants) -> bool {
    let Some(exponent) = power.inputs.get(1).and_then(|name| constants.tensor(name)) else { return false };
    match exponent.spec().element {
        Element::Fp16 => exponent.to_vec::<half::f16>().is_some_and(|all| all == [half::f16::from_f32(2.0)]),
        Element::Fp32 => exponent.to_vec::<f32>().is_some_and(|all| all == [2.0]),
        Element::Fp64 => exponent.to_vec::<f64>().is_some_and(|all| all == [2.0]),
        _ => constants::integers(exponent).is_some_and(|all| all == [2]),
    }
}

fn pads_and_pools(graph: &Graph, _: &Constants) -> bool {
    ["Pad", "MaxPool"].iter().all(|kind| graph.ops.iter().any(|op| op.kind == *kind))
}

/// Whether unsigned activations may be among the quantised ones: those of a type that is not told are.
fn is_unsigned(graph: &Graph, _: &Constants) -> bool {
    let unsigned = |element: Option<Element>| element == Some(Element::U8);
    let of_constants = graph.constants.iter().any(|(_, tensor)| unsigned(Some(tensor.spec().element)));
    let of_ports = graph.inputs.iter().chain(&graph.outputs).any(|port| unsigned(port.element));
    of_constants || of_ports || graph.ops.iter().any(quantizes_unsigned)
}

/// Whether an operator makes unsigned numbers of 8 bits, by itself or of a constant.
fn quantizes_unsigned(op: &Op) -> bool {
    match op.kind.as_str() {
        "QuantizeLinear" => op.inputs.get(2).is_none_or(String::is_empty),
        "Constant" => constants::value(op).is_some_and(|tensor| tensor.spec().element == Element::U8),
        _ => op.kind.starts_with("DynamicQuantize"),
    }
}
