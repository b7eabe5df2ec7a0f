//! Attention with as many heads for keys as for queries.

use super::{
    super::build::{Builder, Outcome},
    mask::{self, Scores},
};
use burst_host::nouns::{Attribute, Element};

/// Queries, keys and values, heads on an axis before places.
pub struct Sides {
    pub q: String,
    pub k: String,
    pub v: String,
}

/// Heads on an axis of their own, behind places.
pub fn apart(builder: &mut Builder<'_>, x: &str, heads: i64) -> Result<String, String> {
    let x = match builder.facts.rank(x) {
        Some(3) => x.to_owned(),
        Some(rank) => return Err(format!("an input of {rank} axes")),
        // Fails where there are four axes.
        None => builder.transpose(x, &[0, 1, 2]),
    };
    builder.reshape(&x, &[0, 0, heads, -1])
}

/// Heads before places, or back.
pub fn outwards(builder: &mut Builder<'_>, x: &str) -> String {
    builder.transpose(x, &[0, 2, 1, 3])
}

/// Queries by keys, scaled.
pub fn scores(builder: &mut Builder<'_>, q: &str, k: &str) -> Result<String, String> {
    let turned = builder.transpose(k, &[0, 1, 3, 2]);
    let products = builder.add("MatMul", &[q, &turned], &[]);
    let scale = builder.float("scale", 0.0);
    if scale != 0.0 {
        let scale = builder.number(scale, q)?;
        return Ok(builder.add("Mul", &[&products, &scale], &[]));
    }
    let width = builder.extent(q, 3)?;
    let width = builder.cast(&width, Element::Fp32);
    let root = builder.add("Sqrt", &[&width], &[]);
    let root = builder.cast_like(&root, q);
    Ok(builder.add("Div", &[&products, &root], &[]))
}

/// What weights let through of values, heads beside each other.
pub fn mixed(builder: &mut Builder<'_>, weights: &str, v: &str) -> Result<String, String> {
    let y = builder.add("MatMul", &[weights, v], &[]);
    let y = outwards(builder, &y);
    builder.reshape(&y, &[0, 0, -1])
}

/// Scores with what hides keys, a softmax, and values. The inputs are a mask and a bias.
fn attend(builder: &mut Builder<'_>, sides: &Sides, masked: usize, bias: usize) -> Result<String, String> {
    let (queries, keys) = (builder.extent(&sides.q, 2)?, builder.extent(&sides.k, 2)?);
    let shape = Scores { queries: &queries, keys: &keys, like: &sides.q };
    let mut added = None;
    if let Some(given) = builder.input(masked) {
        let batch = builder.extent(&sides.q, 0)?;
        added = Some(mask::padding(builder, &given, &batch, &shape)?);
    }
    let bias = builder.input(bias);
    added = mask::sum(builder, added, bias);
    if builder.int("unidirectional", 0) == 1 {
        let ahead = mask::ahead(builder, &shape)?;
        added = Some(mask::hidden(builder, &ahead, added, &shape)?);
    }
    let mut scores = scores(builder, &sides.q, &sides.k)?;
    if let Some(added) = added {
        scores = builder.add("Add", &[&scores, &added], &[]);
    }
    let weights = builder.softmax(&scores);
    mixed(builder, &weights, &sides.v)
}

fn heads(builder: &Builder<'_>, name: &str) -> Result<i64, String> {
    let heads = builder.int(name, 0);
    if heads > 0 { Ok(heads) } else { Err(format!("`{name}` has to be above 0")) }
}

/// The first `from` to `to` of the last axis, heads before places.
fn part(builder: &mut Builder<'_>, x: &str, [from, to]: [i64; 2], heads: i64) -> Result<String, String> {
    let part = builder.slice(x, -1, from, to)?;
    let part = apart(builder, &part, heads)?;
    Ok(outwards(builder, &part))
}

/// One product gives queries, keys and values.
pub fn packed(builder: &mut Builder<'_>) -> Outcome {
    builder.only("do_rotary", 0)?;
    builder.only("past_present_share_buffer", 0)?;
    builder.without(&[(6, "`past_sequence_length`")])?;
    let (x, weights, heads) = (builder.needed(0)?, builder.needed(1)?, heads(builder, "num_heads")?);
    let [q, k, v] = match (builder.ints("qkv_hidden_sizes"), builder.facts.extents(&weights).as_deref()) {
        (&[q, k, v], _) => [q, k, v],
        ([], Some([_, Some(whole)])) if whole % 3 == 0 => [(whole / 3) as i64; 3],
        _ => return Err("weights whose extents are not told".into()),
    };
    let mut all = builder.add("MatMul", &[&x, &weights], &[]);
    if let Some(bias) = builder.input(2) {
        all = builder.add("Add", &[&all, &bias], &[]);
    }
    let mut sides = Sides {
        q: part(builder, &all, [0, q], heads)?,
        k: part(builder, &all, [q, q + k], heads)?,
        v: part(builder, &all, [q + k, q + k + v], heads)?,
    };
    if let Some(past) = builder.input(4) {
        for (index, side) in [&mut sides.k, &mut sides.v].into_iter().enumerate() {
            let index = builder.long(index as i64)?;
            let before = builder.gather(&past, &index, 0);
            *side = builder.concat(&[&before, side], 2);
        }
    }
    if builder.wants(1) {
        let (k, v) = (builder.unsqueeze(&sides.k, &[0])?, builder.unsqueeze(&sides.v, &[0])?);
        let present = builder.concat(&[&k, &v], 0);
        builder.result(1, &present);
    }
    let y = attend(builder, &sides, 3, 5)?;
    builder.done(&y)
}

/// Queries, keys and values as they come; without keys all are in one, without values they are with the keys.
pub fn multi_head(builder: &mut Builder<'_>) -> Outcome {
    builder.without(&[(8, "`past_sequence_length`"), (9, "`cache_indirection`")])?;
    if builder.wants(3) {
        return Err("its scores".into());
    }
    let (given, heads) = (builder.needed(0)?, heads(builder, "num_heads")?);
    let bias = biases(builder)?;
    let add = |builder: &mut Builder<'_>, x: &str, index: usize| match &bias {
        Some(bias) => builder.add("Add", &[x, &bias[index]], &[]),
        None => x.to_owned(),
    };
    let flat = |builder: &mut Builder<'_>, x: &str, index: usize| -> Result<String, String> {
        let x = add(builder, x, index);
        let x = apart(builder, &x, heads)?;
        Ok(outwards(builder, &x))
    };
    let of = |builder: &mut Builder<'_>, x: &str, at: i64, index: usize| -> Result<String, String> {
        let at = builder.long(at)?;
        let one = builder.gather(x, &at, 3);
        let one = builder.reshape(&one, &[0, 0, -1])?;
        flat(builder, &one, index)
    };
    let mut sides = match (builder.input(1), builder.input(2)) {
        (None, _) => {
            Sides { q: of(builder, &given, 0, 0)?, k: of(builder, &given, 1, 1)?, v: of(builder, &given, 2, 2)? }
        }
        (Some(both), None) => {
            Sides { q: flat(builder, &given, 0)?, k: of(builder, &both, 0, 1)?, v: of(builder, &both, 1, 2)? }
        }
        // Keys and values of another sequence, their heads before places already.
        (Some(k), Some(v)) if builder.facts.rank(&k) == Some(4) => Sides { q: flat(builder, &given, 0)?, k, v },
        (Some(k), Some(v)) => {
            Sides { q: flat(builder, &given, 0)?, k: flat(builder, &k, 1)?, v: flat(builder, &v, 2)? }
        }
    };
    for (side, past) in [(&mut sides.k, 6), (&mut sides.v, 7)] {
        if let Some(past) = builder.input(past) {
            *side = builder.concat(&[&past, side], 2);
        }
    }
    builder.result(1, &sides.k);
    builder.result(2, &sides.v);
    let y = attend(builder, &sides, 4, 5)?;
    builder.done(&y)
}

/// The biases of queries, keys and values, from one list of all three.
fn biases(builder: &mut Builder<'_>) -> Result<Option<[String; 3]>, String> {
    let Some(bias) = builder.input(3) else { return Ok(None) };
    let extents = builder.facts.extents(&bias);
    let Some([Some(whole)]) = extents.as_deref() else { return Err("a bias whose length is not told".into()) };
    let told = |builder: &Builder<'_>, index: usize| {
        let extents = builder.facts.extents(&builder.input(index)?)?;
        if extents.len() == 3 { extents.last().copied().flatten() } else { None }
    };
    // Values may be wider or narrower than the others.
    let width = told(builder, 0).unwrap_or(whole / 3) as i64;
    Ok(Some([
        builder.slice(&bias, 0, 0, width)?,
        builder.slice(&bias, 0, width, 2 * width)?,
        builder.slice(&bias, 0, 2 * width, i64::MAX)?,
    ]))
}

/// A softmax of scores with one more, which is dropped again: a weight may go to nothing.
pub fn sunk(builder: &mut Builder<'_>, scores: &str, sink: &str) -> Result<String, String> {
    let first = builder.slice(scores, 3, 0, 1)?;
    let shape = builder.add("Shape", &[&first], &[]);
    let column = builder.add("Expand", &[sink, &shape], &[]);
    let more = builder.add("Concat", &[scores, &column], &[("axis", Attribute::Int(3))]);
    let weights = builder.softmax(&more);
    builder.slice(&weights, 3, 0, -1)
}
