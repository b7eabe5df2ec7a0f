//! Sequences turned around, each as far as it goes.

use super::super::{
    kernels::{Kernel, Shader},
    planner::{Halt, Node, Planner, Value, grid},
};
use burst_host::nouns::Element;

pub fn sequence(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let (x, lengths) = (planner.place(node.input(0))?, planner.place(node.input(1))?);
    let time_first = match (node.int("time_axis", 0), node.int("batch_axis", 1)) {
        (0, 1) => true,
        (1, 0) => false,
        _ => return Err(node.invalid("times and batches are the first two axes")),
    };
    let &[first, second, ref inner @ ..] = x.extents() else { return Err(node.invalid("it takes two axes or more")) };
    let batches = if time_first { second } else { first };
    if lengths.spec.element != Element::I64 || lengths.extents() != [batches] {
        return Err(node.invalid("a length for each batch is needed"));
    }
    planner.check_below(node, 1, if time_first { first } else { second } + 1)?;
    let size = x.spec.element.size().ok_or_else(|| node.lacks("BYTES"))?;
    let count = x.spec.shape.elements();
    let parameters = [count, first, second, inner.iter().product()].map(|value| value as u32).to_vec();
    let kernel = Kernel::new(Shader::Reverse, [("SIZE", size as u32), ("TIME_FIRST", u32::from(time_first))]);
    let groups = grid((count * size).div_ceil(4));
    Ok(vec![planner.dispatch(kernel, parameters, &[&x, &lengths], x.spec.clone(), groups)?.into()])
}
