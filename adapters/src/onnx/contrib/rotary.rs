//! Rotary embeddings, and where their tokens stand.

use super::super::build::{Builder, Outcome};
use burst_host::nouns::{Attribute, Element};

/// Positions are one for each token, or one number that all are counted from.
pub fn embedding(builder: &mut Builder<'_>) -> Outcome {
    if builder.float("scale", 1.0) != 1.0 {
        return Err("`scale`".into());
    }
    builder.only("is_packed_batching", 0)?;
    let (x, ids) = (builder.needed(0)?, builder.needed(1)?);
    let (cosines, sines) = (builder.needed(2)?, builder.needed(3)?);
    let rank = builder.facts.rank(&x).ok_or("an input whose number of axes is not told")?;
    let places = builder.extent(&x, if rank == 4 { 2 } else { 1 })?;
    let batch = builder.extent(&x, 0)?;
    let ids = positions(builder, &ids, &batch, &places)?;
    let half = builder.facts.extents(&cosines).and_then(|extents| *extents.last()?);
    let [cosines, sines] = looked_up(builder, [&cosines, &sines], &ids);
    let mut attributes = vec![("interleaved", Attribute::Int(builder.int("interleaved", 0)))];
    let (heads, rotated) = (builder.int("num_heads", 0), builder.int("rotary_embedding_dim", 0));
    if rank == 4 || heads > 0 {
        attributes.extend([("num_heads", Attribute::Int(heads)), ("rotary_embedding_dim", Attribute::Int(rotated))]);
        let y = builder.add("RotaryEmbedding", &[&x, &cosines, &sines], &attributes);
        return builder.done(&y);
    }
    // Heads are as wide as the tables say.
    let width = 2 * half.ok_or("tables whose extents are not told")? as i64;
    let shape = builder.add("Shape", &[&x], &[]);
    let x = builder.reshape(&x, &[0, 0, -1, width])?;
    let x = builder.transpose(&x, &[0, 2, 1, 3]);
    let y = builder.add("RotaryEmbedding", &[&x, &cosines, &sines], &attributes);
    let y = builder.transpose(&y, &[0, 2, 1, 3]);
    let y = builder.add("Reshape", &[&y, &shape], &[]);
    builder.done(&y)
}

fn positions(builder: &mut Builder<'_>, ids: &str, batch: &str, places: &str) -> Result<String, String> {
    let ids = builder.cast(ids, Element::I64);
    let whole = builder.concat(&[batch, places], 0);
    match builder.facts.rank(&ids) {
        Some(2) => Ok(ids),
        Some(1) => {
            let counted = builder.counted(places)?;
            let counted = builder.add("Add", &[&counted, &ids], &[]);
            Ok(builder.add("Expand", &[&counted, &whole], &[]))
        }
        _ => Err("positions whose number of axes is not told".into()),
    }
}

/// The rows of both tables for each position, looked up here: tract's operator takes no position that follows from shapes.
fn looked_up(builder: &mut Builder<'_>, tables: [&str; 2], ids: &str) -> [String; 2] {
    tables.map(|table| builder.gather(table, ids, 0))
}

/// Heads before places, turned by their positions.
pub fn rotate(builder: &mut Builder<'_>, x: &str, [cosines, sines]: [&str; 2], ids: &str) -> String {
    let half = builder.facts.extents(cosines).and_then(|extents| *extents.last()?);
    let [cosines, sines] = looked_up(builder, [cosines, sines], ids);
    let mut attributes = vec![("interleaved", Attribute::Int(builder.int("rotary_interleaved", 0)))];
    attributes.extend(half.map(|half| ("rotary_embedding_dim", Attribute::Int(2 * half as i64))));
    builder.add("RotaryEmbedding", &[x, &cosines, &sines], &attributes)
}
