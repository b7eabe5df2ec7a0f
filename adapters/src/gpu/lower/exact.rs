//! Products of matrices and convolutions in integers and 64-bit floats, and what quantised models make of them.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    convolve::Convolution,
    deep,
    element::in_lane,
    movement::part,
    pointwise::{Link, broadcast, chain, code, convert, padded, strides},
    quantize::range,
    windows::{Windows, image},
};
use burst_host::nouns::{Element, Spec};

/// Like [`super::matrix::matmul`], in the lane of the elements.
pub fn matmul(planner: &mut Planner, node: &Node<'_>) -> Result<Value, Halt> {
    let element = node.spec(0)?.element;
    let (a, b) = (in_lane(planner, node, node.input(0))?.0, in_lane(planner, node, node.input(1))?.0);
    let y = product(planner, node, &a, &b)?;
    Ok(convert(planner, node, &y, element)?.into())
}

/// (a - zero of a) · (b - zero of b)
pub fn matmul_integer(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    if let Some(outputs) = deep::matmul(planner, node)? {
        return Ok(outputs);
    }
    let (a, b) = (centred(planner, node, 0, 2, 2)?, centred(planner, node, 1, 3, 1)?);
    Ok(vec![product(planner, node, &a, &b)?.into()])
}

/// The same, in steps of other scales.
pub fn matmul_quantised(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let (a, b) = (centred(planner, node, 0, 2, 2)?, centred(planner, node, 3, 5, 1)?);
    let sums = product(planner, node, &a, &b)?;
    rescaled(planner, node, &sums).map(|y| vec![y.into()])
}

/// The sums of `QLinearMatMul` in the steps of its result.
pub fn rescaled(planner: &mut Planner, node: &Node<'_>, sums: &Placed) -> Result<Placed, Halt> {
    let scales = [slices(planner, node, 1, 2)?, slices(planner, node, 4, 1)?, slices(planner, node, 6, 1)?];
    requantised(planner, node, sums, scales, 7)
}

pub fn conv_integer(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    if let Some(outputs) = deep::conv(planner, node)? {
        return Ok(outputs);
    }
    let rank = node.spec(1)?.shape.extents().len();
    let (x, w) = (centred(planner, node, 0, 2, 1)?, centred(planner, node, 1, 3, rank)?);
    let largest = largest(node, 0, 2)? * largest(node, 1, 3)?;
    Ok(vec![correlate(planner, node, &x, &w, largest)?.into()])
}

/// The same with a bias, in steps of other scales.
pub fn conv_quantised(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let rank = node.spec(3)?.shape.extents().len();
    let (x, w) = (centred(planner, node, 0, 2, 1)?, centred(planner, node, 3, 5, rank)?);
    let largest = largest(node, 0, 2)? * largest(node, 3, 5)?;
    let mut sums = correlate(planner, node, &x, &w, largest)?;
    if node.has(8) {
        node.holds(8, node.spec(3)?.shape.extents()[0])?;
        let bias = slices(planner, node, 8, rank - 1)?;
        sums = chain(planner, node, &sums, &[Link::tensor(code::ADD, bias)], Element::I32)?;
    }
    let scales = [slices(planner, node, 1, 1)?, slices(planner, node, 4, rank - 1)?, slices(planner, node, 6, 1)?];
    requantised(planner, node, &sums, scales, 7).map(|y| vec![y.into()])
}

/// An input as INT32, without its zero, whose values lie along the axis that is `place`th from the end.
fn centred(planner: &mut Planner, node: &Node<'_>, x: usize, zero: usize, place: usize) -> Result<Placed, Halt> {
    let x = planner.place(node.input(x))?;
    let x = convert(planner, node, &x, Element::I32)?;
    if !node.has(zero) {
        return Ok(x);
    }
    let zero = slices(planner, node, zero, place)?;
    let zero = convert(planner, node, &zero, Element::I32)?;
    chain(planner, node, &x, &[Link::tensor(code::SUBTRACT, zero)], Element::I32)
}

/// One value, or a list of them along the axis that is `place`th from the end.
fn slices(planner: &mut Planner, node: &Node<'_>, index: usize, place: usize) -> Result<Placed, Halt> {
    let values = planner.place(node.input(index))?;
    match *values.extents() {
        [1] => Ok(values.reshaped(node.shape(Vec::new())?)),
        [count] => {
            let mut extents = vec![1; place.max(1)];
            extents[0] = count;
            Ok(values.reshaped(node.shape(extents)?))
        }
        _ => Ok(values),
    }
}

/// Sums in the steps of `a · b / y`, around the zero that is input `zero`.
fn requantised(
    planner: &mut Planner,
    node: &Node<'_>,
    sums: &Placed,
    [a, b, y]: [Placed; 3],
    zero: usize,
) -> Result<Placed, Halt> {
    let result = node.spec(zero)?.element;
    let factor = planner.apply("Mul", Vec::new(), vec![a.into(), b.into()])?;
    let factor = planner.apply("Div", Vec::new(), vec![factor, y.into()])?;
    let factor = planner.place(&factor)?;
    let (low, high) = range(node, result)?.ok_or_else(|| node.lacks(result))?;
    let zero = slices(planner, node, zero, 1)?;
    let links = [
        Link::tensor(code::MULTIPLY, factor),
        Link::tensor(code::ADD, zero),
        Link::alone(code::ROUND),
        Link::number(code::MAX, low),
        Link::number(code::MIN, high),
    ];
    let sums = convert(planner, node, sums, Element::Fp32)?;
    chain(planner, node, &sums, &links, result)
}

/// numpy's rules: vectors are promoted, leading axes broadcast.
fn product(planner: &mut Planner, node: &Node<'_>, a: &Placed, b: &Placed) -> Result<Placed, Halt> {
    let (row, column) = match (a.extents(), b.extents()) {
        ([], _) | (_, []) => return Err(node.invalid("a scalar")),
        (&[k], &[l]) => (a.reshaped(node.shape(vec![1, k])?), b.reshaped(node.shape(vec![l, 1])?)),
        (&[k], _) => (a.reshaped(node.shape(vec![1, k])?), b.clone()),
        (_, &[l]) => (a.clone(), b.reshaped(node.shape(vec![l, 1])?)),
        _ => (a.clone(), b.clone()),
    };
    let y = multiply(planner, node, &row, &column)?;
    let mut extents = y.extents().to_vec();
    let rank = extents.len();
    if b.extents().len() == 1 {
        extents.remove(rank - 1);
    }
    if a.extents().len() == 1 {
        extents.remove(rank - 2);
    }
    Ok(y.reshaped(node.shape(extents)?))
}

fn multiply(planner: &mut Planner, node: &Node<'_>, a: &Placed, b: &Placed) -> Result<Placed, Halt> {
    let (a_batch, a_matrix) = a.extents().split_at(a.extents().len() - 2);
    let (b_batch, b_matrix) = b.extents().split_at(b.extents().len() - 2);
    let (&[m, k], &[inner, n]) = (a_matrix, b_matrix) else { return Err(node.invalid("a matrix has two axes")) };
    if k != inner || a.spec.element != b.spec.element {
        return Err(node.invalid(&format!("{} and {} do not fit", a.spec, b.spec)));
    }
    let batch = broadcast(node, &node.shape(a_batch.to_vec())?, &node.shape(b_batch.to_vec())?)?;
    let mut extents = batch.extents().to_vec();
    extents.extend([m, n]);
    let spec = Spec { element: a.spec.element, shape: node.shape(extents)? };
    let count = spec.shape.elements();
    let mut parameters = [count, m, n, k].map(|value| value as u32).to_vec();
    parameters.extend(padded(batch.extents(), 1));
    for (own, matrix) in [(a_batch, m * k), (b_batch, k * n)] {
        parameters.extend(strides(own, batch.extents()).map(|step| step * matrix as u32));
    }
    let (x, lane) = in_lane(planner, node, &a.clone().into())?;
    let kernel = Kernel::new(Shader::Product(lane), lane.constants(&x, &[]));
    planner.dispatch(kernel, parameters, &[&x, b], spec, grid(count))
}

/// The same in FP32, so many channels at a time.
fn in_floats(
    planner: &mut Planner,
    node: &Node<'_>,
    [x, w]: [&Placed; 2],
    windows: &Windows,
    groups: usize,
    spec: &Spec,
    each: usize,
) -> Result<Placed, Halt> {
    let channels = w.extents()[1];
    let wide = Spec { element: Element::Fp32, shape: spec.shape.clone() };
    let mut all: Option<Placed> = None;
    for first in (0..channels).step_by(each) {
        let count = each.min(channels - first);
        let mut part = |side: &Placed, count: usize| {
            let own = part(planner, node, side, 1, first, count)?;
            convert(planner, node, &own, Element::Fp32)
        };
        let (x, w) = (part(x, count * groups)?, part(w, count)?);
        let sums = Convolution::exact(planner, node, [&x, &w], windows.clone(), groups, wide.clone())?;
        let sums = convert(planner, node, &sums, Element::I32)?;
        all = Some(match all {
            Some(before) => chain(planner, node, &before, &[Link::tensor(code::ADD, sums)], Element::I32)?,
            None => sums,
        });
    }
    all.ok_or_else(|| node.invalid("a convolution of no channels"))
}

/// Channels of a result for which an invocation reads an image once.
const TOGETHER: usize = 4;

/// The largest magnitude of an input of 8 bits without its zero.
fn largest(node: &Node<'_>, x: usize, zero: usize) -> Result<usize, Halt> {
    Ok(if node.spec(x)?.element == Element::I8 && !node.has(zero) { 128 } else { 255 })
}

/// Parts of the channels, beyond which a kernel for integers takes them all: each part is a pass over the result.
const PARTS_MAX: usize = 128;

/// Up to where FP32 has every whole number.
const EXACT_MAX: usize = 1 << 24;

/// A convolution of INT32 whose products are no larger than that: zero beside the image.
fn correlate(planner: &mut Planner, node: &Node<'_>, x: &Placed, w: &Placed, largest: usize) -> Result<Placed, Halt> {
    let [n, c, h, width] = image(node, x)?;
    let groups = usize::try_from(node.int("group", 1)).unwrap_or(0);
    let c_out = w.extents().first().copied().unwrap_or(0);
    let ranks = x.extents().len() == w.extents().len();
    if !ranks || groups == 0 || c % groups != 0 || c_out % groups != 0 || w.extents().get(1) != Some(&(c / groups)) {
        return Err(node.invalid(&format!("{} and {} in {groups} groups", x.spec, w.spec)));
    }
    let windows = Windows::<2>::new(node, [h, width], &w.extents()[2..], false)?;
    let mut extents = vec![n, c_out];
    extents.extend(if x.extents().len() == 3 { &windows.output[1..] } else { &windows.output[..] });
    let spec = Spec { element: Element::I32, shape: node.shape(extents)? };
    // Channels of which sums are exact in FP32, where kernels share what they load.
    let each = EXACT_MAX / largest / windows.kernel.iter().product::<usize>().max(1);
    let in_parts = each > 0 && c > 0 && (groups == 1 || c / groups <= each) && c.div_ceil(groups * each) <= PARTS_MAX;
    if in_parts && Convolution::fits(&windows, n, groups) {
        return in_floats(planner, node, [x, w], &windows, groups, &spec, each);
    }
    let together = if c_out == groups { 1 } else { TOGETHER };
    let count = n * groups * (c_out / groups).div_ceil(together) * windows.output.iter().product::<usize>();
    let mut parameters = [count, c / groups, c_out, c_out / groups, h, width].map(|value| value as u32).to_vec();
    let Windows { kernel, strides, begin, dilations, output, .. } = windows;
    for pair in [output, kernel, strides, begin, dilations] {
        parameters.extend(pair.map(|value| value as u32));
    }
    let kernel = Kernel::new(Shader::Correlate, [("CHANNELS", together as u32)]);
    planner.dispatch(kernel, parameters, &[x, w], spec, grid(count))
}
