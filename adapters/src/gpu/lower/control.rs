//! Control flow: graphs inside of ops, and ops that numbers decide alone.

use super::super::planner::{Halt, Node, Planner, Value};
use burst_host::nouns::{Attribute, Fault};

/// The branch that a truth chooses, as if it stood here.
pub fn branch(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let holds = node.numbers(0)?.first().is_some_and(|&truth| truth != 0);
    let name = if holds { "then_branch" } else { "else_branch" };
    let Some(Attribute::Graph(graph)) = node.op.attribute(name) else {
        return Err(node.invalid(&format!("it has no {name}")));
    };
    for (name, tensor) in &graph.constants {
        planner.known(name, tensor.clone());
    }
    for op in &graph.ops {
        planner.step(op)?;
    }
    let value = |name: &String| {
        let nothing = || Halt::from(Fault::Invalid(format!("nothing computes `{name}`")));
        planner.values.get(name).cloned().ok_or_else(nothing)
    };
    graph.outputs.iter().map(|port| value(&port.name)).collect()
}

/// Asks for the numbers of every input: once they are known, the result follows from them.
pub fn known(_: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    for index in 0..node.inputs.len() {
        node.tensor(index)?;
    }
    Err(node.unsupported("these numbers"))
}
