//! Features chosen and put beside each other.

use super::{
    super::build::{Builder, Outcome},
    scale::LAST,
};
use burst_host::nouns::Element;

/// Some of the last axis; of a list, as a row.
pub fn extract(builder: &mut Builder<'_>) -> Outcome {
    let (x, indices) = (builder.needed(0)?, builder.needed(1)?);
    let indices = builder.reshape(&indices, &[-1])?;
    let rank = builder.facts.rank(&x);
    let mut y = builder.add("Gather", &[&x, &indices], &[LAST]);
    match rank {
        Some(1) => y = builder.reshape(&y, &[1, -1])?,
        Some(_) => {}
        // ONNX Runtime makes a row of a list, and leaves the rest as it is.
        None => return Err("an input whose number of axes is not told".into()),
    }
    builder.done(&y)
}

/// All inputs, each filled with zeros to its dimension or cut to it.
pub fn join(builder: &mut Builder<'_>) -> Outcome {
    let dimensions = builder.ints("inputdimensions");
    let mut parts = Vec::new();
    for index in 0..builder.op.inputs.len() {
        let width = *dimensions.get(index).ok_or("an input without a dimension")?;
        let x = builder.needed(index)?;
        let x = builder.cast(&x, Element::Fp32);
        let rank = builder.facts.rank(&x).ok_or("an input whose number of axes is not told")?;
        let x = if rank == 1 { builder.reshape(&x, &[1, -1])? } else { builder.add("Flatten", &[&x], &[]) };
        let rows = builder.extent(&x, 0)?;
        let width = builder.longs(&[width])?;
        let shape = builder.concat(&[&rows, &width], 0);
        let zero = builder.number(0.0, &x)?;
        let zeros = builder.add("Expand", &[&zero, &shape], &[]);
        let filled = builder.add("Concat", &[&x, &zeros], &[LAST]);
        let first = builder.longs(&[0])?;
        parts.push(builder.slice_by(&filled, 1, &first, &width)?);
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let y = builder.concat(&parts, 1);
    builder.done(&y)
}
