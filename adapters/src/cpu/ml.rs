//! Operators of `ai.onnx.ml` that are added to tract: trees, and votes of support vectors.

mod attributes;
mod encode;
mod forest;
mod labels;
mod rows;
mod scores;
#[cfg(test)]
mod tests;
mod trees;
mod vectors;

use super::ops::Builder;
use burst_host::nouns::{Op, Tensor};

/// Operators of `ai.onnx.ml` that are computed here.
const OWN: &[&str] = &["SVMClassifier", "TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"];

/// Builders by operator.
pub(super) const OPS: &[(&str, Builder)] = &[
    ("LabelEncoder", encode::labels),
    ("SVMClassifier", vectors::classifier),
    ("TreeEnsemble", trees::ensemble),
    ("TreeEnsembleClassifier", trees::classifier),
    ("TreeEnsembleRegressor", trees::regressor),
];

/// Whether an operator outside of ONNX's own domain is computed as it is.
pub(super) fn is_native(op: &Op, constant: &dyn Fn(&str) -> Option<Tensor>) -> bool {
    match op.domain.as_str() {
        // Written in others, or refused, where tract is asked.
        "ai.onnx.preview" => true,
        "ai.onnx.ml" => OWN.contains(&op.kind.as_str()),
        "com.microsoft" => op.kind == "MatMulNBits" && packed(op, constant),
        _ => false,
    }
}

/// Whether tract keeps weights of four bits packed and gives the same numbers: its scales are halves.
fn packed(op: &Op, constant: &dyn Fn(&str) -> Option<Tensor>) -> bool {
    use burst_host::nouns::{Attribute, Element};
    let int = |name: &str| if let Some(Attribute::Int(value)) = op.attribute(name) { Some(*value) } else { None };
    let tensor = |index: usize| constant(op.inputs.get(index).filter(|name| !name.is_empty())?);
    let given = |index: usize| op.inputs.get(index).is_some_and(|name| !name.is_empty());
    let exact = |scales: Vec<f32>| scales.iter().all(|&scale| half::f16::from_f32(scale).to_f32() == scale);
    let scales = tensor(2).and_then(|scales| scales.to_vec::<f32>()).is_some_and(exact);
    let zeros = !given(3) || tensor(3).is_some_and(|zeros| zeros.spec().element == Element::U8);
    let even = int("K").is_some_and(|k| k % 32 == 0) && int("block_size") == Some(32);
    matches!(int("bits"), None | Some(4)) && even && scales && zeros && !given(4) && tensor(1).is_some()
}
