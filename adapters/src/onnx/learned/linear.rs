//! Linear models.

use super::{
    super::build::{Builder, Outcome},
    post::transformed,
    scale::floats,
};
use burst_host::nouns::{Attribute, Element};

/// x · coefficientsᵀ + intercepts, for so many targets.
fn product(builder: &mut Builder<'_>, x: &str, targets: usize) -> Result<String, String> {
    let (coefficients, intercepts) = (builder.floats("coefficients"), builder.floats("intercepts"));
    if targets == 0 || coefficients.is_empty() || coefficients.len() % targets != 0 {
        return Err(format!("{} coefficients for {targets} targets", coefficients.len()));
    }
    let features = coefficients.len() / targets;
    let weights = builder.tensor(Element::Fp32, &[targets, features], coefficients)?;
    let turned = builder.transpose(&weights, &[1, 0]);
    // A list is one row.
    let x = if builder.facts.rank(x) == Some(1) { builder.reshape(x, &[1, -1])? } else { x.to_owned() };
    let y = builder.add("MatMul", &[&x, &turned], &[]);
    if intercepts.is_empty() {
        return Ok(y);
    }
    let intercepts = builder.tensor(Element::Fp32, &[intercepts.len()], intercepts)?;
    Ok(builder.add("Add", &[&y, &intercepts], &[]))
}

pub fn regress(builder: &mut Builder<'_>) -> Outcome {
    let targets = usize::try_from(builder.int("targets", 1)).map_err(|_| "negative `targets`")?;
    let x = floats(builder)?;
    let y = product(builder, &x, targets)?;
    let y = transformed(builder, &y, targets == 1)?;
    builder.done(&y)
}

/// The label with the largest score; of one score the second label where it is above zero.
pub fn classify(builder: &mut Builder<'_>) -> Outcome {
    let texts = builder.op.attribute("classlabels_strings");
    let texts = if let Some(Attribute::Texts(texts)) = texts { texts.as_slice() } else { &[] };
    // Texts are looked up by their places.
    let places: Vec<i64> = (0..texts.len() as i64).collect();
    let labels = if texts.is_empty() { builder.ints("classlabels_ints") } else { &places };
    let targets = builder.floats("intercepts").len();
    let x = floats(builder)?;
    let scores = product(builder, &x, targets)?;
    let (label, y) = match (targets, labels) {
        (1, [negative, positive]) => {
            let zero = builder.number(0.0, &scores)?;
            let above = builder.add("Greater", &[&scores, &zero], &[]);
            let above = builder.reshape(&above, &[-1])?;
            let (positive, negative) = (builder.long(*positive)?, builder.long(*negative)?);
            let label = builder.add("Where", &[&above, &positive, &negative], &[]);
            (label, both(builder, &scores)?)
        }
        (targets, labels) if targets == labels.len() && targets > 1 => {
            let attributes = [("axis", Attribute::Int(1)), ("keepdims", Attribute::Int(0))];
            let at = builder.add("ArgMax", &[&scores], &attributes);
            let labels = builder.longs(labels)?;
            (builder.gather(&labels, &at, 0), transformed(builder, &scores, false)?)
        }
        (targets, labels) => return Err(format!("{} labels for {targets} scores", labels.len())),
    };
    if texts.is_empty() {
        builder.result(0, &label);
    } else {
        let keys = Attribute::Ints(places.clone());
        let attributes = [("keys_int64s", keys), ("values_strings", Attribute::Texts(texts.to_vec()))];
        let named = builder.add_in("ai.onnx.ml", "LabelEncoder", &[&label], &attributes, 1);
        named.iter().for_each(|named| builder.result(0, named));
    }
    builder.result(1, &y);
    Ok(true)
}

/// What one score says of both classes.
fn both(builder: &mut Builder<'_>, scores: &str) -> Result<String, String> {
    let positive = match builder.text("post_transform", "NONE").as_str() {
        "NONE" | "SOFTMAX" | "SOFTMAX_ZERO" => scores.to_owned(),
        "LOGISTIC" => builder.add("Sigmoid", &[scores], &[]),
        other => return Err(format!("`post_transform` {other} of one score")),
    };
    let one = builder.number(1.0, scores)?;
    let negative = builder.add("Sub", &[&one, &positive], &[]);
    Ok(builder.concat(&[&negative, &positive], 1))
}
