//! Follows few numbers through operators that move them.

use super::{
    node::{Node, place},
    shape::cut,
    value::product,
};

/// Numbers in extents `to`, each from the place in extents `from` that `at` tells.
fn picked(numbers: &[f64], from: &[u64], to: &[u64], at: impl Fn(&[u64]) -> Option<Vec<u64>>) -> Option<Vec<f64>> {
    let mut place = vec![0; to.len()];
    let one = |index: u64| {
        let mut rest = index;
        for (place, extent) in place.iter_mut().zip(to).rev() {
            *place = rest % extent;
            rest /= extent;
        }
        let source = at(&place)?;
        let flat =
            source.iter().zip(from).try_fold(0u64, |flat, (&at, &extent)| (at < extent).then(|| flat * extent + at));
        numbers.get(usize::try_from(flat?).ok()?).copied()
    };
    (0..product(to)).map(one).collect()
}

/// Numbers of some extents, broadcast to others.
pub(super) fn broadcast(numbers: &[f64], from: &[u64], to: &[u64]) -> Option<Vec<f64>> {
    let first = to.len().checked_sub(from.len())?;
    picked(numbers, from, to, |place| {
        Some(place[first..].iter().zip(from).map(|(&at, &extent)| if extent == 1 { 0 } else { at }).collect())
    })
}

pub(super) fn transposed(node: &Node, to: &[u64]) -> Option<Vec<f64>> {
    let from = node.extents(0)?;
    let axes: Vec<usize> = match node.ints("perm") {
        Some(axes) => axes.iter().map(|&axis| place(axis, from.len())).collect::<Option<_>>()?,
        None => (0..from.len()).rev().collect(),
    };
    picked(node.input(0)?.numbers.as_ref()?, from, to, |place| {
        let mut source = vec![0; from.len()];
        axes.iter().zip(place).for_each(|(&axis, &at)| source[axis] = at);
        Some(source)
    })
}

pub(super) fn gathered(node: &Node, to: &[u64]) -> Option<Vec<f64>> {
    let (from, by) = (node.extents(0)?, node.extents(1)?);
    let (axis, indices) = (node.axis(0, from.len())?, node.input(1)?.integers()?);
    let length = usize::try_from(from[axis]).ok()?;
    picked(node.input(0)?.numbers.as_ref()?, from, to, |at| {
        let (before, rest) = at.split_at_checked(axis)?;
        let (index, after) = rest.split_at_checked(by.len())?;
        let flat = index.iter().zip(by).fold(0u64, |flat, (&at, &extent)| flat * extent + at);
        let index = place(*indices.get(usize::try_from(flat).ok()?)?, length)? as u64;
        Some([before, &[index], after].concat())
    })
}

pub(super) fn sliced(node: &Node, to: &[u64]) -> Option<Vec<f64>> {
    let from = node.extents(0)?;
    let mut steps = vec![(0i64, 1i64); from.len()];
    for (axis, [start, _, step]) in cut(node, from.len())? {
        let length = i64::try_from(from[axis]).ok()?;
        let start = if start < 0 { start.saturating_add(length) } else { start };
        steps[axis] = (start.clamp(0, if step < 0 { length - 1 } else { length }), step);
    }
    picked(node.input(0)?.numbers.as_ref()?, from, to, |place| {
        let source = |(&at, (start, step)): (&u64, &(i64, i64))| {
            u64::try_from(start.checked_add(i64::try_from(at).ok()?.checked_mul(*step)?)?).ok()
        };
        place.iter().zip(&steps).map(source).collect()
    })
}
