//! Attention whose heads share keys and values, which are kept from step to step.

use super::{
    super::build::{Builder, Outcome},
    attention::{apart, mixed, outwards, scores, sunk},
    mask::{self, Scores},
    rotary::rotate,
};
use burst_host::nouns::Element;

/// What a step knows of where it stands.
struct Places {
    /// Keys before this step, for each row: a column.
    past: String,
    /// The places of queries, a row each.
    queries: String,
}

pub fn attention(builder: &mut Builder<'_>) -> Outcome {
    builder.without(&[(12, "`k_scale`"), (13, "`v_scale`")])?;
    builder.only("qk_output", 0)?;
    let (heads, shared) = (builder.int("num_heads", 0), builder.int("kv_num_heads", 0));
    if heads <= 0 || shared <= 0 || heads % shared != 0 {
        return Err(format!("{heads} heads that share {shared}"));
    }
    let [mut q, mut k, v] = sides(builder, heads, shared)?;
    let step = builder.extent(&q, 2)?;
    let places = places(builder, &step)?;
    if builder.int("do_rotary", 0) == 1 {
        let (cosines, sines) = (builder.needed(7)?, builder.needed(8)?);
        let ids = builder.input(9).unwrap_or_else(|| places.queries.clone());
        q = rotate(builder, &q, [&cosines, &sines], &ids);
        k = rotate(builder, &k, [&cosines, &sines], &ids);
    }
    let (k, v) = (kept(builder, &k, 3, &places, &step)?, kept(builder, &v, 4, &places, &step)?);
    builder.result(1, &k);
    builder.result(2, &v);
    let (k, v) = (repeated(builder, &k, heads, shared)?, repeated(builder, &v, heads, shared)?);
    let scores = seen(builder, &q, &k, &places, &step)?;
    let weights = match builder.input(11) {
        Some(sink) => {
            let sink = builder.reshape(&sink, &[1, -1, 1, 1])?;
            let sink = builder.cast_like(&sink, &scores);
            sunk(builder, &scores, &sink)?
        }
        None if builder.int("smooth_softmax", 0) == 1 => {
            let nothing = builder.number(0.0, &scores)?;
            sunk(builder, &scores, &nothing)?
        }
        None => builder.softmax(&scores),
    };
    let y = mixed(builder, &weights, &v)?;
    builder.done(&y)
}

/// Queries, keys and values, which may come as one.
fn sides(builder: &mut Builder<'_>, heads: i64, shared: i64) -> Result<[String; 3], String> {
    let given = builder.needed(0)?;
    let parts = match (builder.input(1), builder.input(2)) {
        (Some(k), Some(v)) => {
            [apart(builder, &given, heads)?, apart(builder, &k, shared)?, apart(builder, &v, shared)?]
        }
        _ => {
            let all = apart(builder, &given, heads + 2 * shared)?;
            [
                builder.slice(&all, 2, 0, heads)?,
                builder.slice(&all, 2, heads, heads + shared)?,
                builder.slice(&all, 2, heads + shared, i64::MAX)?,
            ]
        }
    };
    Ok(parts.map(|part| outwards(builder, &part)))
}

fn places(builder: &mut Builder<'_>, step: &str) -> Result<Places, String> {
    let lengths = builder.needed(5)?;
    let lengths = builder.cast(&lengths, Element::I64);
    let lengths = builder.reshape(&lengths, &[-1, 1])?;
    let (one, none) = (builder.long(1)?, builder.long(0)?);
    let whole = builder.add("Add", &[&lengths, &one], &[]);
    let past = builder.add("Sub", &[&whole, step], &[]);
    // A first step may be longer than its row.
    let past = builder.add("Max", &[&past, &none], &[]);
    let counted = builder.counted(step)?;
    let queries = builder.add("Add", &[&past, &counted], &[]);
    Ok(Places { past, queries })
}

/// Those that were kept, and behind them, row by row, those of this step; zeros where a row ends early.
fn kept(builder: &mut Builder<'_>, x: &str, past: usize, places: &Places, step: &str) -> Result<String, String> {
    let Some(before) = builder.input(past) else { return Ok(x.to_owned()) };
    let (room, total) = (builder.extent(&before, 2)?, builder.needed(6)?);
    let total = builder.cast(&total, Element::I64);
    let total = builder.reshape(&total, &[1])?;
    let length = builder.add("Max", &[&room, &total], &[]);
    let all = builder.concat(&[&before, x], 2);
    let at = builder.counted(&length)?;
    let old = builder.add("Less", &[&at, &places.past], &[]);
    let end = builder.add("Add", &[&places.past, step], &[]);
    let within = builder.add("Less", &[&at, &end], &[]);
    let moved = builder.add("Sub", &[&at, &places.past], &[]);
    let moved = builder.add("Add", &[&moved, &room], &[]);
    let first = builder.long(0)?;
    let moved = builder.add("Where", &[&within, &moved, &first], &[]);
    let from = builder.add("Where", &[&old, &at, &moved], &[]);
    // One number for each key, the same for all heads.
    let from = builder.unsqueeze(&from, &[1, 3])?;
    let within = builder.unsqueeze(&within, &[1, 3])?;
    let shape = builder.add("Shape", &[x], &[]);
    let (outer, width) = (builder.slice(&shape, 0, 0, 2)?, builder.slice(&shape, 0, 3, 4)?);
    let shape = builder.concat(&[&outer, &length, &width], 0);
    let from = builder.add("Expand", &[&from, &shape], &[]);
    let found = builder.add("GatherElements", &[&all, &from], &[("axis", burst_host::nouns::Attribute::Int(2))]);
    let nothing = builder.number(0.0, x)?;
    Ok(builder.add("Where", &[&within, &found, &nothing], &[]))
}

/// Each of the shared heads as often as it is shared.
fn repeated(builder: &mut Builder<'_>, x: &str, heads: i64, shared: i64) -> Result<String, String> {
    if heads == shared {
        return Ok(x.to_owned());
    }
    let shape = builder.add("Shape", &[x], &[]);
    let (batch, rest) = (builder.slice(&shape, 0, 0, 1)?, builder.slice(&shape, 0, 2, 4)?);
    let count = builder.longs(&[heads])?;
    let whole = builder.concat(&[&batch, &count, &rest], 0);
    let x = builder.unsqueeze(x, &[2])?;
    let times = builder.longs(&[1, 1, heads / shared, 1, 1])?;
    let x = builder.add("Expand", &[&x, &times], &[]);
    Ok(builder.add("Reshape", &[&x, &whole], &[]))
}

/// Scores of queries and the keys that are theirs to see.
fn seen(builder: &mut Builder<'_>, q: &str, k: &str, places: &Places, step: &str) -> Result<String, String> {
    let keys = builder.extent(k, 2)?;
    let shape = Scores { queries: step, keys: &keys, like: q };
    let at = builder.counted(&keys)?;
    let queries = builder.unsqueeze(&places.queries, &[1, 3])?;
    let mut hidden = builder.add("Greater", &[&at, &queries], &[]);
    let window = builder.int("local_window_size", -1);
    if window >= 0 {
        // A window of one is the query's own place.
        let window = builder.long(window - 1)?;
        let first = builder.add("Sub", &[&queries, &window], &[]);
        let before = builder.add("Less", &[&at, &first], &[]);
        hidden = builder.add("Or", &[&hidden, &before], &[]);
    }
    let bias = builder.input(10);
    let added = mask::hidden(builder, &hidden, bias, &shape)?;
    let mut scores = scores(builder, q, k)?;
    let cap = builder.float("softcap", 0.0);
    if cap > 0.0 {
        let cap = builder.number(cap, q)?;
        let part = builder.add("Div", &[&scores, &cap], &[]);
        let part = builder.add("Tanh", &[&part], &[]);
        scores = builder.add("Mul", &[&part, &cap], &[]);
    }
    Ok(builder.add("Add", &[&scores, &added], &[]))
}
