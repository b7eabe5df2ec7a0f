//! Operators that take elements by index.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, axis, grid},
    },
    slices::Slice,
};
use burst_host::nouns::{Element, Spec};

/// Rows along one axis.
pub fn gather(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let indices = planner.place(node.input(1))?;
    let at = axis(node, node.int("axis", 0), x.extents().len())?;
    planner.check(node, 1, &x.extents()[at..(at + 1).min(x.extents().len())])?;
    Ok(vec![rows(planner, node, &x, &indices, at)?.into()])
}

/// The slices along an axis that indices name, in the place of the axis.
pub fn rows(planner: &mut Planner, node: &Node<'_>, x: &Placed, indices: &Placed, at: usize) -> Result<Placed, Halt> {
    let (before, after) = x.extents().split_at(at);
    let Some((&rows, after)) = after.split_first() else { return Err(node.invalid("a scalar has no axis")) };
    let extents = [before, indices.extents(), after].concat();
    let spec = Spec { element: x.spec.element, shape: node.shape(extents)? };
    copy(planner, node, x, indices, [rows, after.iter().product()], spec)
}

/// The slices along the first axis of a table that lies in several tensors.
pub fn sliced(planner: &mut Planner, node: &Node<'_>, table: &Spec, parts: &[Slice]) -> Result<Placed, Halt> {
    let Some((&rows, row)) = table.shape.extents().split_first() else { return Err(node.invalid("a scalar")) };
    let indices = planner.place(node.input(1))?;
    planner.check(node, 1, &[rows])?;
    let shape = node.shape([indices.extents(), row].concat())?;
    let y = planner.temporary(Spec { element: table.element, shape })?;
    for part in parts {
        let x = planner.place(&part.weight)?;
        let rows = Rows { all: rows, first: part.first, held: part.rows, elements: row.iter().product() };
        let (kernel, parameters, groups) = kernel(node, &indices, &rows, &y.spec)?;
        planner.dispatch_into(kernel, parameters, &[&x, &indices], &y, groups);
    }
    Ok(y)
}

/// The elements at these places, counted from the first of all.
pub fn take(planner: &mut Planner, node: &Node<'_>, x: &Placed, places: &Placed) -> Result<Placed, Halt> {
    let spec = Spec { element: x.spec.element, shape: places.spec.shape.clone() };
    copy(planner, node, x, places, [x.spec.shape.elements(), 1], spec)
}

/// Copies the rows, of so many elements, that indices name among `rows`.
pub fn copy(
    planner: &mut Planner,
    node: &Node<'_>,
    x: &Placed,
    indices: &Placed,
    [rows, elements]: [usize; 2],
    spec: Spec,
) -> Result<Placed, Halt> {
    let rows = Rows { all: rows, first: 0, held: rows, elements };
    let (kernel, parameters, groups) = kernel(node, indices, &rows, &spec)?;
    planner.dispatch(kernel, parameters, &[x, indices], spec, groups)
}

/// What indices name, of which a tensor holds some.
struct Rows {
    all: usize,
    first: usize,
    held: usize,
    /// Of a row.
    elements: usize,
}

fn kernel(node: &Node<'_>, indices: &Placed, rows: &Rows, y: &Spec) -> Result<(Kernel, Vec<u32>, [u32; 3]), Halt> {
    let size = y.element.size().ok_or_else(|| node.lacks("BYTES"))?;
    let whole = (rows.elements * size).is_multiple_of(4);
    let partial = rows.held < rows.all;
    if partial && !whole {
        return Err(node.unsupported("a table larger than a binding whose rows are no whole words"));
    }
    let unit = if whole { 4 } else { size };
    let count = y.shape.elements() * size / unit;
    let index_words = index_words(node, indices.spec.element)? as usize;
    let row = rows.elements * size / unit;
    let parameters = [count, row, indices.spec.shape.elements(), rows.all, index_words, rows.first, rows.held];
    let parameters = parameters.map(|value| value as u32).to_vec();
    let kernel = Kernel::new(Shader::Gather, [("SIZE", unit as u32), ("PARTIAL", u32::from(partial))]);
    Ok((kernel, parameters, grid((count * unit).div_ceil(4))))
}

/// Words of an index.
pub fn index_words(node: &Node<'_>, element: Element) -> Result<u32, Halt> {
    match element {
        Element::I32 | Element::U32 => Ok(1),
        Element::I64 => Ok(2),
        _ => Err(node.invalid("indices that are no integers")),
    }
}
