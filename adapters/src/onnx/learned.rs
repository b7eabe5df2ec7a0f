//! Operators of `ai.onnx.ml` made of ONNX's own, where that gives what ONNX Runtime gives. Votes and strings are left to
//! accelerators.

mod features;
pub mod forest;
mod labels;
mod linear;
mod post;
mod scale;
mod trees;
mod vectors;
mod walk;

use super::plain::Row;
use burst_host::nouns::Op;

const OPS: &[(&str, Row)] = &[
    ("ArrayFeatureExtractor", features::extract),
    ("Binarizer", scale::binarize),
    ("FeatureVectorizer", features::join),
    ("Imputer", scale::impute),
    ("LabelEncoder", labels::encode),
    ("LinearClassifier", linear::classify),
    ("LinearRegressor", linear::regress),
    ("Normalizer", scale::normalize),
    ("OneHotEncoder", labels::one_hot),
    ("SVMRegressor", vectors::regress),
    ("Scaler", scale::scale),
    ("TreeEnsemble", trees::ensemble),
    ("TreeEnsembleClassifier", trees::classify),
    ("TreeEnsembleRegressor", trees::regress),
];

pub(super) fn row(op: &Op) -> Option<Row> {
    let row = OPS.binary_search_by_key(&op.kind.as_str(), |(kind, _)| kind).ok()?;
    Some(OPS[row].1)
}

#[cfg(test)]
mod tests {
    use super::OPS;

    #[test]
    fn rows_are_sorted() {
        assert!(OPS.is_sorted_by_key(|(kind, _)| kind));
    }
}
