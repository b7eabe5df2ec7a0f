//! What is added to the scores of attention, so that a softmax passes over it.

use super::super::build::Builder;
use burst_host::nouns::Element;

/// How many queries and keys there are, as lists of one number, and a value of the type of scores.
pub struct Scores<'a> {
    pub queries: &'a str,
    pub keys: &'a str,
    pub like: &'a str,
}

/// Of a mask of 0 and 1 for each key, or of the lengths of rows: the filter where keys are not seen.
pub fn padding(builder: &mut Builder<'_>, mask: &str, batch: &str, scores: &Scores<'_>) -> Result<String, String> {
    let rank = builder.facts.rank(mask).ok_or("a mask whose number of axes is not told")?;
    let mask = builder.cast(mask, Element::I64);
    let one = builder.long(1)?;
    let seen = match rank {
        1 => {
            let mask = between(builder, &mask, batch, scores)?;
            builder.reshape(&mask, &[0, 1, 1, -1])?
        }
        2 | 3 => {
            let own = builder.add("GreaterOrEqual", &[&mask, &one], &[]);
            let shape: &[i64] = if rank == 2 { &[0, 1, 1, -1] } else { &[0, 1, 0, -1] };
            if rank == 2 { builder.reshape(&own, shape)? } else { builder.unsqueeze(&own, &[1])? }
        }
        _ => return Err(format!("a mask of {rank} axes")),
    };
    let zero = builder.number(0.0, scores.like)?;
    let filter = builder.number(builder.float("mask_filter_value", -10_000.0), scores.like)?;
    Ok(builder.add("Where", &[&seen, &zero, &filter], &[]))
}

/// Keys before the end of their row, and not before its start where starts come behind the ends.
fn between(builder: &mut Builder<'_>, ends: &str, batch: &str, scores: &Scores<'_>) -> Result<String, String> {
    let (zero, twice) = (builder.long(0)?, builder.add("Add", &[batch, batch], &[]));
    let nothing = builder.add("Expand", &[&zero, batch], &[]);
    let both = builder.concat(&[ends, &nothing], 0);
    let first = builder.longs(&[0])?;
    let ends = builder.slice_by(&both, 0, &first, batch)?;
    let starts = builder.slice_by(&both, 0, batch, &twice)?;
    let (ends, starts) = (builder.reshape(&ends, &[-1, 1])?, builder.reshape(&starts, &[-1, 1])?);
    let keys = builder.counted(scores.keys)?;
    let before = builder.add("Less", &[&keys, &ends], &[]);
    let after = builder.add("GreaterOrEqual", &[&keys, &starts], &[]);
    Ok(builder.add("And", &[&before, &after], &[]))
}

/// Whether a key lies behind its query, where the last query is at the last key.
pub fn ahead(builder: &mut Builder<'_>, scores: &Scores<'_>) -> Result<String, String> {
    let past = builder.add("Sub", &[scores.keys, scores.queries], &[]);
    let queries = builder.counted(scores.queries)?;
    let at = builder.add("Add", &[&queries, &past], &[]);
    let at = builder.reshape(&at, &[-1, 1])?;
    let keys = builder.counted(scores.keys)?;
    Ok(builder.add("Greater", &[&keys, &at], &[]))
}

/// The lowest number where nothing is seen, else what is added already.
pub fn hidden(
    builder: &mut Builder<'_>,
    hidden: &str,
    added: Option<String>,
    scores: &Scores<'_>,
) -> Result<String, String> {
    let lowest = builder.number(f32::MIN, scores.like)?;
    let added = match added {
        Some(added) => added,
        None => builder.number(0.0, scores.like)?,
    };
    Ok(builder.add("Where", &[hidden, &lowest, &added], &[]))
}

/// The sum of those that are there.
pub fn sum(builder: &mut Builder<'_>, a: Option<String>, b: Option<String>) -> Option<String> {
    match (a, b) {
        (Some(a), Some(b)) => Some(builder.add("Add", &[&a, &b], &[])),
        (a, b) => a.or(b),
    }
}
