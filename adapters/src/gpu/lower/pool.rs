//! Pools: one number out of each window.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    pointwise::{convert, widened},
    windows::{Windows, volume},
};
use burst_host::nouns::{Attribute, Element, Shape, Spec};

const MAX: u32 = 0;
const MEAN: u32 = 1;
const NORM: u32 = 2;
/// Where the largest is, along the rows or along the columns first.
const PLACE: u32 = 3;
const PLACE_BY_COLUMNS: u32 = 4;

/// The largest of each window, and where it was.
pub fn max(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let x = match element {
        Element::U8 | Element::I8 => {
            let narrow = planner.place(node.input(0))?;
            convert(planner, node, &narrow, Element::Fp32)?
        }
        _ => widened(planner, node, node.input(0))?,
    };
    let largest = pool(planner, node, &x, MAX)?;
    let mut results = vec![convert(planner, node, &largest, element)?.into()];
    if node.op.outputs.get(1).is_some_and(|name| !name.is_empty()) {
        let mode = if node.int("storage_order", 0) == 1 { PLACE_BY_COLUMNS } else { PLACE };
        results.push(pool(planner, node, &x, mode)?.into());
    }
    Ok(results)
}

pub fn average(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    floats(planner, node, MEAN)
}

pub fn lp(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    floats(planner, node, NORM)
}

/// One window over everything.
pub fn global_lp(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let extents = node.spec(0)?.shape.extents().iter().skip(2);
    let kernel = Attribute::Ints(extents.map(|&extent| extent as i64).collect());
    let attributes = vec![("kernel_shape".into(), kernel), ("p".into(), Attribute::Int(node.int("p", 2)))];
    Ok(vec![planner.apply("LpPool", attributes, vec![node.input(0).clone()])?])
}

fn floats(planner: &mut Planner, node: &Node<'_>, mode: u32) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let x = widened(planner, node, node.input(0))?;
    let y = pool(planner, node, &x, mode)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

fn pool(planner: &mut Planner, node: &Node<'_>, x: &Placed, mode: u32) -> Result<Placed, Halt> {
    let ([n, c], input) = volume(node, x)?;
    let axes = x.extents().len() - 2;
    let kernel = node.ints("kernel_shape").unwrap_or_default();
    let kernel: Vec<usize> = kernel.iter().map(|&extent| extent.max(0) as usize).collect();
    if kernel.len() != axes {
        return Err(node.invalid("`kernel_shape` needs an extent for each axis"));
    }
    let windows = Windows::new(node, input, &kernel, node.int("ceil_mode", 0) == 1)?;
    let mut extents = vec![n, c];
    extents.extend(&windows.output[3 - axes..]);
    let element = if matches!(mode, PLACE | PLACE_BY_COLUMNS) { Element::I64 } else { Element::Fp32 };
    let spec = Spec { element, shape: node.shape(extents)? };
    let parameters = parameters(node, &spec.shape, input, &windows);
    let constants = [("MODE", mode), ("COUNT_PADS", node.int("count_include_pad", 0) as u32)];
    let groups = grid(spec.shape.elements());
    planner.dispatch(Kernel::new(Shader::Pool, constants), parameters, &[x], spec, groups)
}

fn parameters(node: &Node<'_>, shape: &Shape, input: [usize; 3], windows: &Windows<3>) -> Vec<u32> {
    let Windows { kernel, strides, begin, end, dilations, output } = windows;
    let mut parameters = vec![shape.elements() as u32];
    for numbers in [&input, output, kernel, strides, begin, end, dilations] {
        parameters.extend(numbers.map(|value| value as u32));
    }
    parameters.push((node.int("p", 2) as f32).to_bits());
    parameters
}
