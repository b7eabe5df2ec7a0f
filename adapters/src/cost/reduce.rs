//! Operators that fold an axis: sums, norms, softmax and their relatives.

use super::{
    node::{Node, Outcome, place},
    value::Value,
};
use burst_host::nouns::Element;

/// The reduced axes: an attribute at first, the second input later; all where none are given.
pub(super) fn reduce(node: &Node) -> Option<Outcome> {
    let data = node.input(0)?;
    let (extents, operations) = (data.extents.as_ref()?, data.elements()?);
    let all = || (0..extents.len()).collect::<Vec<_>>();
    let axes = match node.gives("axes", 1) {
        true => {
            let axes = node.numbers("axes", 1);
            let Some(axes) = axes else {
                return Outcome::new(vec![Value::up_to(data.element, operations)], operations);
            };
            axes.into_iter().map(|axis| place(axis, extents.len())).collect::<Option<Vec<_>>>()?
        }
        false if node.int("noop_with_empty_axes", 0) != 0 => Vec::new(),
        false => all(),
    };
    let axes = match axes.is_empty() && node.int("noop_with_empty_axes", 0) == 0 {
        true => all(),
        false => axes,
    };
    let folded = folded(extents, &axes, node.int("keepdims", 1) != 0);
    Outcome::new(vec![Value { at_most: data.at_most, ..Value::new(data.element, folded) }], operations)
}

fn folded(extents: &[u64], axes: &[usize], kept: bool) -> Vec<u64> {
    let extent = |(axis, &extent): (usize, &u64)| match (axes.contains(&axis), kept) {
        (false, _) => Some(extent),
        (true, true) => Some(1),
        (true, false) => None,
    };
    extents.iter().enumerate().filter_map(extent).collect()
}

pub(super) fn arg(node: &Node) -> Option<Outcome> {
    let extents = node.extents(0)?;
    let folded = folded(extents, &[node.axis(0, extents.len())?], node.int("keepdims", 1) != 0);
    Outcome::new(vec![Value::new(Some(Element::I64), folded)], node.elements(0))
}

/// Several passes over the first input, with results like it.
fn passes(node: &Node, count: u64) -> Option<Outcome> {
    let value = Value { numbers: None, ..node.input(0)?.clone() };
    Outcome::each(value, count)
}

pub(super) fn softmax(node: &Node) -> Option<Outcome> {
    passes(node, 20)
}

pub(super) fn norm(node: &Node) -> Option<Outcome> {
    passes(node, 5)
}

pub(super) fn running(node: &Node) -> Option<Outcome> {
    passes(node, 1)
}

/// With the mean and the inverse of the deviation of each row.
pub(super) fn layer_norm(node: &Node) -> Option<Outcome> {
    let data = node.input(0)?;
    let extents = data.extents.as_ref()?;
    let axis = node.axis(-1, extents.len())?;
    let of_row = extents.iter().enumerate().map(|(at, &extent)| if at < axis { extent } else { 1 }).collect();
    let row = Value::new(Some(Element::Fp32), of_row);
    let value = Value { numbers: None, ..data.clone() };
    let operations = data.elements()?.saturating_mul(5);
    Outcome::new([value, row.clone(), row].into_iter().take(node.outputs()).collect(), operations)
}

/// With running means and variances, as long as the scale.
pub(super) fn batch_norm(node: &Node) -> Option<Outcome> {
    let data = node.input(0)?;
    let channels = Value { numbers: None, ..node.input(1)?.clone() };
    let value = Value { numbers: None, ..data.clone() };
    let mut results = vec![value];
    results.resize(node.outputs().max(1), channels);
    Outcome::new(results, data.elements()?.saturating_mul(2))
}

/// Neighbouring channels, as many as `size` says, for each element.
pub(super) fn local_norm(node: &Node) -> Option<Outcome> {
    let channels = *node.extents(0)?.get(1)?;
    passes(node, u64::try_from(node.int("size", 1)).unwrap_or(0).min(channels).saturating_add(32))
}

/// A loss and, where it is asked for, the logarithms of the shares.
pub(super) fn loss(node: &Node) -> Option<Outcome> {
    let scores = node.input(0)?;
    let labels = node.input(1)?;
    let extents = if node.text("reduction") == "none" { labels.extents.clone()? } else { Vec::new() };
    let shares = Value { numbers: None, ..scores.clone() };
    let results = [Value::new(scores.element, extents), shares];
    let operations = scores.elements()?.saturating_mul(20);
    Outcome::new(results.into_iter().take(node.outputs()).collect(), operations)
}
