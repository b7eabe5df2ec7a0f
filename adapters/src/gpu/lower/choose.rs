//! Operators that choose: between two tensors, or among the elements of a run.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Planner, Value, axis, grid},
    },
    element::in_lane,
    pointwise::{broadcast, padded, strides},
};
use burst_host::nouns::{Element, Spec};

pub fn select(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let condition = planner.place(node.input(0))?;
    let (x, z) = (planner.place(node.input(1))?, planner.place(node.input(2))?);
    if condition.spec.element != Element::Bool || x.spec.element != z.spec.element {
        return Err(node.invalid("a condition and two tensors of one type are needed"));
    }
    let shape = broadcast(node, &broadcast(node, &condition.spec.shape, &x.spec.shape)?, &z.spec.shape)?;
    let size = x.spec.element.size().ok_or_else(|| node.lacks("BYTES"))?;
    let mut parameters = vec![shape.elements() as u32];
    parameters.extend(padded(shape.extents(), 1));
    for operand in [&condition, &x, &z] {
        parameters.extend(strides(operand.extents(), shape.extents()));
    }
    let groups = grid((shape.elements() * size).div_ceil(4));
    let spec = Spec { element: x.spec.element, shape };
    let kernel = Kernel::new(Shader::Select, [("SIZE", size as u32)]);
    Ok(vec![planner.dispatch(kernel, parameters, &[&condition, &x, &z], spec, groups)?.into()])
}

pub fn arg_max(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    arg(planner, node, 0)
}

pub fn arg_min(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    arg(planner, node, 1)
}

fn arg(planner: &mut Planner, node: &Node<'_>, smallest: u32) -> Result<Vec<Value>, Halt> {
    let (x, lane) = in_lane(planner, node, node.input(0))?;
    let at = axis(node, node.int("axis", 0), x.extents().len())?;
    let run = x.extents()[at];
    if run == 0 {
        return Err(node.invalid("a run of nothing"));
    }
    let inner: usize = x.extents()[at + 1..].iter().product();
    let mut extents = x.extents().to_vec();
    if node.int("keepdims", 1) == 1 {
        extents[at] = 1;
    } else {
        extents.remove(at);
    }
    let spec = Spec { element: Element::I64, shape: node.shape(extents)? };
    let count = spec.shape.elements();
    let parameters = [count, run, inner].map(|value| value as u32).to_vec();
    let flags = [("SMALLEST", smallest), ("LAST", node.int("select_last_index", 0) as u32)];
    let kernel = Kernel::new(Shader::Arg(lane), lane.constants(&x, &flags));
    Ok(vec![planner.dispatch(kernel, parameters, &[&x], spec, grid(count))?.into()])
}
