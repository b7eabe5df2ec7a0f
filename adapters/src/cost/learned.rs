//! Ensembles of trees, whose weights stay packed, and other weights that do.

use super::{
    node::{Node, Outcome},
    value::{Value, product},
};
use burst_host::nouns::{Attribute, Element};

/// How many entries a list among the attributes has.
fn entries(node: &Node, name: &str) -> u64 {
    match node.op.attribute(name) {
        Some(Attribute::Ints(list)) => list.len() as u64,
        Some(Attribute::Texts(list)) => list.len() as u64,
        _ => 0,
    }
}

/// Each row may pass every node.
fn passes(node: &Node, rows: u64) -> u64 {
    rows.saturating_mul(entries(node, "nodes_falsenodeids").max(1))
}

/// A number for each target.
pub(super) fn trees(node: &Node) -> Option<Outcome> {
    let rows = *node.extents(0)?.first()?;
    let targets = u64::try_from(node.int("n_targets", 1)).ok()?;
    let element = if node.op.kind == "TreeEnsemble" { node.element(0) } else { Some(Element::Fp32) };
    Outcome::new(vec![Value::new(element, vec![rows, targets])], passes(node, rows))
}

/// A label, and a number for each class.
pub(super) fn classes(node: &Node) -> Option<Outcome> {
    let rows = *node.extents(0)?.first()?;
    let texts = entries(node, "classlabels_strings");
    let (element, classes) = match texts {
        0 => (Element::I64, entries(node, "classlabels_int64s")),
        texts => (Element::Bytes, texts),
    };
    let labels = Value::new(Some(element), vec![rows]);
    let scores = Value::new(Some(Element::Fp32), vec![rows, classes]);
    Outcome::new(vec![labels, scores], passes(node, rows).saturating_add(product(&[rows, classes])))
}

/// `MatMulNBits` of ONNX Runtime: `K` by `N`, a few bits each.
pub(super) fn packed_matmul(node: &Node) -> Option<Outcome> {
    let columns = u64::try_from(node.int("N", 0)).ok()?;
    let (&depth, rows) = node.extents(0)?.split_last()?;
    Outcome::each(Value::new(node.element(0), [rows, &[columns]].concat()), depth)
}
