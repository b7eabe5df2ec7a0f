//! Pools: one number out of each window.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    choose,
    local::reduced,
    pointwise::{Link, chain, code, convert, widened},
    runs,
    windows::{Windows, volume},
};
use burst_host::nouns::{Attribute, Element, Shape, Spec};

const MAX: u32 = 0;
const MEAN: u32 = 1;
const NORM: u32 = 2;
/// Where the largest is, along the rows or along the columns first.
const PLACE: u32 = 3;
const PLACE_BY_COLUMNS: u32 = 4;
/// Of parts of windows.
const SUM: u32 = 5;
const POWERS: u32 = 6;
const SEEN: u32 = 7;
const POWER: u32 = 9;
/// Elements of a window whose largest one invocation finds.
const PLACES_MAX: usize = 50_000;

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
    let extents: Vec<_> = node.spec(0)?.shape.extents().iter().skip(2).map(|&extent| extent as i64).collect();
    let kernel = Attribute::Ints(extents);
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
    let mut parameters = parameters(node, &spec.shape, input, &windows);
    let taps = windows.kernel.iter().product();
    let parts = runs::shares([spec.shape.elements(), taps, 1]);
    let places = matches!(mode, PLACE | PLACE_BY_COLUMNS);
    if parts > 1 && !(places && taps <= PLACES_MAX) {
        parameters.extend([parts, taps.div_ceil(parts)].map(|value| value as u32));
        return in_parts(planner, node, x, (mode, parameters), (parts, spec));
    }
    parameters.extend([1, taps as u32]);
    let constants = [("MODE", mode), ("COUNT_PADS", node.int("count_include_pad", 0) as u32)];
    let groups = grid(spec.shape.elements());
    planner.dispatch(Kernel::new(Shader::Pool, constants), parameters, &[x], spec, groups)
}

/// Large windows, each part by part; what the parts come to is folded.
fn in_parts(
    planner: &mut Planner,
    node: &Node<'_>,
    x: &Placed,
    (mode, parameters): (u32, Vec<u32>),
    (parts, spec): (usize, Spec),
) -> Result<Placed, Halt> {
    let count = spec.shape.elements();
    let folded = |planner: &mut Planner, mode: u32, fold: &str| {
        let constants = [("MODE", mode), ("COUNT_PADS", node.int("count_include_pad", 0) as u32)];
        let partial = Spec { element: Element::Fp32, shape: node.shape(vec![count, parts])? };
        let kernel = Kernel::new(Shader::PoolParts, constants);
        let partial = planner.dispatch(kernel, parameters.clone(), &[x], partial, grid(count * parts))?;
        Ok::<_, Halt>(reduced(planner, fold, &partial, vec![1], false)?.reshaped(spec.shape.clone()))
    };
    match mode {
        MAX => folded(planner, MAX, "ReduceMax"),
        MEAN => {
            let (sum, seen) = (folded(planner, SUM, "ReduceSum")?, folded(planner, SEEN, "ReduceSum")?);
            let links = [Link::number(code::MAX, 1.0)];
            let seen = chain(planner, node, &seen, &links, Element::Fp32)?;
            chain(planner, node, &sum, &[Link::tensor(code::DIVIDE, seen)], Element::Fp32)
        }
        NORM => {
            let sum = folded(planner, POWERS, "ReduceSum")?;
            let root = match node.int("p", 2) {
                1 => return Ok(sum),
                2 => Link::alone(code::ROOT),
                p => Link::number(POWER, 1.0 / p as f32),
            };
            chain(planner, node, &sum, &[root], Element::Fp32)
        }
        PLACE => {
            let constants = [("MODE", PLACE)];
            let places = Spec { element: Element::U32, shape: node.shape(vec![count, parts])? };
            let kernel = Kernel::new(Shader::PoolParts, constants);
            let places = planner.dispatch(kernel, parameters.clone(), &[x], places, grid(count * parts))?;
            choose::among(planner, node, x, places, spec)
        }
        _ => Err(node.unsupported("where the largest is by columns, in windows of that size")),
    }
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
