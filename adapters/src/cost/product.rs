//! Products of matrices, and attention.

use super::{
    node::{Node, Outcome},
    pointwise::together,
    value::{Value, product},
};
use burst_host::nouns::Element;
use std::collections::BTreeMap;

/// Two factors, with their axes before the last two broadcast.
fn multiplied(a: &[u64], b: &[u64]) -> Option<(Vec<u64>, u64)> {
    let (row, column) = (a.len() == 1, b.len() == 1);
    let a = if row { [&[1], a].concat() } else { a.to_vec() };
    let b = if column { [b, &[1]].concat() } else { b.to_vec() };
    let (outer_a, &[rows, depth]) = a.split_last_chunk()?;
    let (outer_b, &[_, columns]) = b.split_last_chunk()?;
    let mut extents = together(outer_a, outer_b)?;
    extents.extend((!row).then_some(rows));
    extents.extend((!column).then_some(columns));
    Some((extents, depth))
}

fn matrices(node: &Node, [a, b]: [usize; 2], element: Option<Element>) -> Option<Outcome> {
    let (extents, depth) = multiplied(node.extents(a)?, node.extents(b)?)?;
    let at_most = node.inputs.iter().any(|input| input.at_most);
    Outcome::each(Value { at_most, ..Value::new(element, extents) }, depth)
}

pub(super) fn matmul(node: &Node) -> Option<Outcome> {
    matrices(node, [0, 1], node.element(0))
}

pub(super) fn matmul_integer(node: &Node) -> Option<Outcome> {
    matrices(node, [0, 1], Some(Element::I32))
}

pub(super) fn matmul_quantized(node: &Node) -> Option<Outcome> {
    matrices(node, [0, 3], node.element(7))
}

pub(super) fn gemm(node: &Node) -> Option<Outcome> {
    let (&[a0, a1], &[b0, b1]) = (node.extents(0)?, node.extents(1)?) else { return None };
    let (rows, depth) = if node.int("transA", 0) == 0 { (a0, a1) } else { (a1, a0) };
    let columns = if node.int("transB", 0) == 0 { b1 } else { b0 };
    Outcome::each(Value::new(node.element(0), vec![rows, columns]), depth)
}

/// All its letters at once: what a product of several factors comes to where no two of them are multiplied before.
pub(super) fn einsum(node: &Node) -> Option<Outcome> {
    let equation: String = node.text("equation").chars().filter(|letter| !letter.is_whitespace()).collect();
    let (inputs, output) = match equation.split_once("->") {
        Some((inputs, output)) => (inputs.to_owned(), Some(output.to_owned())),
        None => (equation.clone(), None),
    };
    let (mut letters, mut wide) = (BTreeMap::<char, u64>::new(), Vec::new());
    let mut once = BTreeMap::<char, usize>::new();
    for (index, term) in inputs.split(',').enumerate() {
        let extents = node.extents(index)?;
        let dots = extents.len().checked_sub(term.chars().filter(|letter| *letter != '.').count())?;
        let (before, after) = term.split_once("...").map_or((term, ""), |parts| parts);
        for (letter, &extent) in before.chars().zip(extents).chain(after.chars().rev().zip(extents.iter().rev())) {
            let known = letters.entry(letter).or_insert(extent);
            *known = extent.max(*known);
            *once.entry(letter).or_default() += 1;
        }
        let before = before.chars().count();
        wide = together(&wide, extents.get(before..before + if term.contains("...") { dots } else { 0 })?)?;
    }
    let output = output.unwrap_or_else(|| {
        let alone = once.iter().filter(|(_, times)| **times == 1).map(|(letter, _)| *letter);
        format!("{}{}", if inputs.contains("...") { "..." } else { "" }, alone.collect::<String>())
    });
    let mut extents = Vec::new();
    let (before, after) =
        output.split_once("...").map_or((output.as_str(), None), |(before, after)| (before, Some(after)));
    extents.extend(before.chars().map(|letter| letters.get(&letter).copied()).collect::<Option<Vec<_>>>()?);
    if let Some(after) = after {
        extents.extend(&wide);
        extents.extend(after.chars().map(|letter| letters.get(&letter).copied()).collect::<Option<Vec<_>>>()?);
    }
    let all: Vec<u64> = letters.values().copied().chain(wide).collect();
    let factors = inputs.split(',').count() as u64;
    Outcome::new(vec![Value::new(node.element(0), extents)], product(&all).saturating_mul(factors))
}

pub(super) fn determinant(node: &Node) -> Option<Outcome> {
    let (outer, &[_, length]) = node.extents(0)?.split_last_chunk()?;
    Outcome::each(Value::new(node.element(0), outer.to_vec()), length.saturating_mul(length).saturating_mul(length))
}

/// `Attention` of ONNX: heads as an axis of their own, or side by side.
pub(super) fn attention(node: &Node) -> Option<Outcome> {
    let (q, k, v) = (node.extents(0)?, node.extents(1)?, node.extents(2)?);
    let heads = |name, count: u64| u64::try_from(node.int(name, 0)).ok().filter(|&heads| heads > 0).unwrap_or(count);
    let apart = |extents: &[u64], name| match *extents {
        [batch, heads, length, depth] => Some([batch, heads, length, depth]),
        [batch, length, width] => {
            let heads = heads(name, 1);
            Some([batch, heads, length, width.checked_div(heads)?])
        }
        _ => None,
    };
    let [batch, q_heads, length, depth] = apart(q, "q_num_heads")?;
    let [_, kv_heads, given, _] = apart(k, "kv_num_heads")?;
    let [.., v_depth] = apart(v, "kv_num_heads")?;
    let past = node.extents(4).and_then(|past| past.get(2).copied()).unwrap_or(0);
    let whole = given.saturating_add(past);
    let result = match q.len() {
        4 => vec![batch, q_heads, length, v_depth],
        _ => vec![batch, length, q_heads.saturating_mul(v_depth)],
    };
    let element = node.element(0);
    let cache = |depth| Value::new(element, vec![batch, kv_heads, whole, depth]);
    let scores = Value::new(element, vec![batch, q_heads, length, whole]);
    let results = vec![Value::new(element, result), cache(depth), cache(v_depth), scores.clone()];
    let operations = scores.elements()?.saturating_mul(depth.saturating_add(v_depth).saturating_add(16));
    let mut outcome = Outcome::new(results.into_iter().take(node.outputs()).collect(), operations)?;
    outcome.scratch_bytes = scores.bytes()?;
    Some(outcome)
}

pub(super) fn rotary(node: &Node) -> Option<Outcome> {
    let value = Value { numbers: None, ..node.input(0)?.clone() };
    Outcome::each(value, 4)
}
