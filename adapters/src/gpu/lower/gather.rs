//! Operators that take elements by index.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Planner, Value, axis, grid},
    },
    pointwise::{padded, strides},
};
use burst_host::nouns::{Element, Spec};

/// Rows along one axis.
pub fn gather(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let indices = planner.place(node.input(1))?;
    let at = axis(node, node.int("axis", 0), x.extents().len())?;
    let index_words = index_words(node, indices.spec.element)? as usize;
    let size = x.spec.element.size().ok_or_else(|| node.unsupported("BYTES"))?;
    let inner: usize = x.extents()[at + 1..].iter().product();
    if !(inner * size).is_multiple_of(4) {
        return Err(node.unsupported("rows that are no whole words"));
    }
    let row = inner * size / 4;
    let mut extents = x.extents()[..at].to_vec();
    extents.extend(indices.extents());
    extents.extend(&x.extents()[at + 1..]);
    let spec = Spec { element: x.spec.element, shape: node.shape(extents)? };
    let count = spec.shape.elements() * size / 4;
    let parameters = [count, row, indices.spec.shape.elements(), x.extents()[at], index_words];
    let parameters = parameters.map(|value| value as u32).to_vec();
    let kernel = Kernel::new(Shader::Gather, []);
    Ok(vec![planner.dispatch(kernel, parameters, &[&x, &indices], spec, grid(count))?.into()])
}

/// One element for each index.
pub fn gather_elements(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let indices = planner.place(node.input(1))?;
    let rank = x.extents().len();
    let at = axis(node, node.int("axis", 0), rank)?;
    if indices.extents().len() != rank {
        return Err(node.invalid("indices of another rank"));
    }
    let words = super::order::words(node, x.spec.element)?;
    let spec = Spec { element: x.spec.element, shape: indices.spec.shape.clone() };
    let count = spec.shape.elements();
    let mut parameters = [count, at + 8 - rank, x.extents()[at]].map(|value| value as u32).to_vec();
    parameters.extend(padded(indices.extents(), 1));
    parameters.extend(strides(x.extents(), x.extents()));
    let constants = [("WORDS", words as u32), ("INDEX_WORDS", index_words(node, indices.spec.element)?)];
    let kernel = Kernel::new(Shader::GatherElements, constants);
    Ok(vec![planner.dispatch(kernel, parameters, &[&x, &indices], spec, grid(count))?.into()])
}

/// Words of an index.
pub fn index_words(node: &Node<'_>, element: Element) -> Result<u32, Halt> {
    match element {
        Element::I32 => Ok(1),
        Element::I64 => Ok(2),
        _ => Err(node.invalid("indices that are no integers")),
    }
}
