//! Operators whose indices are coordinates: these become places or rows, counted from the first of all.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, axis, grid},
    },
    gather::{copy, index_words, take},
    pointwise::{padded, strides},
    scatter::{Updates, scatter},
};
use burst_host::nouns::{Element, Spec};

/// One element for each index.
pub fn gather_elements(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let places = elements(planner, node, &x)?;
    Ok(vec![take(planner, node, &x, &places)?.into()])
}

/// One slice for each tuple of indices; leading axes may be a batch's.
pub fn gather_nd(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let batch = usize::try_from(node.int("batch_dims", 0)).map_err(|_| node.invalid("a negative batch_dims"))?;
    let Rows { places, row } = rows(planner, node, &x, batch)?;
    let extents = [places.extents(), &row].concat();
    let spec = Spec { element: x.spec.element, shape: node.shape(extents)? };
    let row = row.iter().product();
    let all = x.spec.shape.elements().checked_div(row).unwrap_or(0);
    Ok(vec![copy(planner, node, &x, &places, [all, row], spec)?.into()])
}

/// Writes one element for each index.
pub fn scatter_elements(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let targets = elements(planner, node, &x)?;
    let updates = planner.place(node.input(2))?;
    let at = axis(node, node.int("axis", 0), x.extents().len())?;
    if updates.spec.shape != targets.spec.shape {
        return Err(node.invalid("an update for each index is needed"));
    }
    // Only indices along the axis can name the same element.
    let repeats = targets.extents().get(at).copied().unwrap_or(1);
    scatter(planner, node, &x, Updates { targets, updates, row: 1, repeats })
}

/// Writes one slice for each tuple of indices.
pub fn scatter_nd(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let Rows { places, row } = rows(planner, node, &x, 0)?;
    let updates = planner.place(node.input(2))?;
    if updates.extents() != [places.extents(), &row].concat() {
        return Err(node.invalid("an update for each tuple of indices is needed"));
    }
    let repeats = places.spec.shape.elements();
    scatter(planner, node, &x, Updates { targets: places, updates, row: row.iter().product(), repeats })
}

/// The place of the element that each index names along the axis.
fn elements(planner: &mut Planner, node: &Node<'_>, x: &Placed) -> Result<Placed, Halt> {
    let indices = planner.place(node.input(1))?;
    let rank = x.extents().len();
    let at = axis(node, node.int("axis", 0), rank)?;
    let within = |axis: usize| axis == at || indices.extents()[axis] <= x.extents()[axis];
    if indices.extents().len() != rank || !(0..rank).all(within) {
        return Err(node.invalid("indices of another rank, or more than there are elements"));
    }
    let extent = x.extents().get(at).copied().unwrap_or(1);
    planner.check(node, 1, &[extent])?;
    let spec = Spec { element: Element::U32, shape: indices.spec.shape.clone() };
    let count = spec.shape.elements();
    let mut parameters = [count, at + 8 - rank, extent].map(|value| value as u32).to_vec();
    parameters.extend(padded(indices.extents(), 1));
    parameters.extend(strides(x.extents(), x.extents()));
    let kernel = Kernel::new(Shader::LocateElements, [("INDEX_WORDS", index_words(node, indices.spec.element)?)]);
    planner.dispatch(kernel, parameters, &[&indices], spec, grid(count))
}

/// Rows that tuples of indices name, and the extents of a row.
struct Rows {
    places: Placed,
    row: Vec<usize>,
}

/// The first `batch` axes of both are the same; the last axis of the indices is a tuple.
fn rows(planner: &mut Planner, node: &Node<'_>, x: &Placed, batch: usize) -> Result<Rows, Halt> {
    let indices = planner.place(node.input(1))?;
    let Some((&depth, tuples)) = indices.extents().split_last() else {
        return Err(node.invalid("indices without a tuple"));
    };
    let fits = batch + depth <= x.extents().len() && tuples.get(..batch) == x.extents().get(..batch);
    if !fits {
        return Err(node.invalid(&format!("{} and {} do not fit", x.spec, indices.spec)));
    }
    let (indexed, row) = x.extents()[batch..].split_at(depth);
    planner.check(node, 1, indexed)?;
    let spec = Spec { element: Element::U32, shape: node.shape(tuples.to_vec())? };
    let count = spec.shape.elements();
    let words = [count, depth, tuples[batch..].iter().product(), indexed.iter().product()];
    let mut parameters = words.map(|value: usize| value as u32).to_vec();
    parameters.extend(padded(indexed, 1));
    parameters.extend(strides(indexed, indexed));
    let kernel = Kernel::new(Shader::LocateRows, [("INDEX_WORDS", index_words(node, indices.spec.element)?)]);
    let places = planner.dispatch(kernel, parameters, &[&indices], spec, grid(count))?;
    Ok(Rows { places, row: row.to_vec() })
}
