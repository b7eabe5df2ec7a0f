//! Computes ahead what depends on nothing but constants: the arithmetic of shapes, most of all.

use super::planner::{Node, Value};
use crate::cpu;
use burst_host::nouns::{Attribute, Element, Graph, Opset, Port, Tensor};

/// Results larger than this are left to the device.
const RESULT_MAX_BYTES: usize = 64 << 20;

/// The results of an op whose inputs are all known, or whose results follow from shapes.
pub fn fold(node: &Node<'_>) -> Option<Vec<Value>> {
    match node.op.kind.as_str() {
        "Constant" => return constant(node),
        "Shape" => return shape(node),
        "Size" => return known(Tensor::from_slice(Element::I64, [], &[node.input(0).spec()?.shape.elements() as i64])),
        _ => {}
    }
    let graphs = |(_, attribute): &(String, Attribute)| matches!(attribute, Attribute::Graph(_) | Attribute::Graphs(_));
    let random = node.op.kind.starts_with("Random") || node.op.kind == "Bernoulli" || node.op.kind == "Multinomial";
    if random || node.op.attributes.iter().any(graphs) {
        return None;
    }
    let results = cpu::compute(&alone(node)?).ok()?;
    let bytes: usize = results.iter().filter_map(|tensor| tensor.spec().bytes()).sum();
    (bytes <= RESULT_MAX_BYTES).then(|| results.into_iter().map(Value::Known).collect())
}

fn known(tensor: Result<Tensor, burst_host::nouns::ShapeError>) -> Option<Vec<Value>> {
    Some(vec![Value::Known(tensor.ok()?)])
}

fn constant(node: &Node<'_>) -> Option<Vec<Value>> {
    let (name, attribute) = node.op.attributes.first()?;
    match (name.as_str(), attribute) {
        ("value", Attribute::Tensor(tensor)) => Some(vec![Value::Known(tensor.clone())]),
        ("value_float", Attribute::Float(value)) => known(Tensor::from_slice(Element::Fp32, [], &[*value])),
        ("value_floats", Attribute::Floats(values)) => {
            known(Tensor::from_slice(Element::Fp32, [values.len()], values.as_slice()))
        }
        ("value_int", Attribute::Int(value)) => known(Tensor::from_slice(Element::I64, [], &[*value])),
        ("value_ints", Attribute::Ints(values)) => {
            known(Tensor::from_slice(Element::I64, [values.len()], values.as_slice()))
        }
        _ => None,
    }
}

fn shape(node: &Node<'_>) -> Option<Vec<Value>> {
    let extents = node.input(0).spec()?.shape.extents();
    let rank = extents.len() as i64;
    let bound = |value: i64| (if value < 0 { value + rank } else { value }).clamp(0, rank) as usize;
    let (start, end) = (bound(node.int("start", 0)), bound(node.int("end", rank)));
    let part: Vec<i64> = extents[start..end.max(start)].iter().map(|&extent| extent as i64).collect();
    known(Tensor::from_slice(Element::I64, [part.len()], &part))
}

/// The op as a graph of its own, its inputs as constants; `None` where one is not known.
fn alone(node: &Node<'_>) -> Option<Graph> {
    let mut graph = Graph {
        name: "folded".into(),
        ir_version: 8,
        opsets: vec![Opset { domain: node.op.domain.clone(), version: node.opset }],
        ops: vec![node.op.clone()],
        ..Graph::default()
    };
    for (name, value) in node.op.inputs.iter().zip(&node.inputs) {
        match value {
            Value::Known(tensor) => graph.constants.push((name.clone(), tensor.clone())),
            Value::Absent => {}
            Value::Placed(_) => return None,
        }
    }
    let port = |name: &String| Port { name: name.clone(), element: None, shape: None, optional: false };
    graph.outputs = node.op.outputs.iter().filter(|name| !name.is_empty()).map(port).collect();
    // An output that is left out would move the others.
    (graph.outputs.len() == node.op.outputs.len()).then_some(graph)
}
