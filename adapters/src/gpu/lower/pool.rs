//! Pools: one number out of each window.

use super::{
    super::{
        kernels::{Kernel, Shader},
        plan::ITERATIONS_MAX,
        planner::{Halt, Node, Planner, Value, grid},
    },
    convolve::{Windows, image},
    pointwise::{convert, widened},
};
use burst_host::nouns::{Element, Spec};

pub fn max(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    if node.op.outputs.get(1).is_some_and(|name| !name.is_empty()) {
        return Err(node.unsupported("the indices"));
    }
    pool(planner, node, 0)
}

pub fn average(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    pool(planner, node, 1)
}

pub fn lp(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    pool(planner, node, 2)
}

fn pool(planner: &mut Planner, node: &Node<'_>, mode: u32) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let x = widened(planner, node, node.input(0))?;
    let [n, c, h, w] = image(node, &x)?;
    let kernel = node.ints("kernel_shape").ok_or_else(|| node.invalid("no kernel_shape"))?;
    let kernel: Vec<usize> = kernel.iter().map(|&extent| extent.max(0) as usize).collect();
    let windows = Windows::new(node, [h, w], &kernel, node.int("ceil_mode", 0) == 1)?;
    if windows.kernel[0] * windows.kernel[1] > ITERATIONS_MAX {
        return Err(node.unsupported("a window of that size"));
    }
    let mut extents = vec![n, c];
    extents.extend(if x.extents().len() == 3 { &windows.output[1..] } else { &windows.output[..] });
    let spec = Spec { element: Element::Fp32, shape: node.shape(extents)? };
    let mut parameters = [spec.shape.elements(), h, w].map(|value| value as u32).to_vec();
    let Windows { kernel, strides, begin, end, dilations, output } = windows;
    for pair in [output, kernel, strides, begin, end, dilations] {
        parameters.extend(pair.map(|value| value as u32));
    }
    parameters.push((node.int("p", 2) as f32).to_bits());
    let constants = [("MODE", mode), ("COUNT_PADS", node.int("count_include_pad", 0) as u32)];
    let groups = grid(spec.shape.elements());
    let y = planner.dispatch(Kernel::new(Shader::Pool, constants), parameters, &[&x], spec, groups)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}
