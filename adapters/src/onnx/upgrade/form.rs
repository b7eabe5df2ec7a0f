//! Operators that said the same with other attributes and inputs.

use super::{
    super::build::{Builder, Outcome},
    says,
};
use burst_host::nouns::{Attribute, Op};

/// The attributes without these.
fn rest(op: &Op, without: &[&str]) -> Vec<(String, Attribute)> {
    op.attributes.iter().filter(|(name, _)| !without.contains(&name.as_str())).cloned().collect()
}

/// Before opset 7 statistics come from the batch unless `is_test` is said: that is training. Before opset 9 each place
/// may have statistics of its own.
pub(in crate::onnx) fn batch_normalization(builder: &mut Builder<'_>) -> Outcome {
    if builder.source < 7 && builder.int("is_test", 0) == 0 {
        return Err("training (`is_test` 0) before opset 7".into());
    }
    if builder.int("spatial", 1) != 0 {
        let attributes = rest(builder.op, &["is_test", "consumed_inputs", "spatial"]);
        return builder.become_op("BatchNormalization", builder.op.inputs.clone(), attributes);
    }
    let inputs = (0..5).map(|index| builder.needed(index)).collect::<Result<Vec<_>, _>>()?;
    let [x, scale, bias, mean, variance] = inputs.as_slice() else { return Ok(false) };
    let epsilon = builder.number(builder.float("epsilon", 1e-5), x)?;
    let centred = builder.add("Sub", &[x, mean], &[]);
    let variance = builder.add("Add", &[variance, &epsilon], &[]);
    let deviation = builder.add("Sqrt", &[&variance], &[]);
    let normal = builder.add("Div", &[&centred, &deviation], &[]);
    let scaled = builder.add("Mul", &[&normal, scale], &[]);
    let y = builder.add("Add", &[&scaled, bias], &[]);
    builder.done(&y)
}

/// Its element was a text.
pub(in crate::onnx) fn cast(builder: &mut Builder<'_>) -> Outcome {
    const NAMES: [&str; 17] = [
        "UNDEFINED",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
        "BFLOAT16",
    ];
    if !matches!(builder.op.attribute("to"), Some(Attribute::Text(_))) {
        return Ok(false);
    }
    let to = builder.text("to", "").to_uppercase();
    let number = NAMES.iter().position(|name| *name == to).ok_or_else(|| format!("`to` {to}"))?;
    let attributes = vec![("to".to_owned(), Attribute::Int(number as i64))];
    builder.become_op("Cast", builder.op.inputs.clone(), attributes)
}

/// Channels, unless another axis is said.
pub(in crate::onnx) fn concat(builder: &mut Builder<'_>) -> Outcome {
    if says(builder, "axis") {
        return Ok(false);
    }
    let attributes = vec![("axis".to_owned(), Attribute::Int(1))];
    builder.become_op("Concat", builder.op.inputs.clone(), attributes)
}

/// Nothing is dropped where a model is only run; its mask was of the type of what it kept, and is not filled.
pub(in crate::onnx) fn dropout(builder: &mut Builder<'_>) -> Outcome {
    let x = builder.needed(0)?;
    builder.result(0, &x);
    if builder.wants(1) {
        let (shape, zero) = (builder.add("Shape", &[&x], &[]), builder.number(0.0, &x)?);
        let mask = builder.add("Expand", &[&zero, &shape], &[]);
        builder.result(1, &mask);
    }
    Ok(true)
}

/// The exponent was a float.
pub(in crate::onnx) fn norm(builder: &mut Builder<'_>) -> Outcome {
    let Some(Attribute::Float(p)) = builder.op.attribute("p") else { return Ok(false) };
    if p.fract() != 0.0 || !(1.0..=64.0).contains(p) {
        return Err(format!("`p` {p}"));
    }
    let mut attributes = rest(builder.op, &["p"]);
    attributes.push(("p".to_owned(), Attribute::Int(*p as i64)));
    builder.become_op(&builder.op.kind.clone(), builder.op.inputs.clone(), attributes)
}

pub(in crate::onnx) fn pad(builder: &mut Builder<'_>) -> Outcome {
    let Some(pads) = builder.op.attribute("paddings").cloned() else { return Ok(false) };
    let mut attributes = rest(builder.op, &["paddings"]);
    attributes.push(("pads".to_owned(), pads));
    builder.become_op("Pad", builder.op.inputs.clone(), attributes)
}

pub(in crate::onnx) fn reshape(builder: &mut Builder<'_>) -> Outcome {
    if !says(builder, "shape") {
        return Ok(false);
    }
    let x = builder.needed(0)?;
    let y = builder.reshape(&x, builder.ints("shape"))?;
    builder.done(&y)
}

/// The defaults had fewer digits.
pub(in crate::onnx) fn selu(builder: &mut Builder<'_>) -> Outcome {
    let attributes = vec![
        ("alpha".to_owned(), Attribute::Float(builder.float("alpha", 1.6732))),
        ("gamma".to_owned(), Attribute::Float(builder.float("gamma", 1.0507))),
    ];
    builder.become_op("Selu", builder.op.inputs.clone(), attributes)
}

/// Bounds were attributes.
pub(in crate::onnx) fn slice(builder: &mut Builder<'_>) -> Outcome {
    if builder.opset < 10 || builder.input(1).is_some() {
        return Ok(false);
    }
    let (x, starts, ends) = (builder.needed(0)?, builder.ints("starts"), builder.ints("ends"));
    let mut inputs = vec![x, builder.longs(starts)?, builder.longs(ends)?];
    if says(builder, "axes") {
        inputs.push(builder.longs(builder.ints("axes"))?);
    }
    builder.become_op("Slice", inputs, Vec::new())
}

/// How many was an attribute.
pub(in crate::onnx) fn top_k(builder: &mut Builder<'_>) -> Outcome {
    if builder.opset < 10 || builder.input(1).is_some() {
        return Ok(false);
    }
    let x = builder.needed(0)?;
    let count = builder.longs(&[builder.int("k", 0)])?;
    builder.become_op("TopK", vec![x, count], rest(builder.op, &["k"]))
}

/// Lengths could be an input.
pub(in crate::onnx) fn split(builder: &mut Builder<'_>) -> Outcome {
    if builder.input(1).is_none() {
        return Ok(false);
    }
    let lengths = builder.known(1, "lengths")?.to_vec::<i64>().ok_or("lengths that are no INT64")?;
    let mut attributes = rest(builder.op, &["split"]);
    attributes.push(("split".to_owned(), Attribute::Ints(lengths)));
    let x = builder.needed(0)?;
    builder.become_op("Split", vec![x], attributes)
}

/// One axis, repeated so many times.
pub(in crate::onnx) fn tile(builder: &mut Builder<'_>) -> Outcome {
    if builder.input(2).is_none() {
        return Ok(false);
    }
    let x = builder.needed(0)?;
    let number = |builder: &Builder<'_>, index: usize, what: &str| -> Result<i64, String> {
        let tensor = builder.known(index, what)?;
        let float = tensor.to_vec::<f32>().and_then(|values| values.first().map(|&value| value as i64));
        let value = match tensor.spec().element {
            burst_host::nouns::Element::Fp32 => float,
            burst_host::nouns::Element::I64 => tensor.to_vec::<i64>().and_then(|values| values.first().copied()),
            burst_host::nouns::Element::I32 => {
                tensor.to_vec::<i32>().and_then(|values| values.first().map(|&value| value.into()))
            }
            _ => None,
        };
        value.ok_or_else(|| format!("{what} of that type"))
    };
    let (tiles, axis) = (number(builder, 1, "tiles")?, number(builder, 2, "an axis")?);
    let tiles = usize::try_from(tiles).map_err(|_| "a negative number of tiles")?;
    if tiles == 0 || tiles > 4096 {
        return Err(format!("{tiles} tiles before opset 6"));
    }
    let parts = vec![x.as_str(); tiles];
    let y = builder.concat(&parts, axis);
    builder.done(&y)
}
