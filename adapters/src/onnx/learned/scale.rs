//! Features moved and stretched, each by itself or a row at a time.

use super::super::build::{Builder, Outcome};
use burst_host::nouns::{Attribute, Element};

/// The first input as FP32.
pub fn floats(builder: &mut Builder<'_>) -> Result<String, String> {
    let x = builder.needed(0)?;
    Ok(builder.cast(&x, Element::Fp32))
}

/// (x - offset) · scale
pub fn scale(builder: &mut Builder<'_>) -> Outcome {
    let mut y = floats(builder)?;
    for (name, kind) in [("offset", "Sub"), ("scale", "Mul")] {
        let values = builder.floats(name);
        if !values.is_empty() {
            let values = builder.tensor(Element::Fp32, &[values.len()], values)?;
            y = builder.add(kind, &[&y, &values], &[]);
        }
    }
    builder.done(&y)
}

/// 1 above the threshold, else 0.
pub fn binarize(builder: &mut Builder<'_>) -> Outcome {
    let x = builder.needed(0)?;
    let threshold = builder.number(builder.float("threshold", 0.0), &x)?;
    let above = builder.add("Greater", &[&x, &threshold], &[]);
    let y = builder.cast_like(&above, &x);
    builder.done(&y)
}

/// Rows divided by their largest number, by the sum of absolutes or by their length; zeros stay.
pub fn normalize(builder: &mut Builder<'_>) -> Outcome {
    let x = floats(builder)?;
    let norm = builder.text("norm", "MAX");
    let size = match norm.as_str() {
        "MAX" => builder.reduce("ReduceMax", &x, &[-1])?,
        "L1" => {
            let absolutes = builder.add("Abs", &[&x], &[]);
            builder.reduce("ReduceSum", &absolutes, &[-1])?
        }
        "L2" => {
            let squares = builder.add("Mul", &[&x, &x], &[]);
            let sum = builder.reduce("ReduceSum", &squares, &[-1])?;
            builder.add("Sqrt", &[&sum], &[])
        }
        other => return Err(format!("`norm` {other}")),
    };
    let (zero, one) = (builder.number(0.0, &x)?, builder.number(1.0, &x)?);
    let nothing = builder.add("Equal", &[&size, &zero], &[]);
    let size = builder.add("Where", &[&nothing, &one, &size], &[]);
    let y = builder.add("Div", &[&x, &size], &[]);
    builder.done(&y)
}

/// Another number in the place of one that says that there is none.
pub fn impute(builder: &mut Builder<'_>) -> Outcome {
    let x = builder.needed(0)?;
    let (floats, ints) = (builder.floats("imputed_value_floats"), builder.ints("imputed_value_int64s"));
    let (missing, instead) = if ints.is_empty() {
        let replaced = builder.float("replaced_value_float", 0.0);
        let missing = if replaced.is_nan() {
            builder.add("IsNaN", &[&x], &[])
        } else {
            let replaced = builder.number(replaced, &x)?;
            builder.add("Equal", &[&x, &replaced], &[])
        };
        (missing, builder.floats_like(&[floats.len()], floats, &x)?)
    } else {
        let replaced = builder.long(builder.int("replaced_value_int64", 0))?;
        (builder.add("Equal", &[&x, &replaced], &[]), builder.longs(ints)?)
    };
    if floats.is_empty() && ints.is_empty() {
        return Err("no imputed values".into());
    }
    let y = builder.add("Where", &[&missing, &instead, &x], &[]);
    builder.done(&y)
}

/// The axis of features, the last.
pub const LAST: (&str, Attribute) = ("axis", Attribute::Int(-1));
