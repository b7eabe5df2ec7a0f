//! Parts of tensors: diagonals, overlapping frames, the middle.

use super::{
    super::planner::{Halt, Node, Placed, Planner, Value, axes},
    movement::{Outside, Walk, steps, walk},
};

/// Only what has the same index along both axes, which become the first.
pub fn diagonal(
    planner: &mut Planner,
    node: &Node<'_>,
    x: &Placed,
    first: usize,
    second: usize,
) -> Result<Placed, Halt> {
    let (mut extents, mut strides) = (x.extents().to_vec(), steps(x.extents()));
    if extents[first] != extents[second] {
        return Err(node.invalid("a diagonal of axes that differ"));
    }
    strides[first] += strides.remove(second);
    extents.remove(second);
    walk(planner, node, x, Walk { shape: node.shape(extents)?, offset: 0, strides, outside: None })
}

/// So many overlapping parts of each row, `step` apart.
pub fn frames(
    planner: &mut Planner,
    node: &Node<'_>,
    x: &Placed,
    count: usize,
    length: usize,
    step: usize,
) -> Result<Placed, Halt> {
    let &[rows, row] = x.extents() else { return Err(node.invalid("frames are cut out of rows")) };
    let shape = node.shape(vec![rows, count, length])?;
    walk(planner, node, x, Walk { shape, offset: 0, strides: vec![row as i64, step as i64, 1], outside: None })
}

/// The middle of each axis, zeros around it where that is longer.
pub fn centred(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let wanted = node.numbers(1)?;
    let x = planner.place(node.input(0))?;
    let rank = x.extents().len();
    let given = node.ints("axes").unwrap_or_else(|| (0..rank as i64).collect());
    let axes = axes(node, &given, rank)?;
    if axes.len() != wanted.len() {
        return Err(node.invalid("an extent for each axis is needed"));
    }
    let (mut before, mut extents) = (vec![0; rank], x.extents().to_vec());
    for (&at, &extent) in axes.iter().zip(&wanted) {
        let had = extents[at] as i64;
        extents[at] = usize::try_from(extent).map_err(|_| node.invalid("an extent below 0"))?;
        before[at] = extent.saturating_sub(had) / 2;
    }
    let outside = Outside { mode: 1, fill: [0; 2], before, extents: x.extents().to_vec() };
    let walked = Walk { shape: node.shape(extents)?, offset: 0, strides: steps(x.extents()), outside: Some(outside) };
    Ok(vec![walk(planner, node, &x, walked)?.into()])
}
