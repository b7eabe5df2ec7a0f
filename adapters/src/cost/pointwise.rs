//! Operators that compute each element of their result on its own.

use super::{
    node::{Node, Outcome},
    value::Value,
};
use burst_host::nouns::Element;

/// Operations of a function such as `Exp`.
const FUNCTION: u64 = 16;

/// The element and extents of the first input.
pub(super) fn same(node: &Node) -> Option<Outcome> {
    Outcome::each(alike(node)?, 1)
}

pub(super) fn function(node: &Node) -> Option<Outcome> {
    Outcome::each(alike(node)?, FUNCTION)
}

fn alike(node: &Node) -> Option<Value> {
    let input = node.input(0)?;
    Some(Value { numbers: None, ..input.clone() })
}

pub(super) fn truth(node: &Node) -> Option<Outcome> {
    Outcome::each(Value { element: Some(Element::Bool), ..broadcast(node, 0)? }, 1)
}

pub(super) fn binary(node: &Node) -> Option<Outcome> {
    Outcome::each(Value { element: node.element(0), ..broadcast(node, 0)? }, 1)
}

pub(super) fn power(node: &Node) -> Option<Outcome> {
    Outcome::each(Value { element: node.element(0), ..broadcast(node, 0)? }, 2 * FUNCTION)
}

/// `Sum`, `Mean`, `Max`, `Min`: an operation for each input.
pub(super) fn many(node: &Node) -> Option<Outcome> {
    Outcome::each(Value { element: node.element(0), ..broadcast(node, 0)? }, node.inputs.len() as u64)
}

pub(super) fn choose(node: &Node) -> Option<Outcome> {
    Outcome::each(Value { element: node.element(1), ..broadcast(node, 0)? }, 1)
}

/// The extents that the inputs from `first` on come to together.
pub(super) fn broadcast(node: &Node, first: usize) -> Option<Value> {
    let mut whole = Value::new(None, Vec::new());
    for index in first..node.inputs.len() {
        let value = node.input(index)?;
        whole.at_most |= value.at_most;
        whole.extents = Some(together(&whole.extents?, value.extents.as_ref()?)?);
    }
    Some(whole)
}

/// The extents of two values that are broadcast; `None` where they don't fit.
pub(super) fn together(a: &[u64], b: &[u64]) -> Option<Vec<u64>> {
    let rank = a.len().max(b.len());
    let extent = |extents: &[u64], axis: usize| (axis + extents.len()).checked_sub(rank).map_or(1, |at| extents[at]);
    let one = |axis| match (extent(a, axis), extent(b, axis)) {
        (1, other) | (other, 1) => Some(other),
        (one, other) => (one == other).then_some(one),
    };
    (0..rank).map(one).collect()
}

pub(super) fn cast(node: &Node) -> Option<Outcome> {
    Outcome::each(Value { element: node.element_in("to"), ..alike(node)? }, 1)
}

pub(super) fn cast_like(node: &Node) -> Option<Outcome> {
    Outcome::each(Value { element: node.element(1), ..alike(node)? }, 1)
}

pub(super) fn quantize(node: &Node) -> Option<Outcome> {
    let element = node.element_in("output_dtype").or(node.element(2)).or(Some(Element::U8));
    Outcome::each(Value { element, ..alike(node)? }, 2)
}

pub(super) fn dequantize(node: &Node) -> Option<Outcome> {
    let element = node.element_in("output_dtype").or(node.element(1));
    Outcome::each(Value { element, ..alike(node)? }, 2)
}

/// A tensor of bytes, its scale and its zero point.
pub(super) fn quantize_dynamically(node: &Node) -> Option<Outcome> {
    let bytes = Value { element: Some(Element::U8), ..alike(node)? };
    let operations = bytes.elements()?.saturating_mul(3);
    let scalar = |element| Value::new(Some(element), Vec::new());
    Outcome::new(vec![bytes, scalar(Element::Fp32), scalar(Element::U8)], operations)
}

pub(super) fn dropout(node: &Node) -> Option<Outcome> {
    let value = alike(node)?;
    let mask = Value { element: Some(Element::Bool), ..value.clone() };
    let operations = value.elements()?;
    Outcome::new(vec![value, mask], operations)
}

/// Numbers that are drawn, as many as an input has.
pub(super) fn drawn_like(node: &Node) -> Option<Outcome> {
    let value = alike(node)?;
    Outcome::each(Value { element: node.element_in("dtype").or(value.element), ..value }, FUNCTION)
}
