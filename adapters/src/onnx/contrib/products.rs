//! Products with what exporters fuse into them.

use super::{
    super::build::{Builder, Outcome},
    activations::fused,
};
use burst_host::nouns::{Attribute, Element};

/// α · op(a) · op(b)
pub fn matmul(builder: &mut Builder<'_>) -> Outcome {
    ["transBatchA", "transBatchB"].iter().try_for_each(|name| builder.only(name, 0))?;
    let (mut a, mut b) = (builder.needed(0)?, builder.needed(1)?);
    if builder.int("transA", 0) == 1 {
        a = turned(builder, &a)?;
    }
    if builder.int("transB", 0) == 1 {
        b = turned(builder, &b)?;
    }
    let mut y = builder.add("MatMul", &[&a, &b], &[]);
    let alpha = builder.float("alpha", 1.0);
    if alpha != 1.0 {
        let alpha = builder.number(alpha, &y)?;
        y = builder.add("Mul", &[&y, &alpha], &[]);
    }
    builder.done(&y)
}

/// The last two axes changed with one another; of one axis it is the same.
fn turned(builder: &mut Builder<'_>, x: &str) -> Result<String, String> {
    if let Some(rank) = builder.facts.rank(x) {
        let mut axes: Vec<i64> = (0..rank as i64).collect();
        if rank < 2 {
            return Ok(x.to_owned());
        }
        axes.swap(rank - 2, rank - 1);
        return Ok(builder.transpose(x, &axes));
    }
    // How many axes there are shows where it is run: those before the last two as one.
    let shape = builder.add("Shape", &[x], &[]);
    let (before, rest) = (builder.slice(&shape, 0, 0, -2)?, builder.longs(&[-1])?);
    let (rows, columns) = (builder.slice(&shape, 0, -2, -1)?, builder.slice(&shape, 0, -1, i64::MAX)?);
    let flat = builder.concat(&[&rest, &rows, &columns], 0);
    let x = builder.add("Reshape", &[x, &flat], &[]);
    let x = builder.transpose(&x, &[0, 2, 1]);
    let whole = builder.concat(&[&before, &columns, &rows], 0);
    Ok(builder.add("Reshape", &[&x, &whole], &[]))
}

/// The attributes without those of what is fused.
fn own(builder: &Builder<'_>) -> Vec<(String, Attribute)> {
    builder.op.attributes.iter().filter(|(name, _)| !name.starts_with("activation")).cloned().collect()
}

pub fn gemm(builder: &mut Builder<'_>) -> Outcome {
    same(builder, "Gemm", 3)
}

/// What is added before the activation is a fourth input.
pub fn conv(builder: &mut Builder<'_>) -> Outcome {
    same(builder, "Conv", 3)
}

fn same(builder: &mut Builder<'_>, kind: &str, own_inputs: usize) -> Outcome {
    let attributes = own(builder);
    let attributes: Vec<(&str, Attribute)> =
        attributes.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let inputs: Vec<String> = builder.op.inputs.iter().take(own_inputs).cloned().collect();
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let mut y = builder.add(kind, &inputs, &attributes);
    if let Some(sum) = builder.input(own_inputs) {
        y = builder.add("Add", &[&y, &sum], &[]);
    }
    let y = fused(builder, &y)?;
    builder.done(&y)
}

/// Whole numbers multiplied, scaled and biased.
pub fn to_float(builder: &mut Builder<'_>) -> Outcome {
    let (a, b) = (builder.needed(0)?, builder.needed(1)?);
    let (a_scale, b_scale) = (builder.needed(2)?, builder.needed(3)?);
    let zeros = [builder.input(4), builder.input(5)];
    let y = scaled(builder, [&a, &b], [&a_scale, &b_scale], zeros, 6)?;
    builder.done(&y)
}

pub fn dynamic(builder: &mut Builder<'_>) -> Outcome {
    let (a, b, b_scale) = (builder.needed(0)?, builder.needed(1)?, builder.needed(2)?);
    let parts = builder.add_many("DynamicQuantizeLinear", &[&a], &[], 3);
    let [a, a_scale, a_zero] = parts.as_slice() else { return Ok(false) };
    let zeros = [Some(a_zero.clone()), builder.input(3)];
    let y = scaled(builder, [a, &b], [a_scale, &b_scale], zeros, 4)?;
    builder.done(&y)
}

fn scaled(
    builder: &mut Builder<'_>,
    [a, b]: [&str; 2],
    [a_scale, b_scale]: [&str; 2],
    zeros: [Option<String>; 2],
    bias: usize,
) -> Result<String, String> {
    let y = integer(builder, [a, b], zeros);
    let y = builder.cast(&y, Element::Fp32);
    let scale = builder.add("Mul", &[a_scale, b_scale], &[]);
    let y = builder.add("Mul", &[&y, &scale], &[]);
    Ok(match builder.input(bias) {
        Some(bias) => builder.add("Add", &[&y, &bias], &[]),
        None => y,
    })
}

/// A product of whole numbers less their zeros, as INT32.
pub fn integer(builder: &mut Builder<'_>, [a, b]: [&str; 2], zeros: [Option<String>; 2]) -> String {
    let [a_zero, b_zero] = zeros;
    let mut inputs = vec![a.to_owned(), b.to_owned()];
    if a_zero.is_some() || b_zero.is_some() {
        inputs.push(a_zero.unwrap_or_default());
    }
    inputs.extend(b_zero);
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    builder.add("MatMulInteger", &inputs, &[])
}
