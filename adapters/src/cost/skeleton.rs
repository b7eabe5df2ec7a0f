//! A graph without the contents of its constants, and without what follows from them: what the cost of a run is told by.

use super::{Budget, Cost, attributes, value::Value, walk::Walk};
use crate::onnx;
use burst_host::nouns::{Fault, Graph, Op, Port, Tensor};
use std::collections::{HashMap, HashSet};

/// Operators that answer otherwise each time.
const DRAWN: [&str; 7] =
    ["Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"];

/// What is needed of a graph to tell what its runs cost.
pub struct Skeleton {
    graph: Graph,
    /// Constants, and what follows from them.
    constants: HashMap<String, Value>,
    /// Whether convolutions write their windows side by side.
    unfolds: bool,
    /// Of folding constants.
    fold: Cost,
}

impl Skeleton {
    /// Folds the constants of a graph, within a budget of their own.
    ///
    /// Fails with `TooLarge` as [`Self::cost`] does, with `Invalid` and the attribute that is out of bounds.
    pub fn of(graph: &Graph, unfolds: bool, budget: &Budget) -> Result<Self, Fault> {
        let mut graph = plain(graph)?;
        attributes::check(&graph)?;
        graph = light(graph);
        let constants = constants(&graph);
        let (folded, rest) = split(&mut graph, &constants);
        graph.ops = rest;
        let mut skeleton = Self { graph, constants, unfolds, fold: Cost::default() };
        let (fold, values) =
            Walk::new(&skeleton.graph, &skeleton.constants, unfolds, budget).graph(&folded, Vec::new())?;
        skeleton.fold = fold;
        let names = folded.outputs.into_iter().map(|port| port.name);
        skeleton.constants.extend(names.zip(values));
        Ok(skeleton)
    }

    /// What folding its constants costs.
    pub fn fold(&self) -> &Cost {
        &self.fold
    }

    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What a run costs whose inputs are these, and what it gives as far as that is known.
    ///
    /// Fails with `TooLarge`: the first operator that exceeds the budget, or whose result has more elements than any
    /// tensor.
    pub fn cost(&self, inputs: Vec<Value>, budget: &Budget) -> Result<(Cost, Vec<Value>), Fault> {
        Walk::new(&self.graph, &self.constants, self.unfolds, budget).graph(&self.graph, inputs)
    }
}

/// In operators of ONNX as far as that goes: what is not known there is the accelerator's to refuse.
fn plain(graph: &Graph) -> Result<Graph, Fault> {
    let (limits, target) = (onnx::Limits::default(), onnx::Target { name: "host", native });
    Ok(onnx::plain(graph, &limits, &target).or_else(|_| onnx::inline(graph, &limits))?)
}

/// Operators whose weights are packed, and are not unpacked here.
fn native(op: &Op, _: onnx::Constants<'_>) -> bool {
    op.kind.starts_with("TreeEnsemble") || ["GatherBlockQuantized", "MatMulNBits"].contains(&op.kind.as_str())
}

/// The graph without the contents of constants that are data, whose specs stay as what is known of values.
fn light(mut graph: Graph) -> Graph {
    let constants = std::mem::take(&mut graph.constants);
    let (kept, data) = constants.into_iter().partition::<Vec<_>, _>(|(_, tensor)| few(tensor));
    graph.constants = kept;
    graph.values = data.iter().map(|(name, tensor)| Port::exactly(name, tensor.spec())).collect();
    let (kept, data) = std::mem::take(&mut graph.ops).into_iter().partition::<Vec<_>, _>(|op| weight(op).is_none());
    graph.values.extend(data.iter().filter_map(|op| Some(Port::exactly(op.outputs.first()?, weight(op)?.spec()))));
    graph.ops = kept;
    for inner in graph.ops.iter_mut().flat_map(Op::graphs_mut) {
        *inner = light(std::mem::take(inner));
    }
    graph
}

fn few(tensor: &Tensor) -> bool {
    tensor.spec().shape.elements() as u64 <= Value::NUMBERS_MAX
}

/// The contents of a `Constant` of many numbers.
fn weight(op: &Op) -> Option<Tensor> {
    crate::constants::value(op).filter(|tensor| !few(tensor))
}

fn constants(graph: &Graph) -> HashMap<String, Value> {
    let few = graph.constants.iter().map(|(name, tensor)| (name.clone(), Value::of_tensor(tensor)));
    let many = graph.values.iter().map(|port| (port.name.clone(), Value::of_port(port)));
    few.chain(many).collect()
}

/// The operators that follow from constants, as a graph whose outputs the others use, and the others.
fn split(graph: &mut Graph, constants: &HashMap<String, Value>) -> (Graph, Vec<Op>) {
    let mut known: HashSet<String> = constants.keys().cloned().collect();
    let (mut folded, mut rest, mut used) = (Graph::default(), Vec::new(), HashSet::new());
    for op in std::mem::take(&mut graph.ops) {
        let mut read = HashSet::new();
        crate::onnx::reads(&op, &mut read);
        let follows = read.iter().all(|name| name.is_empty() || known.contains(*name));
        if follows && !(op.domain.is_empty() && DRAWN.contains(&op.kind.as_str())) {
            known.extend(op.outputs.iter().cloned());
            folded.ops.push(op);
        } else {
            used.extend(read.into_iter().map(str::to_owned));
            rest.push(op);
        }
    }
    used.extend(graph.outputs.iter().map(|port| port.name.clone()));
    let made = folded.ops.iter().flat_map(|op| &op.outputs).filter(|name| used.contains(*name));
    let port = |name: &String| Port { name: name.clone(), element: None, shape: None, optional: false };
    folded.outputs = made.map(port).collect();
    (folded, rest)
}
