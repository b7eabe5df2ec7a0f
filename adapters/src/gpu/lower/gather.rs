//! Operators that take elements by index.

use super::super::{
    kernels::{Kernel, Shader},
    planner::{Halt, Node, Placed, Planner, Value, axis, grid},
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
    [rows, row]: [usize; 2],
    spec: Spec,
) -> Result<Placed, Halt> {
    let size = spec.element.size().ok_or_else(|| node.unsupported("BYTES"))?;
    let whole = (row * size).is_multiple_of(4);
    let unit = if whole { 4 } else { size };
    let count = spec.shape.elements() * size / unit;
    let index_words = index_words(node, indices.spec.element)? as usize;
    let parameters = [count, row * size / unit, indices.spec.shape.elements(), rows, index_words];
    let parameters = parameters.map(|value| value as u32).to_vec();
    let kernel = Kernel::new(Shader::Gather, [("SIZE", unit as u32)]);
    planner.dispatch(kernel, parameters, &[x, indices], spec, grid((count * unit).div_ceil(4)))
}

/// Words of an index.
pub fn index_words(node: &Node<'_>, element: Element) -> Result<u32, Halt> {
    match element {
        Element::I32 | Element::U32 => Ok(1),
        Element::I64 => Ok(2),
        _ => Err(node.invalid("indices that are no integers")),
    }
}
