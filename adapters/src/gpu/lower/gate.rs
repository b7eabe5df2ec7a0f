//! Activations with a gate.

use super::{
    super::planner::{Halt, Node, Planner, Value},
    pointwise::{Link, chain, code},
};

const SWISH: u32 = 73;

/// swish(a) · b
pub fn swiglu(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let (a, b) = (planner.place(node.input(0))?, planner.place(node.input(1))?);
    if a.spec != b.spec {
        return Err(node.invalid(&format!("{} and {} differ", a.spec, b.spec)));
    }
    let swish = Link { attributes: [node.float("alpha", 1.0), 0.0], ..Link::alone(SWISH) };
    let element = a.spec.element;
    Ok(vec![chain(planner, node, &a, &[swish, Link::tensor(code::MULTIPLY, b)], element)?.into()])
}
