//! Control flow: graphs inside of ops, and ops that numbers decide alone.

use super::{
    super::{
        planner::{Halt, Node, Planner, Value},
        task::Task,
    },
    body::Body,
};
use burst_host::nouns::{Attribute, Element, Graph, Op, Spec, Tensor};

/// The branch that a truth chooses, as if it stood here.
pub fn branch(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Task>, Halt> {
    let holds = node.numbers(0)?.first().is_some_and(|&truth| truth != 0);
    let graph = graph(node, if holds { "then_branch" } else { "else_branch" })?;
    let body = Body::new(prefix(node.op, "if"), graph);
    let mut tasks = body.tasks(planner, graph);
    let pairs = graph.outputs.iter().zip(&node.op.outputs);
    tasks.extend(pairs.map(|(from, to)| Task::Op(Op::identity(body.name(&from.name), to.clone()))));
    Ok(tasks)
}

/// The graph of this name.
pub fn graph<'a>(node: &Node<'a>, name: &str) -> Result<&'a Graph, Halt> {
    match node.op.attribute(name) {
        Some(Attribute::Graph(graph)) => Ok(graph),
        _ => Err(node.invalid(&format!("it has no {name}"))),
    }
}

/// What the names inside of an op begin with: no other op has an output of this name.
pub fn prefix(op: &Op, round: impl std::fmt::Display) -> String {
    format!("{}#{round}/", op.outputs.iter().find(|name| !name.is_empty()).map_or("", String::as_str))
}

/// One element, zero if nobody says, as often as the shape has some.
pub fn constant_of_shape(_: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let extents = node.numbers(0)?.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
    let shape = node.table(extents.map_err(|_| node.invalid("an extent below zero"))?)?;
    let (element, each) = match node.op.attribute("value") {
        Some(Attribute::Tensor(value)) => (value.spec().element, value.contents().cloned().unwrap_or_default()),
        _ => (Element::Fp32, bytes::Bytes::from_static(&[0; 4])),
    };
    if element.size() != Some(each.len()) {
        return Err(node.invalid("its value is no element"));
    }
    let contents = each.repeat(shape.elements());
    let filled = Tensor::host(Spec { element, shape }, contents).map_err(|error| node.invalid(&error.to_string()))?;
    Ok(vec![Value::Known(filled)])
}

/// Whether an input is there: that of a tensor's type is, unless it was left out.
pub fn has_element(_: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let there = Tensor::from_slice(Element::Bool, [], &[u8::from(node.has(0))]);
    Ok(vec![Value::Known(there.map_err(|error| node.invalid(&error.to_string()))?)])
}

/// The input, which must be there.
pub fn get_element(_: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    if node.has(0) { Ok(vec![node.input(0).clone()]) } else { Err(node.invalid("its input was left out")) }
}
