//! Products of more rows than a dispatch has workgroups for: rows become matrices of a batch where they can be shared
//! out evenly, else the product is cut and joined again. To a convolution its pixels are rows.

use super::{
    super::{
        planner::{Halt, Node, Placed, Planner, Value},
        tiling::{GROUPS_MAX, REGISTER_ROWS},
    },
    convolve::Convolution,
    movement::part,
    pointwise::broadcast,
};
use burst_host::nouns::{Attribute, Spec};

/// Rows of as many of the smallest tiles as there are.
pub const ROWS_MAX: usize = GROUPS_MAX * REGISTER_ROWS;

/// `MatMul` with a left side that has too many rows, or too many matrices for one right side; `None` for any other.
pub fn matmul(planner: &mut Planner, node: &Node<'_>) -> Result<Option<Vec<Value>>, Halt> {
    let (a, b) = (node.spec(0)?.shape.extents().to_vec(), node.spec(1)?.shape.extents().len());
    let &[ref batch @ .., m, k] = a.as_slice() else { return Ok(None) };
    let matrices: usize = batch.iter().product();
    if b > 2 && m <= ROWS_MAX {
        return batches(planner, node);
    }
    if (m <= ROWS_MAX && matrices <= GROUPS_MAX) || !binds(planner, node.spec(0)?) {
        return Ok(None);
    }
    let x = planner.place(node.input(0))?;
    if b > 2 {
        return Ok(Some(vec![cut(planner, node, &x, batch.len(), -2)?]));
    }
    let rows = matrices * m;
    let y = match (rows.div_ceil(ROWS_MAX)..=GROUPS_MAX).find(|share| rows.is_multiple_of(*share)) {
        Some(share) => {
            let x = x.reshaped(node.shape(vec![share, rows / share, k])?);
            planner.apply("MatMul", Vec::new(), vec![x.into(), node.input(1).clone()])?
        }
        None => cut(planner, node, &x.reshaped(node.shape(vec![rows, k])?), 0, 0)?,
    };
    let y = planner.place(&y)?;
    let columns = if b == 2 { y.extents().last().copied() } else { None };
    let extents = a[..a.len() - 1].iter().copied().chain(columns).collect();
    Ok(Some(vec![y.reshaped(node.shape(extents)?).into()]))
}

/// A batch of more matrices than there are workgroups, part by part; `None` for any other.
fn batches(planner: &mut Planner, node: &Node<'_>) -> Result<Option<Vec<Value>>, Halt> {
    let sides = [node.spec(0)?.clone(), node.spec(1)?.clone()];
    let extents = sides.each_ref().map(|spec| &spec.shape.extents()[..spec.shape.extents().len() - 2]);
    let [a, b] = extents.map(|batch| node.shape(batch.to_vec()));
    let batch = broadcast(node, &a?, &b?)?;
    if batch.elements() <= GROUPS_MAX || !sides.iter().all(|spec| binds(planner, spec)) {
        return Ok(None);
    }
    let rank = batch.extents().len();
    let (at, &extent) = batch.extents().iter().enumerate().max_by_key(|(_, extent)| **extent).unwrap_or((0, &1));
    // Along the longest axis; what is left is cut again where that is not enough.
    let each = (GROUPS_MAX / (batch.elements() / extent)).clamp(1, extent);
    let mut parts = Vec::new();
    for first in (0..extent).step_by(each) {
        let taken = each.min(extent - first);
        let mut inputs = Vec::new();
        for index in [0, 1] {
            let x = planner.place(node.input(index))?;
            // Of fewer axes, or of one matrix along this one, all belongs to each part.
            let own = (at + x.extents().len()).checked_sub(rank + 2).filter(|&own| x.extents()[own] != 1);
            inputs.push(match own {
                Some(own) => part(planner, node, &x, own, first, taken)?.into(),
                None => x.into(),
            });
        }
        parts.push(planner.apply("MatMul", Vec::new(), inputs)?);
    }
    let attributes = vec![("axis".into(), Attribute::Int(at as i64))];
    Ok(Some(vec![planner.apply("Concat", attributes, parts)?]))
}

/// The same for `Gemm`.
pub fn gemm(planner: &mut Planner, node: &Node<'_>) -> Result<Option<Vec<Value>>, Halt> {
    let axis = usize::from(node.int("transA", 0) == 1);
    match node.spec(0)?.shape.extents() {
        extents if extents.len() == 2 && extents[axis] > ROWS_MAX && binds(planner, node.spec(0)?) => {}
        _ => return Ok(None),
    }
    let x = planner.place(node.input(0))?;
    Ok(Some(vec![cut(planner, node, &x, axis, 0)?]))
}

/// Whether the device can have it at all. What it can't is refused whole, not cut into parts without number.
fn binds(planner: &Planner, spec: &Spec) -> bool {
    spec.bytes().is_some_and(|bytes| bytes <= planner.binding_max)
}

/// The operator on some rows after the other, which lie along one axis of the left side and another of the result.
fn cut(planner: &mut Planner, node: &Node<'_>, x: &Placed, from: usize, to: i64) -> Result<Value, Halt> {
    let rows = x.extents()[from];
    let mut parts = Vec::new();
    for first in (0..rows).step_by(ROWS_MAX) {
        let taken = ROWS_MAX.min(rows - first);
        let mut inputs = vec![part(planner, node, x, from, first, taken)?.into(), node.input(1).clone()];
        if node.has(2) {
            let bias = planner.place(node.input(2))?;
            let own = matches!(*bias.extents(), [extent, _] if extent == rows);
            inputs.push(if own { part(planner, node, &bias, 0, first, taken)? } else { bias }.into());
        }
        parts.push(planner.apply(&node.op.kind, node.op.attributes.clone(), inputs)?);
    }
    planner.apply("Concat", vec![("axis".into(), Attribute::Int(to))], parts)
}

/// A convolution of too many pixels, in bands that are joined again; `None` for any other.
pub fn conv(planner: &mut Planner, node: &Node<'_>, whole: &Convolution<'_>) -> Result<Option<Value>, Halt> {
    if whole.pixels() <= ROWS_MAX || !binds(planner, &whole.x.spec) || !binds(planner, &whole.spec) {
        return Ok(None);
    }
    let (windows, x) = (&whole.windows, planner.place(node.input(0))?);
    // A line has no axis of rows, and a row can be too long itself.
    let axis = usize::from(windows.output[1] > ROWS_MAX);
    let at = x.extents().len() - 2 + axis;
    let (extent, output) = (x.extents()[at], windows.output[axis]);
    let lines = (ROWS_MAX / windows.output[1 - axis]).max(1);
    let mut bands = Vec::new();
    for first in (0..output).step_by(lines) {
        let last = output.min(first + lines) - 1;
        // Both of them beyond what is added before.
        let from = first * windows.strides[axis];
        let to = last * windows.strides[axis] + windows.reach(axis);
        let pad = windows.begin[axis];
        let (taken, end) = (from.saturating_sub(pad), to.saturating_sub(pad).min(extent));
        if taken >= end {
            return Err(node.unsupported("a convolution of that many pixels that are added"));
        }
        let pads = [pad.saturating_sub(from), to - pad - end];
        let band = part(planner, node, &x, at, taken, end - taken)?;
        let mut inputs = vec![band.into(), node.input(1).clone()];
        if node.has(2) {
            inputs.push(node.input(2).clone());
        }
        bands.push(planner.apply("Conv", attributes(whole, axis, pads), inputs)?);
    }
    planner.apply("Concat", vec![("axis".into(), Attribute::Int(axis as i64 - 2))], bands).map(Some)
}

/// Those of a convolution whose pads along one axis are others.
fn attributes(whole: &Convolution<'_>, axis: usize, pads: [usize; 2]) -> Vec<(String, Attribute)> {
    let windows = &whole.windows;
    let (mut begin, mut end) = (windows.begin, windows.end);
    [begin[axis], end[axis]] = pads;
    let axes = 4 - whole.x.extents().len()..;
    let list = |parts: &[[usize; 2]]| {
        Attribute::Ints(parts.iter().flat_map(|part| &part[axes.clone()]).map(|&value| value as i64).collect())
    };
    vec![
        ("strides".into(), list(&[windows.strides])),
        ("dilations".into(), list(&[windows.dilations])),
        ("pads".into(), list(&[begin, end])),
        ("group".into(), Attribute::Int(whole.groups as i64)),
    ]
}
