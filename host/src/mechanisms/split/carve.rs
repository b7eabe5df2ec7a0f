//! Takes one fragment out of a model: a model of its own.

use super::{
    Values,
    line::{Line, Step},
};
use crate::nouns::{Graph, Port};
use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
};

/// The steps of a range with all that they need. The last fragment also has what the outputs need beyond any step.
pub(super) fn carve(line: &Line<'_>, values: &Values, index: usize, steps: Range<usize>, last: bool) -> Graph {
    let graph = line.graph;
    let needs: Vec<&Step<'_>> = line.steps[steps.clone()].iter().chain(last.then_some(&line.rest)).collect();
    let made: HashSet<&str> = steps.clone().flat_map(|step| line.yields(step)).collect();
    let uses = needs.iter().flat_map(|step| &step.uses).copied();
    let taken: HashSet<&str> = uses.filter(|name| !made.contains(name)).collect();
    let constants: HashSet<&str> = needs.iter().flat_map(|step| &step.constants).copied().collect();
    let free = needs.iter().flat_map(|step| &step.free).copied();
    // In the order of the model; a free op that several steps need comes once.
    let ops: BTreeSet<usize> = line.steps[steps.clone()].iter().map(|step| step.op).chain(free).collect();
    let yielded: HashSet<&str> = ops.iter().flat_map(|&op| &graph.ops[op].outputs).map(String::as_str).collect();
    let here = |name: &str| yielded.contains(name) || taken.contains(name) || constants.contains(name);
    Graph {
        name: format!("{}.{index}", graph.name),
        ir_version: graph.ir_version,
        opsets: graph.opsets.clone(),
        inputs: inputs(line, values, &taken),
        outputs: outputs(line, values, steps, last),
        constants: graph.constants.iter().filter(|(name, _)| constants.contains(name.as_str())).cloned().collect(),
        ops: ops.iter().map(|&op| graph.ops[op].clone()).collect(),
        values: graph.values.iter().filter(|port| here(&port.name)).cloned().collect(),
        functions: graph.functions.clone(),
    }
}

/// First those of the model, in its order, then what came across the cut, in the order it was made.
fn inputs(line: &Line<'_>, values: &Values, taken: &HashSet<&str>) -> Vec<Port> {
    let own = line.graph.inputs.iter().filter(|port| taken.contains(port.name.as_str())).cloned();
    let mut crossing: Vec<&str> = taken.iter().copied().filter(|name| line.maker.contains_key(name)).collect();
    crossing.sort_by_key(|name| (line.maker[name], *name));
    own.chain(crossing.into_iter().map(|name| port(values, name))).collect()
}

/// First those of the model, in its order, then what later fragments use.
fn outputs(line: &Line<'_>, values: &Values, steps: Range<usize>, last: bool) -> Vec<Port> {
    let rest: HashSet<&str> = line.rest.constants.iter().copied().chain(free_names(line)).collect();
    let mine = |port: &&Port| match line.maker.get(port.name.as_str()) {
        Some(maker) => steps.contains(maker),
        None => last && rest.contains(port.name.as_str()),
    };
    let own = line.graph.outputs.iter().filter(mine).cloned();
    let end = steps.end;
    let later = |name: &&str| line.last_use.get(name).is_some_and(|&last| last >= end) && !line.is_output(name);
    let crossing = steps.clone().flat_map(|step| line.yields(step)).filter(later);
    own.chain(crossing.map(|name| port(values, name))).collect()
}

fn free_names<'a>(line: &Line<'a>) -> impl Iterator<Item = &'a str> {
    let graph = line.graph;
    line.rest.free.iter().flat_map(|&op| &graph.ops[op].outputs).map(String::as_str)
}

fn port(values: &Values, name: &str) -> Port {
    let unknown = || Port { name: name.into(), element: None, shape: None, optional: false };
    values.get(name).map_or_else(unknown, |known| known.port.clone())
}
