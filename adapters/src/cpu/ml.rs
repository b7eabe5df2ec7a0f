//! Operators beside ONNX's own that tract has, or that are added to it here.

use burst_host::nouns::{Op, Tensor};
use tract_onnx::Onnx;

/// tract with the operators that are added to it.
pub(super) fn tract() -> Onnx {
    tract_onnx::onnx()
}

/// Whether an operator outside of ONNX's own domain is tract's.
pub(super) fn is_native(op: &Op, _constant: &dyn Fn(&str) -> Option<Tensor>) -> bool {
    op.domain == "ai.onnx.preview"
}
