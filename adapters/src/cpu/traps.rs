//! What tract takes by name and then computes as if something else had been asked. No answer is better: it is refused.
//!
//! Found by reading which attributes of `onnx.defs` its 0.23.9 never looks at.

use burst_host::nouns::{Attribute, Element, Graph, Op, Tensor};

/// An operator, an attribute of it that tract ignores, and the values with which that does no harm.
type Trap = (&'static str, &'static str, fn(&Attribute) -> bool);

const TRAPS: [Trap; 16] = [
    ("BatchNormalization", "training_mode", |value| int(value, &[0])),
    ("Celu", "alpha", |value| float(value, 1.0)),
    ("DequantizeLinear", "output_dtype", |value| int(value, &[UNDEFINED, FLOAT, FLOAT16])),
    ("GRU", "activations", |value| repeats(value, &["Sigmoid", "Tanh"])),
    ("GRU", "clip", |_| false),
    ("GRU", "direction", |value| !text(value, "reverse")),
    ("LSTM", "activations", |value| repeats(value, &["Sigmoid", "Tanh", "Tanh"])),
    ("LSTM", "clip", |_| false),
    ("LSTM", "direction", |value| !text(value, "reverse")),
    ("LSTM", "input_forget", |value| int(value, &[0])),
    ("QuantizeLinear", "output_dtype", |value| int(value, &[UNDEFINED, UINT8, INT8, UINT16, INT16])),
    ("RNN", "activations", |value| repeats(value, &["Tanh"])),
    ("RNN", "clip", |_| false),
    ("RNN", "direction", |value| !text(value, "reverse")),
    ("SpaceToDepth", "mode", |value| text(value, "DCR")),
    ("Swish", "alpha", |value| float(value, 1.0)),
];

/// ONNX's numbers of element types.
const UNDEFINED: i64 = 0;
const FLOAT: i64 = 1;
const UINT8: i64 = 2;
const INT8: i64 = 3;
const UINT16: i64 = 4;
const INT16: i64 = 5;
const FLOAT16: i64 = 10;

/// What of `op`, a vertex of `graph`, tract would get wrong.
pub(super) fn trap(op: &Op, graph: &Graph) -> Option<String> {
    if op.kind == "Dropout" && op.inputs.get(2).is_some_and(|mode| !mode.is_empty() && !is_false(mode, graph)) {
        return Some("training mode".into());
    }
    if op.kind == "NonMaxSuppression" && op.inputs.get(2).is_none_or(|most| most.is_empty() || is_false(most, graph)) {
        return Some("`max_output_boxes_per_class` 0 or left out".into());
    }
    let springs = |(kind, name, harmless): &&Trap| op.kind == *kind && !op.attribute(name).is_none_or(harmless);
    TRAPS.iter().find(springs).map(|(_, name, _)| format!("this `{name}`"))
}

fn int(value: &Attribute, harmless: &[i64]) -> bool {
    matches!(value, Attribute::Int(int) if harmless.contains(int))
}

fn float(value: &Attribute, harmless: f32) -> bool {
    matches!(value, Attribute::Float(float) if *float == harmless)
}

fn text(value: &Attribute, other: &str) -> bool {
    matches!(value, Attribute::Text(text) if text == other.as_bytes())
}

/// Whether the texts are these, once for each direction.
fn repeats(value: &Attribute, once: &[&str]) -> bool {
    let Attribute::Texts(texts) = value else { return false };
    texts.iter().zip(once.iter().cycle()).all(|(text, once)| text.eq_ignore_ascii_case(once.as_bytes()))
}

/// Whether a value is known to be false.
fn is_false(value: &str, graph: &Graph) -> bool {
    let contents = constant(value, graph).and_then(Tensor::contents);
    contents.is_some_and(|contents| contents.iter().all(|byte| *byte == 0))
}

/// A constant of the graph, wherever it is written.
fn constant<'a>(value: &str, graph: &'a Graph) -> Option<&'a Tensor> {
    let constant = graph.constants.iter().find(|(name, _)| name == value).map(|(_, tensor)| tensor);
    let made = graph.ops.iter().find(|op| op.kind == "Constant" && op.outputs.iter().any(|output| output == value));
    constant.or_else(|| match made?.attribute("value")? {
        Attribute::Tensor(tensor) => Some(tensor),
        _ => None,
    })
}

/// The operator that tract would get wrong unless some inputs of the graph become constants: it ignores the steps of a
/// `Slice` whose bounds are such inputs.
pub(super) fn open_trap(graph: &Graph) -> Option<&'static str> {
    graph.ops.iter().any(|op| op.kind == "Slice" && steps(op, graph)).then_some("Slice")
}

/// Whether a `Slice` has steps other than 1, or unknown ones, between bounds that are inputs of the graph.
fn steps(op: &Op, graph: &Graph) -> bool {
    let input = |index: usize| op.inputs.get(index).filter(|name| graph.inputs.iter().any(|port| port.name == **name));
    let one = |tensor: &Tensor| match tensor.spec().element {
        Element::I32 => tensor.to_vec::<i32>().is_some_and(|steps| steps.iter().all(|step| *step == 1)),
        _ => tensor.to_vec::<i64>().is_some_and(|steps| steps.iter().all(|step| *step == 1)),
    };
    let Some(steps) = op.inputs.get(4).filter(|name| !name.is_empty()) else { return false };
    (input(1).is_some() || input(2).is_some()) && !constant(steps, graph).is_some_and(one)
}
