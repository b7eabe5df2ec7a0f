//! Sampling where numbers point: grids, regions of interest, shifted windows.

use super::{
    super::{
        iterations::ITERATIONS_MAX,
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    gather::index_words,
    pointwise::{Link, chain, code, convert, widened},
    volume::groups,
    windows::{Windows, volume},
};
use burst_host::nouns::{Attribute, Element, Spec, Tensor};

/// Samples one element apart that may lie on an image beyond its extent: the edges, and what is rounded. Where a bin has
/// fewer than those, they are all it has.
const BEYOND: usize = 6;
/// Passes over the samples of a bin.
const PASSES_MAX: usize = 64;

pub fn grid_sample(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let (x, points) = (widened(planner, node, node.input(0))?, widened(planner, node, node.input(1))?);
    let ([n, c], input) = volume(node, &x)?;
    let axes = x.extents().len() - 2;
    let &[batch, ref output @ .., numbers] = points.extents() else { return Err(node.invalid("a grid of no points")) };
    if batch != n || numbers != axes || output.len() != axes || input.contains(&0) {
        return Err(node.invalid(&format!("a grid of {} for {}", points.spec, x.spec)));
    }
    let mode = match node.text("mode", "linear").as_str() {
        "nearest" => 0,
        "linear" | "bilinear" => 1,
        "cubic" | "bicubic" => 2,
        other => return Err(node.unsupported(&format!("mode `{other}`"))),
    };
    let padding = match node.text("padding_mode", "zeros").as_str() {
        "zeros" => 0,
        "border" => 1,
        "reflection" => 2,
        other => return Err(node.unsupported(&format!("padding `{other}`"))),
    };
    let mut extents = vec![n, c];
    extents.extend(output);
    let spec = Spec { element: Element::Fp32, shape: node.shape(extents)? };
    let count = spec.shape.elements();
    let mut parameters = [count, output.iter().product(), c].map(|value: usize| value as u32).to_vec();
    parameters.extend(input.map(|extent| extent as u32));
    let aligned = node.int("align_corners", 0) as u32;
    let constants = [("MODE", mode), ("PADDING", padding), ("ALIGNED", aligned), ("AXES", axes as u32)];
    let kernel = Kernel::new(Shader::GridSample, constants);
    let y = planner.dispatch(kernel, parameters, &[&x, &points], spec, grid(count))?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// The points of a grid under an affine map: a matrix for each image, on homogeneous coordinates.
pub fn affine_grid(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let size = node.numbers(1)?;
    let element = node.spec(0)?.element;
    let theta = widened(planner, node, node.input(0))?;
    let axes = size.len().saturating_sub(2);
    let &[n, rows, columns] = theta.extents() else { return Err(node.invalid("a matrix an image is needed")) };
    if !matches!(axes, 2 | 3)
        || rows != axes
        || columns != axes + 1
        || size.iter().any(|&extent| extent < 1)
        || size[0] != n as i64
    {
        return Err(node.invalid(&format!("{} for a grid of {size:?}", theta.spec)));
    }
    let spatial: Vec<usize> = size[2..].iter().map(|&extent| extent as usize).collect();
    let points = homogeneous(node, &spatial)?;
    let order = vec![("perm".into(), Attribute::Ints(vec![0, 2, 1]))];
    let turned = planner.apply("Transpose", order, vec![theta.into()])?;
    let moved = planner.apply("MatMul", Vec::new(), vec![points, turned])?;
    let mut extents = vec![n];
    extents.extend(spatial);
    extents.push(axes);
    let grid = planner.place(&moved)?.reshaped(node.shape(extents)?);
    Ok(vec![convert(planner, node, &grid, element)?.into()])
}

/// The centres of elements between -1 and 1, the last axis first, then a one.
fn homogeneous(node: &Node<'_>, extents: &[usize]) -> Result<Value, Halt> {
    let aligned = node.int("align_corners", 0) == 1;
    let place = |at: usize, extent: usize| match (aligned, extent) {
        (true, 1) => 0.0,
        (true, _) => 2.0 * at as f64 / (extent - 1) as f64 - 1.0,
        (false, _) => (2 * at + 1) as f64 / extent as f64 - 1.0,
    };
    let points = node.shape(extents.to_vec())?.elements();
    let shape = node.table(vec![points, extents.len() + 1])?;
    let mut numbers = Vec::with_capacity(shape.elements());
    for mut point in 0..points {
        for &extent in extents.iter().rev() {
            numbers.push(place(point % extent, extent) as f32);
            point /= extent;
        }
        numbers.push(1.0);
    }
    let table = Tensor::from_slice(Element::Fp32, shape.extents(), &numbers);
    table.map(Value::Known).map_err(|_| node.unsupported("a grid of that size"))
}

/// Before opset 16 an element's place was its corner.
pub fn roi_align(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let (x, boxes) = (widened(planner, node, node.input(0))?, widened(planner, node, node.input(1))?);
    let images = planner.place(node.input(2))?;
    let (&[n, c, h, w], &[regions, 4]) = (x.extents(), boxes.extents()) else {
        return Err(node.invalid("images and boxes of four numbers are needed"));
    };
    let number = |name: &str, default| usize::try_from(node.int(name, default)).unwrap_or(usize::MAX);
    let (rows, columns) = (number("output_height", 1), number("output_width", 1));
    let samples = number("sampling_ratio", 0);
    if images.extents() != [regions] || n * h * w == 0 {
        return Err(node.invalid("an image's index for each box is needed"));
    }
    let [down, across] = [h, w].map(|extent| if samples == 0 { extent + BEYOND } else { samples });
    let each = ITERATIONS_MAX / across.saturating_add(1);
    if each == 0 || down.div_ceil(each) > PASSES_MAX {
        return Err(node.unsupported(&format!("{down} x {across} samples of a bin")));
    }
    let spec = Spec { element: Element::Fp32, shape: node.shape(vec![regions, c, rows, columns])? };
    planner.check_below(node, 2, n)?;
    let count = spec.shape.elements();
    let mut parameters = [count, n, c, h, w, rows, columns, samples].map(|value| value as u32).to_vec();
    parameters.push(node.float("spatial_scale", 1.0).to_bits());
    let default = if node.opset >= 16 { "half_pixel" } else { "output_half_pixel" };
    let centred = node.text("coordinate_transformation_mode", default) == "half_pixel";
    let constants = [
        ("LARGEST", u32::from(node.text("mode", "avg") == "max")),
        ("HALF_PIXEL", u32::from(centred)),
        ("INDEX_WORDS", index_words(node, images.spec.element)?),
    ];
    let y = planner.temporary(spec)?;
    for first in (0..down).step_by(each) {
        let kernel = Kernel::new(Shader::RoiAlign, constants);
        let pass = [first, each, across].map(|value| value as u32);
        planner.dispatch_into(kernel, [&parameters[..], &pass].concat(), &[&x, &boxes, &images], &y, grid(count));
    }
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// A convolution of what shifted taps read: columns, and a product of matrices.
pub fn deformed(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let (x, w) = (widened(planner, node, node.input(0))?, widened(planner, node, node.input(1))?);
    let (&[n, c, h, width], &[out, inner, kh, kw]) = (x.extents(), w.extents()) else {
        return Err(node.unsupported("anything but images"));
    };
    let groups = groups(node, c)?;
    if inner != c / groups || !out.is_multiple_of(groups) {
        return Err(node.invalid(&format!("{} and {} in {groups} groups", x.spec, w.spec)));
    }
    let windows = Windows::<2>::new(node, [h, width], &[kh, kw], false)?;
    let columns = columns(planner, node, &x, &windows)?;
    let (taps, [rows, across]) = (kh * kw, windows.output);
    let columns = columns.reshaped(node.shape(vec![n, groups, inner * taps, rows * across])?);
    let weights = w.reshaped(node.shape(vec![groups, out / groups, inner * taps])?);
    let product = planner.apply("MatMul", Vec::new(), vec![weights.into(), columns.into()])?;
    let mut y = planner.place(&product)?.reshaped(node.shape(vec![n, out, rows, across])?);
    if node.has(3) {
        let bias = widened(planner, node, node.input(3))?;
        if bias.extents() != [out] {
            return Err(node.invalid("a bias that does not fit"));
        }
        let bias = bias.reshaped(node.shape(vec![out, 1, 1])?);
        y = chain(planner, node, &y, &[Link::tensor(code::ADD, bias)], Element::Fp32)?;
    }
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// [images, channels, taps, pixels]
fn columns(planner: &mut Planner, node: &Node<'_>, x: &Placed, windows: &Windows) -> Result<Placed, Halt> {
    let shifts = widened(planner, node, node.input(2))?;
    let mask = if node.has(4) { Some(widened(planner, node, node.input(4))?) } else { None };
    let &[n, c, h, w] = x.extents() else { return Err(node.unsupported("anything but images")) };
    let Windows { kernel, strides, begin, dilations, output, .. } = windows;
    let taps = kernel[0] * kernel[1];
    let families = usize::try_from(node.int("offset_group", 1)).ok().filter(|&count| count > 0 && c % count == 0);
    let families = families.ok_or_else(|| node.invalid("offset groups that do not fit"))?;
    let fits = |placed: &Placed, each: usize| placed.extents() == [n, families * taps * each, output[0], output[1]];
    if !fits(&shifts, 2) || mask.as_ref().is_some_and(|mask| !fits(mask, 1)) {
        return Err(node.invalid("offsets or a mask that do not fit"));
    }
    let spec = Spec { element: Element::Fp32, shape: node.shape(vec![n, c, taps, output[0] * output[1]])? };
    let count = spec.shape.elements();
    let mut parameters = [count, c, c / families, families, h, w].map(|value| value as u32).to_vec();
    for pair in [output, kernel, strides, begin, dilations] {
        parameters.extend(pair.map(|value| value as u32));
    }
    let kernel = Kernel::new(Shader::Deform, [("MASK", u32::from(mask.is_some()))]);
    let reads = [x, &shifts, mask.as_ref().unwrap_or(&shifts)];
    planner.dispatch(kernel, parameters, &reads, spec, grid(count))
}

/// Determinants of matrices.
pub fn determinant(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let x = widened(planner, node, node.input(0))?;
    let &[ref batch @ .., size, columns] = x.extents() else { return Err(node.invalid("a matrix has two axes")) };
    if size != columns || size == 0 {
        return Err(node.invalid("only square matrices have a determinant"));
    }
    let shape = node.shape(batch.to_vec())?;
    let count = shape.elements();
    let parameters = vec![count as u32, size as u32];
    let kernel = Kernel::new(Shader::Determinant, []);
    let eliminated = planner.dispatch(kernel, parameters, &[&x], x.spec.clone(), grid(count))?;
    let rows = eliminated.reshaped(node.shape(vec![count, size * size])?);
    let bounds = [("starts", 0), ("ends", 1), ("axes", 1)];
    let bounds = bounds.map(|(name, bound)| (name.into(), Attribute::Ints(vec![bound])));
    let first = planner.apply("Slice", bounds.to_vec(), vec![rows.into()])?;
    let y = planner.place(&first)?.reshaped(shape);
    Ok(vec![convert(planner, node, &y, element)?.into()])
}
