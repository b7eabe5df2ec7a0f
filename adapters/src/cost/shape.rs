//! Operators that move elements, or make a tensor of a shape.

use super::{
    node::{Node, Outcome, length, place},
    pointwise::together,
    value::{Value, product},
};
use burst_host::nouns::{Attribute, Element};

pub(super) fn constant(node: &Node) -> Option<Outcome> {
    let scalar = |element| Value::new(Some(element), Vec::new());
    let list = |element, count: usize| Value::new(Some(element), vec![count as u64]);
    let (_, attribute) = node.op.attributes.first()?;
    let value = match attribute {
        Attribute::Tensor(tensor) => Value::of_tensor(tensor),
        Attribute::Int(_) => scalar(Element::I64),
        Attribute::Float(_) => scalar(Element::Fp32),
        Attribute::Ints(values) => list(Element::I64, values.len()),
        Attribute::Floats(values) => list(Element::Fp32, values.len()),
        _ => return None,
    };
    Outcome::new(vec![value], 0)
}

pub(super) fn shape(node: &Node) -> Option<Outcome> {
    let rank = node.input(0)?.rank()?;
    let end = |name, default: usize| {
        let at = node.int(name, default as i64);
        (if at < 0 { at.saturating_add(rank as i64) } else { at }).clamp(0, rank as i64) as u64
    };
    let count = end("end", rank).saturating_sub(end("start", 0));
    Outcome::new(vec![Value::new(Some(Element::I64), vec![count])], 0)
}

pub(super) fn size(_: &Node) -> Option<Outcome> {
    Outcome::new(vec![Value::new(Some(Element::I64), Vec::new())], 0)
}

/// A result with the elements of the first input.
fn moved(node: &Node, extents: Option<Vec<u64>>) -> Option<Outcome> {
    let input = node.input(0)?;
    let value = match extents {
        Some(extents) => Value { numbers: None, ..input.reshaped(extents) },
        None => Value::up_to(input.element, input.elements()?),
    };
    Outcome::each(value, 1)
}

pub(super) fn reshape(node: &Node) -> Option<Outcome> {
    let extents = || {
        let (from, to) = (node.input(0)?, node.numbers("shape", 1)?);
        let keeps = node.int("allowzero", 0) == 0;
        let kept = |(axis, &extent): (usize, &i64)| match extent {
            0 if keeps => from.extents.as_ref()?.get(axis).copied(),
            -1 => Some(1),
            extent => u64::try_from(extent).ok(),
        };
        let mut extents: Vec<u64> = to.iter().enumerate().map(kept).collect::<Option<_>>()?;
        if let Some(rest) = to.iter().position(|&extent| extent == -1) {
            extents[rest] = from.elements()?.checked_div(product(&extents)).unwrap_or(0);
        }
        Some(extents)
    };
    moved(node, extents())
}

pub(super) fn flatten(node: &Node) -> Option<Outcome> {
    let extents = node.extents(0)?;
    let axis = node.int("axis", 1);
    let at = if axis < 0 { axis.saturating_add(extents.len() as i64) } else { axis };
    let (rows, columns) = extents.split_at_checked(usize::try_from(at).ok()?)?;
    moved(node, Some(vec![product(rows), product(columns)]))
}

pub(super) fn squeeze(node: &Node) -> Option<Outcome> {
    let extents = || {
        let extents = node.extents(0)?;
        let axes: Option<Vec<usize>> = match node.gives("axes", 1) {
            true => node.numbers("axes", 1)?.into_iter().map(|axis| place(axis, extents.len())).collect(),
            false => Some((0..extents.len()).filter(|&axis| extents[axis] == 1).collect()),
        };
        let axes = axes?;
        Some((0..extents.len()).filter(|axis| !axes.contains(axis)).map(|axis| extents[axis]).collect())
    };
    moved(node, extents())
}

pub(super) fn unsqueeze(node: &Node) -> Option<Outcome> {
    let extents = || {
        let (extents, axes) = (node.extents(0)?, node.numbers("axes", 1)?);
        let rank = extents.len().checked_add(axes.len())?;
        let axes: Vec<usize> = axes.into_iter().map(|axis| place(axis, rank)).collect::<Option<_>>()?;
        let mut rest = extents.iter();
        (0..rank).map(|axis| if axes.contains(&axis) { Some(1) } else { rest.next().copied() }).collect()
    };
    moved(node, extents())
}

pub(super) fn transpose(node: &Node) -> Option<Outcome> {
    let extents = node.extents(0)?;
    let axes: Vec<usize> = match node.ints("perm") {
        Some(axes) => axes.iter().map(|&axis| usize::try_from(axis).ok()).collect::<Option<_>>()?,
        None => (0..extents.len()).rev().collect(),
    };
    moved(node, Some(axes.into_iter().map(|axis| extents.get(axis).copied()).collect::<Option<_>>()?))
}

pub(super) fn expand(node: &Node) -> Option<Outcome> {
    let to: Vec<u64> =
        node.numbers("", 1)?.into_iter().map(|extent| u64::try_from(extent).ok()).collect::<Option<_>>()?;
    moved(node, Some(together(node.extents(0)?, &to)?))
}

pub(super) fn tile(node: &Node) -> Option<Outcome> {
    let (extents, repeats) = (node.extents(0)?, node.numbers("", 1)?);
    // The first one gives how often and along which axis, in two scalars.
    let repeats = match (node.opset, node.input(2)) {
        (..6, Some(axis)) => {
            let (axis, times) = (place(*axis.integers()?.first()?, extents.len())?, *repeats.first()?);
            (0..extents.len()).map(|at| if at == axis { times } else { 1 }).collect()
        }
        _ => repeats,
    };
    let times = |(&extent, repeats): (&u64, i64)| extent.saturating_mul(u64::try_from(repeats).unwrap_or(0));
    moved(node, Some(extents.iter().zip(repeats).map(times).collect()))
}

pub(super) fn concat(node: &Node) -> Option<Outcome> {
    let mut extents = node.extents(0)?.to_vec();
    let axis = node.axis(1, extents.len())?;
    let mut others = (1..node.inputs.len()).map(|index| node.extents(index)?.get(axis).copied());
    let length = others.try_fold(extents[axis], |sum, extent| Some(sum.saturating_add(extent?)))?;
    extents[axis] = length;
    let at_most = node.inputs.iter().any(|input| input.at_most);
    Outcome::each(Value { at_most, ..Value::new(node.element(0), extents) }, 1)
}

pub(super) fn split(node: &Node) -> Option<Outcome> {
    let input = node.input(0)?;
    let extents = input.extents.as_ref()?;
    let axis = node.axis(0, extents.len())?;
    let parts = match node.gives("split", 1) {
        true => node.numbers("split", 1)?.into_iter().map(|part| u64::try_from(part).ok()).collect::<Option<_>>()?,
        false => equal_parts(extents[axis], node.int("num_outputs", node.outputs() as i64)),
    };
    let part = |length| {
        let mut extents = extents.clone();
        extents[axis] = length;
        Value { numbers: None, ..input.reshaped(extents) }
    };
    Outcome::new(parts.into_iter().map(part).collect(), input.elements()?)
}

fn equal_parts(length: u64, parts: i64) -> Vec<u64> {
    let parts = parts.clamp(1, 1 << 16) as u64;
    let each = length.div_ceil(parts);
    (0..parts).map(|part| length.saturating_sub(part * each).min(each)).collect()
}

pub(super) fn slice(node: &Node) -> Option<Outcome> {
    let extents = || {
        let mut extents = node.extents(0)?.to_vec();
        for (axis, [start, end, step]) in cut(node, extents.len())? {
            extents[axis] = taken(extents[axis], start, end, step);
        }
        Some(extents)
    };
    moved(node, extents())
}

/// The axes that a `Slice` cuts, and where each begins, ends and how far it steps.
pub(super) fn cut(node: &Node, rank: usize) -> Option<Vec<(usize, [i64; 3])>> {
    let (starts, ends) = (node.numbers("starts", 1)?, node.numbers("ends", 2)?);
    let count = starts.len().min(ends.len());
    let axes = if node.gives("axes", 3) { node.numbers("axes", 3)? } else { (0..count as i64).collect() };
    let steps = if node.input(4).is_some() { node.numbers("", 4)? } else { vec![1; count] };
    let one = |at: usize| Some((place(*axes.get(at)?, rank)?, [starts[at], ends[at], *steps.get(at)?]));
    (0..count).map(one).collect()
}

/// How many elements from `start` to `end` an axis of this length has.
pub(super) fn taken(length: u64, start: i64, end: i64, step: i64) -> u64 {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let from_start = |at: i64| if at < 0 { at.saturating_add(length) } else { at };
    let (start, end) = (from_start(start), from_start(end));
    let (first, last) = match step {
        0 => return 0,
        1.. => (start.clamp(0, length), end.clamp(0, length)),
        _ => (end.clamp(-1, length - 1), start.clamp(-1, length - 1)),
    };
    (last.saturating_sub(first).max(0) as u64).div_ceil(step.unsigned_abs())
}

pub(super) fn pad(node: &Node) -> Option<Outcome> {
    let mut extents = node.extents(0)?.to_vec();
    let pads = node.numbers(if node.op.attribute("paddings").is_some() { "paddings" } else { "pads" }, 1)?;
    let axes = match node.input(3) {
        Some(axes) => axes.integers()?,
        None => (0..extents.len() as i64).collect(),
    };
    let (before, after) = pads.split_at_checked(axes.len())?;
    for ((axis, &before), &after) in axes.into_iter().zip(before).zip(after) {
        let extent = extents.get_mut(place(axis, node.extents(0)?.len())?)?;
        let padded = i128::from(*extent) + i128::from(before) + i128::from(after);
        *extent = u64::try_from(padded.max(0)).unwrap_or(u64::MAX);
    }
    moved(node, Some(extents))
}

pub(super) fn filled(node: &Node) -> Option<Outcome> {
    let element = match node.op.attribute("value") {
        Some(Attribute::Tensor(tensor)) => tensor.spec().element,
        _ => Element::Fp32,
    };
    let extents = node.numbers("", 0)?.into_iter().map(|extent| u64::try_from(extent).unwrap_or(0)).collect();
    Outcome::each(Value::new(Some(element), extents), 1)
}

pub(super) fn range(node: &Node) -> Option<Outcome> {
    let number = |index: usize| node.input(index)?.numbers.as_ref()?.first().copied();
    let count = ((number(1)? - number(0)?) / number(2)?).ceil();
    Outcome::each(Value::new(node.element(0), vec![length(count)]), 1)
}

pub(super) fn eye(node: &Node) -> Option<Outcome> {
    let element = node.element_in("dtype").or(node.element(0));
    Outcome::each(Value { element, numbers: None, ..node.input(0)?.clone() }, 1)
}

pub(super) fn one_hot(node: &Node) -> Option<Outcome> {
    let mut extents = node.extents(0)?.to_vec();
    let depth = u64::try_from(*node.input(1)?.integers()?.first()?).unwrap_or(0);
    let axis = node.axis(-1, extents.len() + 1)?;
    extents.insert(axis, depth);
    Outcome::each(Value::new(node.element(2), extents), 1)
}

pub(super) fn depth_to_space(node: &Node) -> Option<Outcome> {
    let &[batch, channels, height, width] = node.extents(0)? else { return None };
    let block = u64::try_from(node.int("blocksize", 1)).ok()?;
    let channels = channels.checked_div(block.saturating_mul(block))?;
    moved(node, Some(vec![batch, channels, height.saturating_mul(block), width.saturating_mul(block)]))
}

pub(super) fn space_to_depth(node: &Node) -> Option<Outcome> {
    let &[batch, channels, height, width] = node.extents(0)? else { return None };
    let block = u64::try_from(node.int("blocksize", 1)).ok()?;
    let channels = channels.saturating_mul(block.saturating_mul(block));
    moved(node, Some(vec![batch, channels, height.checked_div(block)?, width.checked_div(block)?]))
}

pub(super) fn center_crop_pad(node: &Node) -> Option<Outcome> {
    let (mut extents, lengths) = (node.extents(0)?.to_vec(), node.numbers("", 1)?);
    let rank = extents.len();
    let axes = node.ints("axes").map_or_else(|| (0..rank as i64).collect(), <[i64]>::to_vec);
    for (axis, length) in axes.into_iter().zip(lengths) {
        *extents.get_mut(place(axis, rank)?)? = u64::try_from(length).unwrap_or(0);
    }
    moved(node, Some(extents))
}

/// Numbers that are drawn, or a window, in the shape that an attribute tells.
pub(super) fn drawn(node: &Node) -> Option<Outcome> {
    let extents = node.ints("shape")?.iter().map(|&extent| u64::try_from(extent).unwrap_or(0)).collect();
    Outcome::each(Value::new(node.element_in("dtype").or(Some(Element::Fp32)), extents), 16)
}
