//! A graph that ONNX Runtime loads, and computes as ONNX says: rewritten where it would refuse or differ.

use super::{Math, division, empty_batch, shadows, signed_weights};
use crate::onnx;
use burst_host::nouns::{Attribute, Fault, Graph, Op, Opset};
use std::collections::HashSet;

/// The oldest operator set that ONNX Runtime computes.
const OPSET_MIN: i64 = 7;

/// The graph in operators that ONNX Runtime has, guarded where they would end the process or answer wrongly.
pub(super) fn guarded(graph: &Graph, math: Math) -> Result<Graph, Fault> {
    let mut graph = modern(graph)?;
    shadows::rename(&mut graph);
    division::guard(&mut graph);
    empty_batch::guard(&mut graph);
    if math == Math::Exact {
        keep_activations(&mut graph.ops);
        signed_weights::guard(&mut graph);
    }
    Ok(graph)
}

/// Products with weights of few bits keep their activations, in subgraphs too.
fn keep_activations(ops: &mut [Op]) {
    for op in ops {
        if op.kind == "MatMulNBits" && op.domain == "com.microsoft" {
            op.attributes.retain(|(name, _)| name != "accuracy_level");
            op.attributes.push(("accuracy_level".into(), Attribute::Int(1)));
        }
        op.graphs_mut().for_each(|graph| keep_activations(&mut graph.ops));
    }
}

/// ONNX Runtime refuses later ones by their number alone. What they brought are types and notes for several devices.
const IR_VERSION_MAX: i64 = 10;

/// Writes the graph in the operator set before its own, if that means the same by all operators.
pub(super) fn lowered(graph: &mut Graph) -> bool {
    let Some(opset) = graph.opsets.iter_mut().find(|opset| opset.domain.is_empty()) else { return false };
    let version = opset.version;
    if differs(&graph.ops, version) {
        return false;
    }
    opset.version -= 1;
    version > OPSET_MIN
}

/// Whether one of the operators, or of those in their graphs, changed with this version of ONNX's operator set.
fn differs(ops: &[Op], version: i64) -> bool {
    ops.iter().any(|op| {
        op.domain.is_empty() && onnx::differ("", &op.kind, version - 1, version)
            || op.graphs().any(|graph| differs(&graph.ops, version))
    })
}

/// The graph without what it says of the shapes of its results: ONNX Runtime would repeat that as what it inferred.
pub(super) fn undeclared(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    graph.outputs.iter_mut().for_each(|port| port.shape = None);
    graph
}

/// The graph without what ONNX Runtime refuses: constants that nobody uses, which it looks for in vain, names that several
/// operators have, and a version of ONNX that is later than what is used of it.
pub(super) fn needed(graph: &Graph) -> Graph {
    let mut used: HashSet<&str> = graph.outputs.iter().map(|port| port.name.as_str()).collect();
    graph.ops.iter().for_each(|op| onnx::reads(op, &mut used));
    let mut needed = graph.clone();
    needed.constants.retain(|(name, _)| used.contains(name.as_str()));
    needed.ir_version = needed.ir_version.min(IR_VERSION_MAX);
    name_once(&mut needed.ops);
    needed
}

/// Leaves out names of operators that others had before.
fn name_once(ops: &mut [Op]) {
    let mut names = HashSet::new();
    for op in ops {
        if !names.insert(op.name.clone()) {
            op.name.clear();
        }
        op.graphs_mut().for_each(|graph| name_once(&mut graph.ops));
    }
}

/// The graph with its functions inlined, of which ONNX Runtime takes only some, and in later operators where its own are
/// older than it.
pub(super) fn modern(graph: &Graph) -> Result<Graph, Fault> {
    const TARGET: onnx::Target = onnx::Target { name: "ONNX Runtime", native: |_, _| true };
    let old = |opset: &Opset| opset.domain.is_empty() && opset.version < OPSET_MIN;
    match graph.opsets.iter().any(old) {
        true => onnx::plain(graph, &onnx::Limits::default(), &TARGET),
        false => Ok(onnx::inline(graph, &onnx::Limits::default())?),
    }
}
