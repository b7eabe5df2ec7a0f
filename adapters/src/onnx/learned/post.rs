//! What is done to scores last.

use super::super::build::Builder;

/// Rows of at least two scores, transformed as `post_transform` says. Of a single one only PROBIT makes another.
pub fn transformed(builder: &mut Builder<'_>, y: &str, single: bool) -> Result<String, String> {
    let name = builder.text("post_transform", "NONE");
    transformed_as(builder, &name, y, single)
}

/// The same by the name of the transformation.
pub fn transformed_as(builder: &mut Builder<'_>, name: &str, y: &str, single: bool) -> Result<String, String> {
    Ok(match name {
        "PROBIT" => probit(builder, y)?,
        "NONE" => y.to_owned(),
        "LOGISTIC" | "SOFTMAX" | "SOFTMAX_ZERO" if single => y.to_owned(),
        "LOGISTIC" => builder.add("Sigmoid", &[y], &[]),
        "SOFTMAX" => builder.softmax(y),
        "SOFTMAX_ZERO" => softmax_zero(builder, y)?,
        other => return Err(format!("`post_transform` {other}")),
    })
}

/// A softmax of what is not zero, and what is stays so.
fn softmax_zero(builder: &mut Builder<'_>, y: &str) -> Result<String, String> {
    let (small, zero) = (builder.number(1e-7, y)?, builder.number(0.0, y)?);
    let largest = builder.reduce("ReduceMax", y, &[-1])?;
    let absolute = builder.add("Abs", &[y], &[]);
    let counts = builder.add("Greater", &[&absolute, &small], &[]);
    let below = builder.add("Sub", &[y, &largest], &[]);
    let power = builder.add("Exp", &[&below], &[]);
    let power = builder.add("Where", &[&counts, &power, &zero], &[]);
    let sum = builder.reduce("ReduceSum", &power, &[-1])?;
    Ok(builder.add("Div", &[&power, &sum], &[]))
}

/// √2 · erf⁻¹(2y - 1) with Winitzki's approximation, as ONNX Runtime has it.
fn probit(builder: &mut Builder<'_>, y: &str) -> Result<String, String> {
    let number = |builder: &mut Builder<'_>, value: f32| builder.number(value, y);
    let (one, two, half) = (number(builder, 1.0)?, number(builder, 2.0)?, number(builder, 0.5)?);
    let x = builder.add("Mul", &[y, &two], &[]);
    let x = builder.add("Sub", &[&x, &one], &[]);
    let (below, above) = (builder.add("Sub", &[&one, &x], &[]), builder.add("Add", &[&one, &x], &[]));
    let product = builder.add("Mul", &[&below, &above], &[]);
    let log = builder.add("Log", &[&product], &[]);
    // π · 0.147, with π of six digits as ONNX Runtime has it.
    let (first, second) = (number(builder, 2.0 / 0.461_813_73)?, number(builder, 1.0 / 0.147)?);
    let halved = builder.add("Mul", &[&log, &half], &[]);
    let v = builder.add("Add", &[&first, &halved], &[]);
    let v2 = builder.add("Mul", &[&second, &log], &[]);
    let square = builder.add("Mul", &[&v, &v], &[]);
    let inner = builder.add("Sub", &[&square, &v2], &[]);
    let inner = builder.add("Sqrt", &[&inner], &[]);
    let inner = builder.add("Sub", &[&inner, &v], &[]);
    let size = builder.add("Sqrt", &[&inner], &[]);
    let root = number(builder, std::f32::consts::SQRT_2)?;
    let size = builder.add("Mul", &[&size, &root], &[]);
    let (zero, negative) = (number(builder, 0.0)?, builder.add("Neg", &[&size], &[]));
    let left = builder.add("Less", &[&x, &zero], &[]);
    Ok(builder.add("Where", &[&left, &negative, &size], &[]))
}
