//! Transposed convolutions: every element of the input spreads over a window of the output.

use super::{
    super::planner::{Halt, Node, Planner, Value},
    movement::permute,
    pointwise::{convert, widened},
    shuffle,
    volume::{Gather, groups},
    windows::{Windows, list, volume},
};
use burst_host::nouns::{Attribute, Element, Tensor};

pub fn conv(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let (x, w) = (widened(planner, node, node.input(0))?, widened(planner, node, node.input(1))?);
    let bias = if node.has(2) { Some(widened(planner, node, node.input(2))?) } else { None };
    let ([_, c], input) = volume(node, &x)?;
    let groups = groups(node, c)?;
    let &[inner, out, ref kernel @ ..] = w.extents() else { return Err(node.invalid("weights have channels")) };
    if kernel.len() + 2 != x.extents().len() || inner != c {
        return Err(node.invalid(&format!("{} and {} do not fit", x.spec, w.spec)));
    }
    let windows = spread(node, input, kernel)?;
    if let Some(y) = shuffle::transposed(planner, node, [&x, &w], bias.as_ref(), groups, &windows)? {
        return Ok(vec![convert(planner, node, &y, element)?.into()]);
    }
    let channels = [c / groups, out];
    let taps = kernel.iter().product();
    let weights = w.reshaped(node.shape(vec![groups, channels[0], out, taps])?);
    let weights = permute(planner, node, &weights, &[0, 3, 1, 2])?;
    let gather = Gather { x: &x, weights, bias: bias.as_ref(), groups, channels, windows, transposed: true };
    let y = gather.dispatch(planner, node)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// Windows of the output; what is cut off where follows from the rule or from the output that is wanted.
fn spread(node: &Node<'_>, input: [usize; 3], kernel: &[usize]) -> Result<Windows<3>, Halt> {
    let axes = kernel.len();
    let mut windows = Windows::<3>::given(node, kernel)?;
    let longer = list(node, "output_padding", 0, axes)?;
    let wanted = if node.ints("output_shape").is_some() { Some(list(node, "output_shape", 0, axes)?) } else { None };
    let rule = node.text("auto_pad", "NOTSET");
    for (index, axis) in (3 - axes..3).enumerate() {
        let stride = windows.strides[axis];
        let whole = stride * input[axis].saturating_sub(1) + longer[index] + windows.reach(axis);
        let same = rule.starts_with("SAME").then_some(input[axis] * stride);
        let output = match wanted.as_ref().map(|wanted| wanted[index]).or(same) {
            Some(output) => {
                let cut = whole.saturating_sub(output);
                windows.begin[axis] = if rule == "SAME_UPPER" { cut / 2 } else { cut - cut / 2 };
                // Rows that nothing reaches are added at the end only where they are asked for.
                if wanted.is_some() { output } else { whole - cut }
            }
            None => whole.saturating_sub(windows.begin[axis] + windows.end[axis]),
        };
        windows.output[axis] = output;
    }
    if windows.output.contains(&0) {
        return Err(node.invalid("more is cut off than there is"));
    }
    Ok(windows)
}

/// Blocks of columns added up to images: a transposed convolution of each channel, whose weights pick one element each.
pub fn columns_to_image(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let (image, block) = (extents(node, 1)?, extents(node, 2)?);
    let x = planner.place(node.input(0))?;
    let size = block.iter().fold(1usize, |size, &extent| size.saturating_mul(extent));
    let &[n, rows, columns] = x.extents() else {
        return Err(node.invalid("columns are a batch of matrices"));
    };
    let axes = block.len();
    if image.len() != axes || size == 0 || !rows.is_multiple_of(size) || !(1..=3).contains(&axes) {
        return Err(node.unsupported("blocks of that shape"));
    }
    let windows = Windows::<3>::new(node, std::array::from_fn(|axis| at(&image, axis)), &block, false)?;
    let blocks = windows.output.iter().fold(1usize, |blocks, &extent| blocks.saturating_mul(extent));
    if blocks != columns {
        return Err(node.invalid("another number of blocks than columns"));
    }
    let mut shape = vec![n, rows];
    shape.extend(&windows.output[3 - axes..]);
    let spread = x.reshaped(node.shape(shape)?);
    let weights = unit(node, rows, &block)?;
    let mut attributes: Vec<(String, Attribute)> = Vec::new();
    for name in ["strides", "dilations", "pads"] {
        attributes.extend(node.ints(name).map(|values| (name.into(), Attribute::Ints(values))));
    }
    // What the stride leaves over at the end belongs to no block.
    let over = (3 - axes..3).map(|axis| {
        let covered = (windows.output[axis] - 1) * windows.strides[axis] + windows.reach(axis);
        (at(&image, axis) + windows.begin[axis] + windows.end[axis] - covered) as i64
    });
    attributes.push(("output_padding".into(), Attribute::Ints(over.collect())));
    attributes.push(("group".into(), Attribute::Int((rows / size) as i64)));
    Ok(vec![planner.apply("ConvTranspose", attributes, vec![spread.into(), weights])?])
}

/// An extent of the last of three axes; 1 for those that are not there.
fn at(extents: &[usize], axis: usize) -> usize {
    (axis + extents.len()).checked_sub(3).map_or(1, |index| extents[index])
}

fn extents(node: &Node<'_>, index: usize) -> Result<Vec<usize>, Halt> {
    let whole = |value: &i64| usize::try_from(*value).ok().filter(|&extent| extent > 0);
    let extents = node.numbers(index)?.iter().map(whole).collect::<Option<_>>();
    extents.ok_or_else(|| node.invalid("an extent below 1"))
}

/// Row r of a block's column goes to element r of the block, and nowhere else.
fn unit(node: &Node<'_>, rows: usize, block: &[usize]) -> Result<Value, Halt> {
    let size: usize = block.iter().product();
    let mut extents = vec![rows, 1];
    extents.extend(block);
    let shape = node.table(extents)?;
    let weights: Vec<f32> = (0..rows * size).map(|at| f32::from(at / size % size == at % size)).collect();
    let tensor = Tensor::from_slice(Element::Fp32, shape.extents(), &weights);
    tensor.map(Value::Known).map_err(|_| node.unsupported("blocks of that size"))
}
