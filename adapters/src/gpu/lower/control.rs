//! Control flow: graphs inside of ops.

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
