//! Operators between small whole numbers: what these stand for is computed as floats, and made small again.

use super::{
    super::build::{Builder, Outcome},
    products::integer,
};
use burst_host::nouns::{Attribute, Element};

/// The floats that the value of input `at` stands for; its scale and its zero are the two inputs behind it.
fn wide(builder: &mut Builder<'_>, at: usize) -> Result<String, String> {
    let (x, scale) = (builder.needed(at)?, builder.needed(at + 1)?);
    Ok(match builder.input(at + 2) {
        Some(zero) => builder.add("DequantizeLinear", &[&x, &scale, &zero], &[]),
        None => builder.add("DequantizeLinear", &[&x, &scale], &[]),
    })
}

/// Floats as whole numbers by the scale and the zero at these inputs, of the type that another value has.
fn small(builder: &mut Builder<'_>, y: &str, at: usize, like: &str) -> Outcome {
    let scale = builder.needed(at)?;
    let zero = match (builder.input(at + 1), builder.element(like)) {
        (Some(zero), _) => zero,
        (None, Some(Element::I8)) => builder.tensor(Element::I8, &[], &[0i8])?,
        (None, Some(Element::U8)) => builder.tensor(Element::U8, &[], &[0u8])?,
        (None, _) => return Err(format!("no zero for its result, and the element type of `{like}` is not told")),
    };
    let y = builder.add("QuantizeLinear", &[y, &scale, &zero], &[]);
    builder.done(&y)
}

/// One operator of two values.
fn binary(builder: &mut Builder<'_>, kind: &str) -> Outcome {
    let like = builder.needed(0)?;
    let (a, b) = (wide(builder, 0)?, wide(builder, 3)?);
    let y = builder.add(kind, &[&a, &b], &[]);
    small(builder, &y, 6, &like)
}

pub fn add(builder: &mut Builder<'_>) -> Outcome {
    binary(builder, "Add")
}

pub fn multiply(builder: &mut Builder<'_>) -> Outcome {
    binary(builder, "Mul")
}

/// One operator of one value.
fn unary(builder: &mut Builder<'_>, kind: &str, attributes: &[(&str, Attribute)]) -> Outcome {
    let like = builder.needed(0)?;
    let x = wide(builder, 0)?;
    let y = builder.add(kind, &[&x], attributes);
    small(builder, &y, 3, &like)
}

pub fn sigmoid(builder: &mut Builder<'_>) -> Outcome {
    unary(builder, "Sigmoid", &[])
}

pub fn leaky_relu(builder: &mut Builder<'_>) -> Outcome {
    let alpha = Attribute::Float(builder.float("alpha", 0.01));
    unary(builder, "LeakyRelu", &[("alpha", alpha)])
}

/// Before opset 13, which is an attribute too, the axis and all behind it were one.
pub fn softmax(builder: &mut Builder<'_>) -> Outcome {
    let (axis, own) = (builder.int("axis", -1), builder.int("opset", 13));
    if (own < 13) != (builder.opset < 13) && axis != -1 {
        return Err(format!("`opset` {own}"));
    }
    unary(builder, "Softmax", &[("axis", Attribute::Int(axis))])
}

pub fn reduce_mean(builder: &mut Builder<'_>) -> Outcome {
    let like = builder.needed(0)?;
    let axes = builder.ints("axes");
    if axes.is_empty() || builder.int("keepdims", 1) != 1 {
        return Err("all axes, or without `keepdims`".into());
    }
    let x = wide(builder, 0)?;
    let y = builder.reduce("ReduceMean", &x, axes)?;
    small(builder, &y, 3, &like)
}

pub fn average_pool(builder: &mut Builder<'_>) -> Outcome {
    let attributes = builder.op.attributes.iter().filter(|(name, _)| name != "channels_last");
    let attributes: Vec<(&str, Attribute)> = attributes.map(|(name, value)| (name.as_str(), value.clone())).collect();
    pool(builder, "AveragePool", &attributes)
}

pub fn global_average_pool(builder: &mut Builder<'_>) -> Outcome {
    pool(builder, "GlobalAveragePool", &[])
}

/// Channels may be the last axis.
fn pool(builder: &mut Builder<'_>, kind: &str, attributes: &[(&str, Attribute)]) -> Outcome {
    let like = builder.needed(0)?;
    let x = wide(builder, 0)?;
    if builder.int("channels_last", 0) == 0 {
        let y = builder.add(kind, &[&x], attributes);
        return small(builder, &y, 3, &like);
    }
    let rank = builder.facts.rank(&like).ok_or("`channels_last` of a value whose number of axes is not told")? as i64;
    let outwards: Vec<i64> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    let inwards: Vec<i64> = [0].into_iter().chain(2..rank).chain([1]).collect();
    let x = builder.transpose(&x, &outwards);
    let y = builder.add(kind, &[&x], attributes);
    let y = builder.transpose(&y, &inwards);
    small(builder, &y, 3, &like)
}

/// Behind the scale and the zero of the result, three inputs for each part.
pub fn concat(builder: &mut Builder<'_>) -> Outcome {
    let like = builder.needed(2)?;
    let mut parts = Vec::new();
    for at in (2..builder.op.inputs.len()).step_by(3) {
        parts.push(wide(builder, at)?);
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let axis = builder.int("axis", 0);
    let y = builder.concat(&parts, axis);
    small(builder, &y, 0, &like)
}

pub fn choose(builder: &mut Builder<'_>) -> Outcome {
    let (truths, like) = (builder.needed(0)?, builder.needed(1)?);
    let (x, y) = (wide(builder, 1)?, wide(builder, 4)?);
    let chosen = builder.add("Where", &[&truths, &x, &y], &[]);
    small(builder, &chosen, 7, &like)
}

/// With channels before places it is ONNX's own.
pub fn conv(builder: &mut Builder<'_>) -> Outcome {
    builder.only("channels_last", 0)?;
    let attributes = builder.op.attributes.iter().filter(|(name, _)| name != "channels_last").cloned().collect();
    builder.become_op("QLinearConv", builder.op.inputs.clone(), attributes)
}

/// α · scales · ((a - zero) · (b - zero) + c): floats, unless there is a scale for it.
pub fn gemm(builder: &mut Builder<'_>) -> Outcome {
    let (mut a, mut b, like) = (builder.needed(0)?, builder.needed(3)?, builder.needed(0)?);
    let (a_scale, b_scale) = (builder.needed(1)?, builder.needed(4)?);
    if builder.int("transA", 0) == 1 {
        a = builder.transpose(&a, &[1, 0]);
    }
    if builder.int("transB", 0) == 1 {
        b = builder.transpose(&b, &[1, 0]);
    }
    let zeros = [builder.input(2), builder.input(5)];
    let mut y = integer(builder, [&a, &b], zeros);
    if let Some(c) = builder.input(6) {
        y = builder.add("Add", &[&y, &c], &[]);
    }
    let y = builder.cast(&y, Element::Fp32);
    let mut scale = builder.add("Mul", &[&a_scale, &b_scale], &[]);
    let alpha = builder.float("alpha", 1.0);
    if alpha != 1.0 {
        let alpha = builder.number(alpha, &scale)?;
        scale = builder.add("Mul", &[&scale, &alpha], &[]);
    }
    let y = builder.add("Mul", &[&y, &scale], &[]);
    if builder.input(7).is_some() { small(builder, &y, 7, &like) } else { builder.done(&y) }
}

/// ONNX's own, whose default of an axis does not matter where scales are single.
pub fn quantize(builder: &mut Builder<'_>) -> Outcome {
    linear(builder, "QuantizeLinear")
}

pub fn dequantize(builder: &mut Builder<'_>) -> Outcome {
    linear(builder, "DequantizeLinear")
}

fn linear(builder: &mut Builder<'_>, kind: &str) -> Outcome {
    let (inputs, attributes) = (builder.op.inputs.clone(), builder.op.attributes.clone());
    builder.become_op(kind, inputs, attributes)
}
