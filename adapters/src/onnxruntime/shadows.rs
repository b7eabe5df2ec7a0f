//! Values of inner graphs that have the name of an outer one, for which ONNX Runtime takes the outer one. They are named
//! anew.

use burst_host::nouns::{Graph, Op};
use std::collections::{BTreeSet, HashMap};

/// Names anew what hides something in the graphs of operators.
pub(super) fn rename(graph: &mut Graph) {
    let mut fresh = 0;
    inside(graph, &own(graph), &HashMap::new(), &mut fresh);
}

/// The values that a graph defines.
fn own(graph: &Graph) -> BTreeSet<String> {
    let ports = graph.inputs.iter().map(|port| &port.name);
    let constants = graph.constants.iter().map(|(name, _)| name);
    let results = graph.ops.iter().flat_map(|op| &op.outputs).filter(|name| !name.is_empty());
    ports.chain(constants).chain(results).cloned().collect()
}

/// Goes through the graphs of a graph's operators. `visible` is defined in it or around it, `renamed` what of that has
/// another name now.
fn inside(graph: &mut Graph, visible: &BTreeSet<String>, renamed: &HashMap<String, String>, fresh: &mut usize) {
    let graphs = graph.ops.iter_mut().flat_map(Op::graphs_mut);
    graphs.for_each(|inner| apart(inner, visible, renamed, fresh));
}

/// Names anew what an inner graph hides.
fn apart(graph: &mut Graph, visible: &BTreeSet<String>, renamed: &HashMap<String, String>, fresh: &mut usize) {
    let (own, mut renamed) = (own(graph), renamed.clone());
    let hidden: Vec<_> = own.intersection(visible).cloned().collect();
    let mut visible: BTreeSet<_> = own.union(visible).cloned().collect();
    for name in hidden {
        let mut new = name.clone();
        while visible.contains(&new) {
            *fresh += 1;
            new = format!("{name}@{fresh}");
        }
        visible.insert(new.clone());
        renamed.insert(name, new);
    }
    if !renamed.is_empty() {
        for name in names(graph) {
            if let Some(new) = renamed.get(name) {
                name.clone_from(new);
            }
        }
    }
    inside(graph, &visible, &renamed, fresh);
}

/// Every name in a graph itself, of what it defines and of what it uses.
fn names(graph: &mut Graph) -> impl Iterator<Item = &mut String> {
    let ports = graph.inputs.iter_mut().chain(&mut graph.outputs).chain(&mut graph.values).map(|port| &mut port.name);
    let constants = graph.constants.iter_mut().map(|(name, _)| name);
    ports.chain(constants).chain(graph.ops.iter_mut().flat_map(|op| op.inputs.iter_mut().chain(&mut op.outputs)))
}
