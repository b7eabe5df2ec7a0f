//! Recurrent layers and transforms of signals.

use super::{
    node::{Node, Outcome},
    value::{Value, product},
};
use burst_host::nouns::Element;

/// The gates of each kind of layer.
fn gates(kind: &str) -> u64 {
    match kind {
        "LSTM" => 4,
        "GRU" => 3,
        _ => 1,
    }
}

pub(super) fn layer(node: &Node) -> Option<Outcome> {
    let &[a, b, features] = node.extents(0)? else { return None };
    let &[directions, _, hidden] = node.extents(2)? else { return None };
    let batch_first = node.int("layout", 0) != 0;
    let (steps, batch) = if batch_first { (b, a) } else { (a, b) };
    let all = if batch_first { vec![batch, steps, directions, hidden] } else { vec![steps, directions, batch, hidden] };
    let last = if batch_first { vec![batch, directions, hidden] } else { vec![directions, batch, hidden] };
    let element = node.element(0);
    let state = Value::new(element, last);
    let results = vec![Value::new(element, all), state.clone(), state];
    let width = features.saturating_add(hidden).saturating_add(32);
    let operations = product(&[steps, batch, directions, gates(&node.op.kind), hidden, width]);
    Outcome::new(results.into_iter().take(node.outputs()).collect(), operations)
}

/// Steps of a transform of this length: by its definition where the length is odd, as some compute it always.
fn transform(length: u64) -> u64 {
    length.saturating_mul(length)
}

pub(super) fn fourier(node: &Node) -> Option<Outcome> {
    let mut extents = node.extents(0)?.to_vec();
    let told = if node.opset >= 20 { node.input(2).map(|axis| axis.integers()) } else { None };
    let axis = match told {
        Some(axis) => *axis?.first()?,
        None => node.int("axis", if node.opset >= 20 { -2 } else { 1 }),
    };
    let axis = super::node::place(axis, extents.len()).filter(|&axis| axis + 1 < extents.len())?;
    let (onesided, inverse) = (node.int("onesided", 0) != 0, node.int("inverse", 0) != 0);
    let length = match node.input(1) {
        Some(length) => u64::try_from(*length.integers()?.first()?).unwrap_or(0),
        // Half a spectrum is of a signal of twice as many.
        None if onesided && inverse => extents[axis].saturating_sub(1).saturating_mul(2),
        None => extents[axis],
    };
    let lines = product(&extents).checked_div(extents[axis].max(1))?;
    let last = extents.len() - 1;
    extents[axis] = if onesided && !inverse { length / 2 + 1 } else { length };
    extents[last] = if onesided && inverse { 1 } else { 2 };
    let value = Value::new(node.element(0), extents);
    Outcome::new(vec![value], lines.saturating_mul(transform(length)).saturating_mul(2))
}

pub(super) fn short_fourier(node: &Node) -> Option<Outcome> {
    let signal = node.extents(0)?;
    let number = |index: usize| u64::try_from(*node.input(index)?.integers()?.first()?).ok();
    let length = match node.input(3) {
        Some(_) => number(3)?,
        None => *node.extents(2)?.first()?,
    };
    let frames = signal.get(1)?.checked_sub(length).map_or(0, |room| room / number(1).unwrap_or(1).max(1) + 1);
    let bins = if node.int("onesided", 1) != 0 { length / 2 + 1 } else { length };
    let value = Value::new(node.element(0), vec![signal[0], frames, bins, 2]);
    Outcome::new(vec![value], product(&[signal[0], frames, transform(length), 2]))
}

/// A window of so many numbers.
pub(super) fn window(node: &Node) -> Option<Outcome> {
    let length = u64::try_from(*node.input(0)?.integers()?.first()?).unwrap_or(0);
    let element = node.element_in("output_datatype").or(Some(Element::Fp32));
    Outcome::each(Value::new(element, vec![length]), 16)
}

pub(super) fn mel(node: &Node) -> Option<Outcome> {
    let number = |index: usize| Some(u64::try_from(*node.input(index)?.integers()?.first()?).unwrap_or(0));
    let extents = vec![number(1)? / 2 + 1, number(0)?];
    Outcome::each(Value::new(node.element_in("output_datatype").or(Some(Element::Fp32)), extents), 1)
}

/// `CausalConvWithState`: a convolution along the last axis, and the columns that the next one begins with.
pub(super) fn causal_conv(node: &Node) -> Option<Outcome> {
    let (&[batch, channels, _], &[.., taps]) = (node.extents(0)?, node.extents(1)?) else { return None };
    let value = Value { numbers: None, ..node.input(0)?.clone() };
    let state = Value::new(node.element(0), vec![batch, channels, taps.saturating_sub(1)]);
    let operations = value.elements()?.saturating_mul(taps);
    Outcome::new(vec![value, state], operations)
}

/// `LinearAttention`: heads side by side, and a matrix of each as the state.
pub(super) fn linear_attention(node: &Node) -> Option<Outcome> {
    let (&[batch, length, width], &[.., v_width]) = (node.extents(0)?, node.extents(2)?) else { return None };
    let heads = |name| u64::try_from(node.int(name, 0)).ok().filter(|&heads| heads > 0);
    let (q_heads, kv_heads) = (heads("q_num_heads")?, heads("kv_num_heads")?);
    let (depth, v_depth) = (width / q_heads, v_width / kv_heads);
    let element = node.element(0);
    let value = Value::new(element, vec![batch, length, q_heads.saturating_mul(v_depth)]);
    let state = Value::new(node.element(3).or(element), vec![batch, kv_heads, depth, v_depth]);
    let operations = product(&[batch, length, q_heads.max(kv_heads), depth, v_depth, 4]);
    Outcome::new(vec![value, state], operations)
}
