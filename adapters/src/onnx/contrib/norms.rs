//! Norms of what was added before.

use super::super::build::{Builder, Outcome};
use burst_host::nouns::{Attribute, Element, Tensor};

/// y / √(mean of y² + ε), scaled.
pub fn simplified(builder: &mut Builder<'_>) -> Outcome {
    if builder.wants(1) {
        return Err("its inverse deviation".into());
    }
    let (x, scale) = (builder.needed(0)?, builder.needed(1)?);
    let attributes = [
        ("axis", Attribute::Int(builder.int("axis", -1))),
        ("epsilon", Attribute::Float(builder.float("epsilon", 1e-5))),
    ];
    let y = builder.add("RMSNormalization", &[&x, &scale], &attributes);
    builder.done(&y)
}

/// The sum of what comes, what skipped it and a bias; given out if it is wanted.
fn sum(builder: &mut Builder<'_>, bias: usize) -> Result<String, String> {
    let (x, skip) = (builder.needed(0)?, builder.needed(1)?);
    if builder.wants(1) || builder.wants(2) {
        return Err("its mean and its inverse deviation".into());
    }
    let mut sum = builder.add("Add", &[&x, &skip], &[]);
    if let Some(bias) = builder.input(bias) {
        sum = builder.add("Add", &[&sum, &bias], &[]);
    }
    builder.result(3, &sum);
    Ok(sum)
}

pub fn skip(builder: &mut Builder<'_>) -> Outcome {
    let sum = sum(builder, 4)?;
    let y = layer(builder, &sum, 2, 3)?;
    builder.done(&y)
}

/// A layer norm over the last axis, its scale and bias from these inputs.
fn layer(builder: &mut Builder<'_>, x: &str, scale: usize, bias: usize) -> Result<String, String> {
    let scale = builder.needed(scale)?;
    let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(builder.float("epsilon", 1e-12)))];
    Ok(match builder.input(bias) {
        Some(bias) => builder.add("LayerNormalization", &[x, &scale, &bias], &attributes),
        None => builder.add("LayerNormalization", &[x, &scale], &attributes),
    })
}

pub fn skip_simplified(builder: &mut Builder<'_>) -> Outcome {
    let (sum, scale) = (sum(builder, 3)?, builder.needed(2)?);
    let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(builder.float("epsilon", 1e-12)))];
    let y = builder.add("RMSNormalization", &[&sum, &scale], &attributes);
    builder.done(&y)
}

/// Words, places and segments looked up and added, then a layer norm.
pub fn embed(builder: &mut Builder<'_>) -> Outcome {
    let (ids, words, places) = (builder.needed(0)?, builder.needed(2)?, builder.needed(3)?);
    let words = builder.gather(&words, &ids, 0);
    let places = match builder.input(8) {
        Some(positions) => builder.gather(&places, &positions, 0),
        None => {
            let length = builder.extent(&ids, 1)?;
            let zero = builder.longs(&[0])?;
            builder.slice_by(&places, 0, &zero, &length)?
        }
    };
    let mut sum = builder.add("Add", &[&words, &places], &[]);
    if let (Some(segments), Some(table)) = (builder.input(1), builder.input(4)) {
        let segments = builder.gather(&table, &segments, 0);
        sum = builder.add("Add", &[&sum, &segments], &[]);
    }
    let y = layer(builder, &sum, 5, 6)?;
    builder.result(0, &y);
    builder.result(2, &sum);
    if builder.wants(1) {
        let counts = counts(builder, &ids)?;
        builder.result(1, &counts);
    }
    Ok(true)
}

/// How many words of each row a mask of ones lets through; zeros without one.
fn counts(builder: &mut Builder<'_>, ids: &str) -> Result<String, String> {
    let Some(mask) = builder.input(7) else {
        let batch = builder.extent(ids, 0)?;
        let zero = Tensor::from_slice(Element::I32, [1], &[0i32]).map_err(|error| error.to_string())?;
        return Ok(builder.add("ConstantOfShape", &[&batch], &[("value", Attribute::Tensor(zero))]));
    };
    let mask = builder.cast(&mask, Element::I32);
    let one = builder.tensor(Element::I32, &[], &[1i32])?;
    let seen = builder.add("Equal", &[&mask, &one], &[]);
    let seen = builder.cast(&seen, Element::I32);
    let counts = builder.reduce("ReduceSum", &seen, &[1])?;
    builder.reshape(&counts, &[-1])
}

/// Groups of channels, which may be the last axis.
pub fn group(builder: &mut Builder<'_>) -> Outcome {
    let (x, scale, bias) = (builder.needed(0)?, builder.needed(1)?, builder.needed(2)?);
    let groups = builder.int("groups", 0);
    let count = usize::try_from(groups).ok().filter(|&count| count > 0).ok_or("`groups` has to be above 0")?;
    let last = builder.int("channels_last", 1) == 1;
    let x = if last { builder.transpose(&x, &[0, 3, 1, 2]) } else { x };
    let shape = builder.add("Shape", &[&x], &[]);
    let flat = builder.reshape(&x, &[0, groups, -1])?;
    let ones = builder.floats_like(&[count], &vec![1.0; count], &x)?;
    let zeros = builder.floats_like(&[count], &vec![0.0; count], &x)?;
    let epsilon = [("epsilon", Attribute::Float(builder.float("epsilon", 1e-5)))];
    let normal = builder.add("InstanceNormalization", &[&flat, &ones, &zeros], &epsilon);
    let normal = builder.add("Reshape", &[&normal, &shape], &[]);
    let (scale, bias) = (builder.cast_like(&scale, &x), builder.cast_like(&bias, &x));
    let (scale, bias) = (builder.reshape(&scale, &[-1, 1, 1])?, builder.reshape(&bias, &[-1, 1, 1])?);
    let scaled = builder.add("Mul", &[&normal, &scale], &[]);
    let mut y = builder.add("Add", &[&scaled, &bias], &[]);
    if builder.int("activation", 0) == 1 {
        let share = builder.add("Sigmoid", &[&y], &[]);
        y = builder.add("Mul", &[&y, &share], &[]);
    }
    let y = if last { builder.transpose(&y, &[0, 2, 3, 1]) } else { y };
    builder.done(&y)
}
