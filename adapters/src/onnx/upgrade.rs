//! Forms of early operator sets as the later ones have them, for accelerators that know only these.

mod broadcast;
mod form;
mod scale;

use super::{build::Builder, plain::Row};
use burst_host::nouns::{Graph, Op};

/// What graphs of earlier operator sets are in once this is done: the first that `Resize` is in.
const SINCE: i64 = 10;
/// The first in which a `Scan` has no batches of its own.
const SCANS: i64 = 9;

/// Operators, before which opset they are something else, and what writes them anew.
const OPS: &[(&str, i64, Row)] = &[
    ("Add", 7, broadcast::elementwise),
    ("And", 7, broadcast::elementwise),
    ("BatchNormalization", 9, form::batch_normalization),
    ("Cast", 6, form::cast),
    ("Concat", 4, form::concat),
    ("Div", 7, broadcast::elementwise),
    ("Dropout", 10, form::dropout),
    ("Equal", 7, broadcast::elementwise),
    ("Gemm", 7, broadcast::gemm),
    ("Greater", 7, broadcast::elementwise),
    ("Less", 7, broadcast::elementwise),
    ("LpPool", 2, form::norm),
    ("GlobalLpPool", 2, form::norm),
    ("Mul", 7, broadcast::elementwise),
    ("Or", 7, broadcast::elementwise),
    ("PRelu", 7, broadcast::slope),
    ("Pad", 2, form::pad),
    ("Pow", 7, broadcast::elementwise),
    ("Reshape", 5, form::reshape),
    ("Selu", 6, form::selu),
    ("Slice", 10, form::slice),
    ("Split", 2, form::split),
    ("Sub", 7, broadcast::elementwise),
    ("Tile", 6, form::tile),
    ("TopK", 10, form::top_k),
    ("Upsample", i64::MAX, scale::upsample),
    ("Xor", 7, broadcast::elementwise),
];

/// The operator set that a graph is in once this is done.
pub(super) fn target(graph: &Graph, opset: i64) -> i64 {
    if opset >= SINCE || (opset < SCANS && scans(graph)) { opset } else { SINCE }
}

fn scans(graph: &Graph) -> bool {
    graph.ops.iter().any(|op| op.kind == "Scan" || op.graphs().any(scans))
}

/// What writes an operator of this operator set anew.
pub(super) fn row(op: &Op, opset: i64) -> Option<Row> {
    OPS.iter().find(|(kind, before, _)| *kind == op.kind && opset < *before).map(|(.., row)| *row)
}

/// Whether an attribute is there.
fn says(builder: &Builder<'_>, name: &str) -> bool {
    builder.op.attribute(name).is_some()
}
