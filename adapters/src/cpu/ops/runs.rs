//! Tensors as runs of numbers along some of their axes.

use tract_onnx::tract_hir::internal::*;

/// How the numbers of a run lie: each `inner` apart, `outer` blocks of as many runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Runs {
    pub outer: usize,
    pub count: usize,
    pub inner: usize,
}

/// The tensor and its runs along `axes`, which rise. It is transposed only where they are not neighbours.
pub(super) fn along(x: Tensor, axes: &[usize]) -> TractResult<(Tensor, Runs)> {
    let product = |extents: &[usize]| extents.iter().product::<usize>();
    let count = axes.iter().map(|axis| x.shape()[*axis]).product();
    match axes {
        [] => {
            let outer = x.len();
            Ok((x, Runs { outer, count, inner: 1 }))
        }
        [first, .., last] if last - first + 1 > axes.len() => rows(x, axes),
        [first, ..] => {
            let (outer, inner) = (product(&x.shape()[..*first]), product(&x.shape()[first + axes.len()..]));
            Ok((x, Runs { outer, count, inner }))
        }
    }
}

/// The same with the numbers of a run side by side.
pub(super) fn rows(x: Tensor, axes: &[usize]) -> TractResult<(Tensor, Runs)> {
    let count = axes.iter().map(|axis| x.shape()[*axis]).product();
    let kept = (0..x.rank()).filter(|axis| !axes.contains(axis));
    let outer = kept.clone().map(|axis| x.shape()[axis]).product();
    let order: TVec<usize> = kept.chain(axes.iter().copied()).collect();
    let x = if order.iter().copied().eq(0..x.rank()) { x } else { x.permute_axes(&order)? };
    Ok((x, Runs { outer, count, inner: 1 }))
}
