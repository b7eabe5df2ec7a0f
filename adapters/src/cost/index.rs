//! Operators that look elements up, put them in order or pick some of them.

use super::{
    node::{Node, Outcome},
    value::{Value, product},
};
use burst_host::nouns::Element;

pub(super) fn gather(node: &Node) -> Option<Outcome> {
    let (data, indices) = (node.input(0)?, node.input(1)?);
    let (from, by) = (data.extents.as_ref()?, indices.extents.as_ref()?);
    let axis = node.axis(0, from.len())?;
    let extents = [&from[..axis], by, &from[axis + 1..]].concat();
    let value = Value { at_most: data.at_most || indices.at_most, ..Value::new(data.element, extents) };
    Outcome::each(value, 1)
}

pub(super) fn gather_elements(node: &Node) -> Option<Outcome> {
    let indices = node.input(1)?;
    Outcome::each(Value { element: node.element(0), numbers: None, ..indices.clone() }, 1)
}

pub(super) fn gather_nd(node: &Node) -> Option<Outcome> {
    let (data, indices) = (node.extents(0)?, node.extents(1)?);
    let batch = usize::try_from(node.int("batch_dims", 0)).ok()?;
    let (&depth, outer) = indices.split_last()?;
    let inner = data.get(batch.checked_add(usize::try_from(depth).ok()?)?..)?;
    let at_most = node.inputs.iter().any(|input| input.at_most);
    Outcome::each(Value { at_most, ..Value::new(node.element(0), [outer, inner].concat()) }, 1)
}

pub(super) fn scatter(node: &Node) -> Option<Outcome> {
    let data = node.input(0)?;
    let operations = data.elements()?.saturating_add(node.elements(2));
    Outcome::new(vec![Value { numbers: None, ..data.clone() }], operations)
}

/// Sorting, a comparison for each binary digit of the length.
fn sorting(elements: u64, length: u64) -> u64 {
    elements.saturating_mul(u64::from(u64::BITS - length.leading_zeros()).max(1))
}

pub(super) fn top_k(node: &Node) -> Option<Outcome> {
    let data = node.input(0)?;
    let mut extents = data.extents.clone()?;
    let axis = node.axis(-1, extents.len())?;
    let operations = sorting(data.elements()?, extents[axis]);
    extents[axis] = match node.numbers("k", 1) {
        Some(count) => u64::try_from(*count.first()?).unwrap_or(0),
        None => extents[axis],
    };
    let known = node.numbers("k", 1).is_some();
    let values = Value { at_most: data.at_most || !known, ..Value::new(data.element, extents) };
    let places = Value { element: Some(Element::I64), ..values.clone() };
    Outcome::new(vec![values, places], operations)
}

pub(super) fn non_zero(node: &Node) -> Option<Outcome> {
    let data = node.input(0)?;
    let extents = vec![data.rank()? as u64, data.elements()?];
    Outcome::each(Value::new(Some(Element::I64), extents).limited(), 1)
}

pub(super) fn unique(node: &Node) -> Option<Outcome> {
    let data = node.input(0)?;
    let elements = data.elements()?;
    let axis = node.op.attribute("axis").map(|_| node.axis(0, data.rank()?));
    let length = match axis {
        Some(axis) => *data.extents.as_ref()?.get(axis?)?,
        None => elements,
    };
    let values = match axis {
        Some(_) => data.clone(),
        None => Value::new(data.element, vec![elements]),
    };
    let places = Value::new(Some(Element::I64), vec![length]).limited();
    let all = [Value { numbers: None, ..values }.limited(), places.clone(), places.clone(), places];
    Outcome::new(all.into_iter().take(node.outputs()).collect(), sorting(elements, elements))
}

pub(super) fn compress(node: &Node) -> Option<Outcome> {
    let data = node.input(0)?;
    let value = match node.op.attribute("axis") {
        Some(_) => data.clone(),
        None => Value::new(data.element, vec![data.elements()?]),
    };
    Outcome::each(Value { numbers: None, ..value }.limited(), 1)
}

/// Each box with each that was kept before it, for each class.
pub(super) fn suppress(node: &Node) -> Option<Outcome> {
    let &[batch, boxes, _] = node.extents(0)? else { return None };
    let &[_, classes, _] = node.extents(1)? else { return None };
    let kept = match node.input(2) {
        Some(most) => u64::try_from(*most.integers()?.first()?).unwrap_or(0).min(boxes),
        None => 0,
    };
    let each = boxes.saturating_mul(kept.max(1)).saturating_mul(8).saturating_add(sorting(boxes, boxes));
    let rows = product(&[batch, classes, kept]);
    let value = Value::new(Some(Element::I64), vec![rows, 3]).limited();
    Outcome::new(vec![value], product(&[batch, classes, each]))
}

pub(super) fn multinomial(node: &Node) -> Option<Outcome> {
    let &[batch, classes] = node.extents(0)? else { return None };
    let drawn = u64::try_from(node.int("sample_size", 1)).unwrap_or(0);
    let value = Value::new(node.element_in("dtype").or(Some(Element::I32)), vec![batch, drawn]);
    Outcome::new(vec![value], product(&[batch, classes.saturating_add(1), drawn]))
}
