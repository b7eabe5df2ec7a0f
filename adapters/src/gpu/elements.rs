//! Finds, before any shape is known, an operator that is given an element type which the GPU lacks: a walk at extents and
//! with decisions that are made up. What they don't fit keeps its element as far as that is known, and computes nothing.

use super::{
    inside::Inside,
    planner::{Halt, Planner, Value},
    program::GpuProgram,
    task::Task,
    trail,
};
use crate::onnx;
use burst_host::nouns::{Attribute, Element, Extent, Fault, Graph, Op, Port, Spec, Tensor};

/// In the place of an open one: large enough for windows that halve it a few times.
const EXTENT: usize = 64;

/// Operators whose first result has the element of their first input, whatever their shapes are.
const KEEPING: &[&str] = &[
    "Add",
    "Compress",
    "Concat",
    "Div",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Identity",
    "MatMul",
    "Mul",
    "Pad",
    "Reshape",
    "Resize",
    "Slice",
    "Split",
    "Squeeze",
    "Sub",
    "Tile",
    "TopK",
    "Transpose",
    "Unsqueeze",
    "Upsample",
];

/// Names of numbers that are made up; no value of a graph that was checked is called so.
const TRUE: &str = "\u{0}true";
const FALSE: &str = "\u{0}false";
const ONE: &str = "\u{0}one";

/// What the outputs were found to be, as far as that is known. `Unsupported` with the first such operator and the element.
pub fn check(program: &GpuProgram) -> Result<Vec<Option<Spec>>, Fault> {
    let mut planner = trail::planner(program);
    decisions(&mut planner)?;
    for port in &program.graph.inputs {
        imagine(&mut planner, &port.name, spec(port));
    }
    let mut tasks: Vec<Task> = program.tasks.iter().rev().cloned().collect();
    while let Some(task) = tasks.pop() {
        readable(&planner, &task)?;
        let outcome = planner.step(&task);
        planner.inside = Inside::default();
        match outcome {
            Ok(instead) => tasks.extend(instead.into_iter().rev()),
            Err(Halt::Lacks(fault)) => return Err(fault),
            Err(_) => tasks.extend(otherwise(&mut planner, &program.graph, task).into_iter().rev()),
        }
    }
    let found = |port: &Port| planner.values.get(&port.name).and_then(Value::spec).cloned();
    Ok(program.graph.outputs.iter().map(found).collect())
}

fn decisions(planner: &mut Planner) -> Result<(), Fault> {
    let invalid = |error: burst_host::nouns::ShapeError| Fault::Invalid(error.to_string());
    planner.known(TRUE, Tensor::from_slice(Element::Bool, [], &[1u8]).map_err(invalid)?);
    planner.known(FALSE, Tensor::from_slice(Element::Bool, [], &[0u8]).map_err(invalid)?);
    planner.known(ONE, Tensor::from_slice(Element::I64, [], &[1i64]).map_err(invalid)?);
    Ok(())
}

/// Texts are nothing that a kernel reads.
fn readable(planner: &Planner, task: &Task) -> Result<(), Fault> {
    let Task::Op(op) = task else { return Ok(()) };
    let text = |name: &String| {
        let spec = planner.values.get(name).and_then(Value::spec);
        spec.is_some_and(|spec| spec.element == Element::Bytes)
    };
    if op.inputs.iter().any(text) {
        return Err(Fault::Unsupported(format!("operator `{}` on the GPU: {}", op.kind, Element::Bytes)));
    }
    Ok(())
}

/// What is walked in the place of what can't be; its results are what they are said to be.
fn otherwise(planner: &mut Planner, graph: &Graph, task: Task) -> Vec<Task> {
    let op = match task {
        Task::Op(op) => op,
        Task::Pattern(pattern) => return pattern.ops.iter().cloned().map(Task::Op).collect(),
        Task::Round(round) => round.op().clone(),
    };
    let made_up = |op: &Op| op.inputs.iter().any(|name| [TRUE, FALSE].contains(&name.as_str()));
    match op.kind.as_str() {
        "If" if !made_up(&op) => return [FALSE, TRUE].map(|truth| decided(&op, &[truth])).into(),
        "Loop" if !made_up(&op) => return vec![decided(&op, &[ONE, TRUE])],
        _ => {}
    }
    for (index, name) in op.outputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        let declared = graph.values.iter().find(|port| port.name == *name).and_then(spec);
        let element = (index == 0).then(|| element(planner, &op)).flatten();
        let spec = declared.or_else(|| Spec::new(element?, [1]).ok());
        imagine(planner, name, spec);
    }
    Vec::new()
}

/// The element of an operator's first result, where its shape is not needed to tell.
fn element(planner: &Planner, op: &Op) -> Option<Element> {
    let first = || planner.values.get(op.inputs.first()?)?.spec().map(|spec| spec.element);
    match op.kind.as_str() {
        "Cast" => match op.attribute("to")? {
            Attribute::Int(number) => onnx::element(*number).ok(),
            _ => None,
        },
        "NonMaxSuppression" | "NonZero" => Some(Element::I64),
        kind => first().filter(|_| KEEPING.contains(&kind)),
    }
}

/// Control flow that goes this way.
fn decided(op: &Op, by: &[&str]) -> Task {
    let by = by.iter().map(|&name| name.to_owned());
    let inputs = by.chain(op.inputs.iter().skip(if op.kind == "If" { 1 } else { 2 }).cloned()).collect();
    Task::Op(Op { inputs, ..op.clone() })
}

fn imagine(planner: &mut Planner, name: &str, spec: Option<Spec>) {
    if let Some(spec) = spec {
        let storage = planner.input(spec.clone());
        planner.give(name, spec, storage);
    }
}

/// What a port is at extents that are made up.
fn spec(port: &Port) -> Option<Spec> {
    let extent = |extent: &Extent| if let Extent::Fixed(extent) = extent { *extent } else { EXTENT };
    let extents = port.shape.as_ref().map_or(vec![1], |shape| shape.iter().map(extent).collect());
    Spec::new(port.element?, extents).ok()
}
