//! Operators of two values before opset 7: the second is stretched only where it is said, along axes that are said.

use super::{
    super::build::{Builder, Outcome},
    says,
};
use burst_host::nouns::{Attribute, Element};

const ALIGNED: &[&str] = &["axis", "broadcast", "consumed_inputs"];

/// With `broadcast` the second value stands beside the last axes of the first, or beside those from `axis` on.
pub(in crate::onnx) fn elementwise(builder: &mut Builder<'_>) -> Outcome {
    let (a, mut b) = (builder.needed(0)?, builder.needed(1)?);
    if !ALIGNED.iter().any(|name| says(builder, name)) {
        // Without `broadcast` both have the same shape: what that is shows where it is run.
        return same(builder, &a, &b).map(|()| false);
    }
    if builder.int("broadcast", 0) == 0 {
        same(builder, &a, &b)?;
    } else if says(builder, "axis") {
        b = along(builder, &a, &b, builder.int("axis", 0))?;
    }
    builder.become_op(&builder.op.kind.clone(), vec![a, b], Vec::new())
}

/// Fails where two shapes are known to differ.
fn same(builder: &Builder<'_>, a: &str, b: &str) -> Result<(), String> {
    let (Some(a), Some(b)) = (builder.facts.extents(a), builder.facts.extents(b)) else { return Ok(()) };
    let differ = |(a, b): (&Option<usize>, &Option<usize>)| a.zip(*b).is_some_and(|(a, b)| a != b);
    if a.len() != b.len() || a.iter().zip(&b).any(differ) {
        return Err("two shapes without `broadcast`".into());
    }
    Ok(())
}

/// A value with as many axes behind its own as another has behind those from `axis` on.
fn along(builder: &mut Builder<'_>, a: &str, b: &str, axis: i64) -> Result<String, String> {
    if let (Some(whole), Some(own)) = (builder.facts.rank(a), builder.facts.extents(b)) {
        let axis = if axis < 0 { axis + whole as i64 } else { axis };
        let behind = usize::try_from(axis).ok().and_then(|axis| whole.checked_sub(axis + own.len()));
        let behind = behind.ok_or_else(|| format!("`axis` {axis}"))?;
        let mut shape = vec![0; own.len()];
        shape.extend(vec![1; behind]);
        return if behind == 0 { Ok(b.to_owned()) } else { builder.reshape(b, &shape) };
    }
    // Ranks show where it is run: the shape of the second, and ones behind it.
    let own = builder.add("Shape", &[b], &[]);
    let rank = |builder: &mut Builder<'_>, x: &str| {
        let shape = builder.add("Shape", &[x], &[]);
        builder.add("Shape", &[&shape], &[])
    };
    let (rank_b, mut behind) = (rank(builder, b), None);
    let rank_a = rank(builder, a);
    if axis >= 0 {
        let axis = builder.longs(&[axis])?;
        let after = builder.add("Sub", &[&rank_a, &axis], &[]);
        behind = Some(builder.add("Sub", &[&after, &rank_b], &[]));
    }
    let behind = match behind {
        Some(behind) => behind,
        None => {
            let from_end = builder.longs(&[-axis])?;
            builder.add("Sub", &[&from_end, &rank_b], &[])
        }
    };
    let one = burst_host::nouns::Tensor::from_slice(Element::I64, [1], &[1i64]).map_err(|error| error.to_string())?;
    let ones = builder.add("ConstantOfShape", &[&behind], &[("value", Attribute::Tensor(one))]);
    let shape = builder.concat(&[&own, &ones], 0);
    Ok(builder.add("Reshape", &[b, &shape], &[]))
}

/// A slope for each channel, the second axis, or one for all.
pub(in crate::onnx) fn slope(builder: &mut Builder<'_>) -> Outcome {
    let (x, slope) = (builder.needed(0)?, builder.needed(1)?);
    let single = builder.facts.extents(&slope);
    let Some([own]) = single.as_deref() else {
        return Err("a slope that is no list, or whose length is not told, before opset 7".into());
    };
    if *own == Some(1) {
        return builder.become_op("PRelu", vec![x, slope], Vec::new());
    }
    let slope = along(builder, &x, &slope, 1)?;
    builder.become_op("PRelu", vec![x, slope], Vec::new())
}

/// The sum is always stretched as numpy does, which `broadcast` allows and its absence does not need.
pub(in crate::onnx) fn gemm(builder: &mut Builder<'_>) -> Outcome {
    let attributes = builder.op.attributes.iter().filter(|(name, _)| name != "broadcast").cloned().collect();
    builder.become_op("Gemm", builder.op.inputs.clone(), attributes)
}
