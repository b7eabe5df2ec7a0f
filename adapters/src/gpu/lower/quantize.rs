//! Between floats and the integers that stand for them.

use super::{
    super::planner::{Halt, Node, Placed, Planner, Value, axis},
    pointwise::{Link, chain, code, widened},
};
use burst_host::nouns::Element;

const DIVIDE: u32 = 5;
const ROUND: u32 = 37;

/// y = (x - zero) · scale
pub fn dequantize(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let result = node.spec(1)?.element;
    let scale = along(node, &widened(planner, node, node.input(1))?, &x)?;
    let mut links = Vec::new();
    if node.has(2) {
        links.push(Link::tensor(code::SUBTRACT, along(node, &planner.place(node.input(2))?, &x)?));
    }
    links.push(Link::tensor(code::MULTIPLY, scale));
    Ok(vec![chain(planner, node, &x, &links, result)?.into()])
}

/// y = saturated(round(x / scale) + zero)
pub fn quantize(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = widened(planner, node, node.input(0))?;
    let scale = along(node, &widened(planner, node, node.input(1))?, &x)?;
    let result = if node.has(2) { node.spec(2)?.element } else { wanted(node)? };
    let (low, high) = match result {
        Element::U8 => (0.0, 255.0),
        Element::I8 => (-128.0, 127.0),
        Element::U16 => (0.0, 65535.0),
        Element::I16 => (-32768.0, 32767.0),
        other => return Err(node.unsupported(&other.to_string())),
    };
    let mut links = vec![Link::tensor(DIVIDE, scale), Link::alone(ROUND)];
    if node.has(2) {
        links.push(Link::tensor(code::ADD, along(node, &planner.place(node.input(2))?, &x)?));
    }
    links.extend([Link::number(code::MAX, low), Link::number(code::MIN, high)]);
    Ok(vec![chain(planner, node, &x, &links, result)?.into()])
}

fn wanted(node: &Node<'_>) -> Result<Element, Halt> {
    match node.int("output_dtype", 0) {
        0 => Ok(Element::U8),
        number => crate::onnx::element(number).map_err(|name| node.unsupported(&name)),
    }
}

/// A scale or zero for each slice along the axis, in the shape that broadcasts so.
fn along(node: &Node<'_>, values: &Placed, x: &Placed) -> Result<Placed, Halt> {
    if node.int("block_size", 0) != 0 {
        return Err(node.unsupported("blocks"));
    }
    let rank = x.extents().len();
    let count = values.spec.shape.elements();
    if count == 1 || rank == 0 {
        return Ok(values.reshaped(node.shape(Vec::new())?));
    }
    let at = axis(node, node.int("axis", 1), rank)?;
    if x.extents()[at] != count {
        return Err(node.invalid("a scale for each slice is needed"));
    }
    let mut extents = vec![1; rank];
    extents[at] = count;
    Ok(values.reshaped(node.shape(extents)?))
}
