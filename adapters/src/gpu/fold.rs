//! Computes ahead what depends on nothing but constants: the arithmetic of shapes, most of all.

use super::planner::{Node, Value};
use crate::cpu;
use burst_host::nouns::{Attribute, Element, Graph, Opset, Port, Spec, Tensor};
use std::{
    collections::VecDeque,
    fmt::Write,
    sync::{Mutex, PoisonError},
};

/// Results larger than this are left to the device, unless they are larger than it can bind.
const RESULT_MAX_BYTES: usize = 64 << 20;
/// What is folded of less is folded anew by each plan.
const KEPT_MIN_BYTES: usize = 1 << 20;

/// What is folded of large constants, once for all plans of a graph, so that they share it on the device too.
pub struct Folds {
    /// Bytes of the largest tensor that kernels can be given.
    pub binding_max: usize,
    /// Bytes that may be kept: as many as the constants have.
    room: usize,
    kept: Mutex<VecDeque<Fold>>,
}

struct Fold {
    origin: String,
    /// Kept as long, so that their addresses stay their own.
    _inputs: Vec<Tensor>,
    results: Vec<Tensor>,
}

impl Default for Folds {
    /// Of no graph and for no device.
    fn default() -> Self {
        Self { binding_max: usize::MAX, room: 0, kept: Mutex::default() }
    }
}

impl Folds {
    pub fn new(binding_max: usize, graph: &Graph) -> Self {
        let room = bytes(graph.constants.iter().map(|(_, tensor)| tensor));
        Self { binding_max, room, kept: Mutex::default() }
    }

    fn get(&self, origin: &str) -> Option<Vec<Tensor>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|fold| fold.origin == origin).map(|fold| fold.results.clone())
    }

    /// The oldest make room.
    fn keep(&self, fold: Fold) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(fold);
        while bytes(kept.iter().flat_map(|fold| &fold.results)) > self.room {
            kept.pop_front();
        }
    }

    /// Whether a result is better known than computed.
    fn holds(&self, results: &[Tensor]) -> bool {
        // Kernels may take a number as four bytes where it has less.
        let unbound =
            |Spec { element, shape }: &Spec| shape.elements() * element.size().unwrap_or(0).max(4) > self.binding_max;
        bytes(results) <= RESULT_MAX_BYTES || results.iter().any(|result| unbound(result.spec()))
    }
}

fn bytes<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> usize {
    tensors.into_iter().filter_map(|tensor| tensor.spec().bytes()).sum()
}

/// The results of an op that follow from itself or from shapes.
pub fn of_shapes(node: &Node<'_>) -> Option<Vec<Value>> {
    match node.op.kind.as_str() {
        "Constant" => constant(node),
        "Shape" => shape(node),
        "Size" => known(Tensor::from_slice(Element::I64, [], &[node.input(0).spec()?.shape.elements() as i64])),
        _ => None,
    }
}

/// The results of an op whose inputs are all known, and whose results are `sound`.
pub fn fold(node: &Node<'_>, folds: &Folds, sound: impl FnOnce() -> bool) -> Option<Vec<Value>> {
    let random = node.op.kind.starts_with("Random") || node.op.kind == "Bernoulli" || node.op.kind == "Multinomial";
    if random || node.op.graphs().next().is_some() {
        return None;
    }
    let graph = alone(node).filter(|_| sound())?;
    let inputs = || graph.constants.iter().map(|(_, tensor)| tensor);
    let results = if bytes(inputs()) < KEPT_MIN_BYTES {
        cpu::compute(&graph).ok()?
    } else {
        let origin = origin(node, inputs())?;
        folds.get(&origin).or_else(|| {
            let results = cpu::compute(&graph).ok().filter(|results| folds.holds(results))?;
            folds.keep(Fold { origin, _inputs: inputs().cloned().collect(), results: results.clone() });
            Some(results)
        })?
    };
    folds.holds(&results).then(|| results.into_iter().map(Value::Known).collect())
}

/// What is computed of what, in words that are the same for the same results.
fn origin<'a>(node: &Node<'_>, inputs: impl Iterator<Item = &'a Tensor>) -> Option<String> {
    let mut origin = format!("{}/{} {} {:?}", node.op.domain, node.op.kind, node.opset, node.op.attributes);
    for input in inputs {
        let contents = input.contents()?;
        if contents.len() < KEPT_MIN_BYTES {
            write!(origin, " {} {contents:?}", input.spec()).ok()?;
        } else {
            write!(origin, " {} {:?}", input.spec(), contents.as_ptr()).ok()?;
        }
    }
    Some(origin)
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
    let bound = |value: i64| (if value < 0 { value.saturating_add(rank) } else { value }).clamp(0, rank) as usize;
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
