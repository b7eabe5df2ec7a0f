//! Products of more steps than an invocation goes through: each part of the steps is a product, and the sum of all is taken.

use super::{
    super::{
        family::Family,
        iterations::{ITERATIONS_MAX, nested},
        planner::{Halt, Node, Placed, Planner, Value},
    },
    element::is_float,
    movement::part,
    pointwise::convert,
    windows::list,
};
use burst_host::nouns::{Attribute, Element};

/// Steps of a part, far below what a driver stops an invocation at.
const STEPS_MAX: usize = 12_000;
/// The most steps of a product in the memory of workgroups, which go through many at once.
const SHARED_MAX: usize = 150_000;

/// The most steps that a product takes in one.
fn whole_max(planner: &Planner) -> usize {
    if planner.target.choice.family == Family::Shared { SHARED_MAX } else { ITERATIONS_MAX }
}

/// `MatMul`, and `MatMulInteger` with its zeros after both sides; `None` where one product does.
pub fn matmul(planner: &mut Planner, node: &Node<'_>) -> Result<Option<Vec<Value>>, Halt> {
    let (a, b) = (node.spec(0)?.shape.extents(), node.spec(1)?.shape.extents());
    let (Some(along), rank) = (a.len().checked_sub(1), b.len()) else { return Ok(None) };
    let (steps, other) = (a[along], rank.saturating_sub(2));
    if steps <= whole_max(planner) || b.get(other) != Some(&steps) {
        return Ok(None);
    }
    summed(planner, node, steps, [along, other]).map(Some)
}

/// The same for `Gemm`.
pub fn gemm(planner: &mut Planner, node: &Node<'_>) -> Result<Option<Vec<Value>>, Halt> {
    let turned = |name| usize::from(node.int(name, 0) == 1);
    let axes = [1 - turned("transA"), turned("transB")];
    let steps = |index: usize| Ok::<_, Halt>(node.spec(index)?.shape.extents().get(axes[index]).copied());
    match steps(0)? {
        Some(whole) if whole > whole_max(planner) && steps(1)? == Some(whole) => {
            summed(planner, node, whole, axes).map(Some)
        }
        _ => Ok(None),
    }
}

/// `Conv` and `ConvInteger` by channels of the input, or where one channel has too many taps, by rows of the kernel.
pub fn conv(planner: &mut Planner, node: &Node<'_>) -> Result<Option<Vec<Value>>, Halt> {
    let weights = node.spec(1)?.shape.extents().to_vec();
    let &[outputs, channels, ref kernel @ ..] = weights.as_slice() else { return Ok(None) };
    let groups = usize::try_from(node.int("group", 1)).unwrap_or(1);
    let fits = node.spec(0)?.shape.extents().get(1) == Some(&channels.saturating_mul(groups));
    // Taps are gone through axis by axis, and the channels of each.
    let rounds = |channels: usize| nested(&[kernel, &[channels]].concat());
    if rounds(channels) <= ITERATIONS_MAX || kernel.is_empty() || !fits || groups > 1 && node.op.kind != "Conv" {
        return Ok(None);
    }
    if groups > 1 && channels > 1 && outputs.is_multiple_of(groups) {
        return by_groups(planner, node, [groups, channels, outputs / groups]).map(Some);
    }
    if rounds(1) > ITERATIONS_MAX {
        return by_rows(planner, node, kernel).map(Some);
    }
    summed(planner, node, channels, [1, 1]).map(Some)
}

/// Each group for itself.
fn by_groups(
    planner: &mut Planner,
    node: &Node<'_>,
    [groups, channels, outputs]: [usize; 3],
) -> Result<Vec<Value>, Halt> {
    let mut parts = Vec::new();
    for group in 0..groups {
        let mut inputs = node.inputs.clone();
        for (index, at, each) in [(0, 1, channels), (1, 0, outputs)] {
            inputs[index] = taken(planner, node, index, at, [group * each, each])?;
        }
        if node.op.kind == "Conv" && node.has(2) {
            inputs[2] = taken(planner, node, 2, 0, [group * outputs, outputs])?;
        }
        let others = node.op.attributes.iter().filter(|(name, _)| name != "group").cloned().collect();
        parts.push(planner.apply(&node.op.kind, others, inputs)?);
    }
    Ok(vec![planner.apply("Concat", vec![("axis".into(), Attribute::Int(1))], parts)?])
}

/// Rows of the kernel for themselves, each on what it sees of the padded input.
fn by_rows(planner: &mut Planner, node: &Node<'_>, kernel: &[usize]) -> Result<Vec<Value>, Halt> {
    let axes = kernel.len();
    if node.text("auto_pad", "NOTSET") != "NOTSET" || node.op.kind != "Conv" {
        return Err(node.unsupported("a kernel of that size"));
    }
    let (pads, dilations) = (list(node, "pads", 0, 2 * axes)?, list(node, "dilations", 1, axes)?);
    let at = (0..axes).max_by_key(|&axis| kernel[axis]).unwrap_or(0);
    let each = (STEPS_MAX / (kernel.iter().product::<usize>() / kernel[at])).clamp(1, kernel[at]);
    let x = planner.place(node.input(0))?;
    let x = convert(planner, node, &x, Element::Fp32)?;
    let padded = padded(planner, &x, [pads[at], pads[at + axes]], at + 2)?;
    let (extent, step) = (padded.extents()[at + 2], dilations[at]);
    let mut parts = Vec::new();
    for first in (0..kernel[at]).step_by(each) {
        let rows = each.min(kernel[at] - first);
        // What comes after belongs to the rows after these.
        let after = (kernel[at] - first - rows) * step;
        let Some(length) = extent.checked_sub(first * step + after).filter(|&length| length > 0) else {
            return Err(node.invalid("the kernel is larger than the padded input"));
        };
        let mut inputs = vec![part(planner, node, &padded, at + 2, first * step, length)?.into()];
        let weights = planner.place(node.input(1))?;
        let weights = convert(planner, node, &weights, Element::Fp32)?;
        inputs.push(part(planner, node, &weights, at + 2, first, rows)?.into());
        if first == 0 && node.has(2) {
            let bias = planner.place(node.input(2))?;
            inputs.push(convert(planner, node, &bias, Element::Fp32)?.into());
        }
        let mut own = pads.clone();
        (own[at], own[at + axes]) = (0, 0);
        let own = own.iter().map(|&pad| pad as i64).collect();
        let others = node.op.attributes.iter().filter(|(name, _)| name != "pads" && name != "kernel_shape").cloned();
        let attributes = others.chain([("pads".into(), Attribute::Ints(own))]).collect();
        parts.push(planner.apply("Conv", attributes, inputs)?);
    }
    let sum = sum(planner, parts)?;
    let sum = planner.place(&sum)?;
    Ok(vec![convert(planner, node, &sum, node.spec(0)?.element)?.into()])
}

/// Zeros before and after along one axis.
fn padded(planner: &mut Planner, x: &Placed, [before, after]: [usize; 2], at: usize) -> Result<Placed, Halt> {
    let rank = x.extents().len();
    let mut pads = vec![0; 2 * rank];
    (pads[at], pads[at + rank]) = (before, after);
    let pads = planner.axes(&pads)?;
    let y = planner.apply("Pad", Vec::new(), vec![x.clone().into(), pads])?;
    planner.place(&y)
}

/// The sum of products, each of some steps that lie along these axes of both sides; in f32 until the end.
fn summed(planner: &mut Planner, node: &Node<'_>, steps: usize, axes: [usize; 2]) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let narrow = is_float(element) && element != Element::Fp64;
    let inner = node.spec(1)?.shape.extents().iter().skip(2).product::<usize>();
    let conv = node.op.kind.starts_with("Conv");
    let each = if conv { (STEPS_MAX / inner.max(1)).max(1) } else { STEPS_MAX };
    let integer = node.op.kind.ends_with("Integer");
    let mut parts = Vec::new();
    for first in (0..steps).step_by(each) {
        let count = each.min(steps - first);
        let mut inputs = node.inputs.clone();
        for (index, at) in [0, 1].into_iter().zip(axes) {
            inputs[index] = taken(planner, node, index, at, [first, count])?;
        }
        if first > 0 && !integer {
            inputs.truncate(2);
        }
        if narrow {
            for input in &mut inputs {
                let wide = planner.place(input)?;
                *input = convert(planner, node, &wide, Element::Fp32)?.into();
            }
        }
        parts.push(planner.apply(&node.op.kind, node.op.attributes.clone(), inputs)?);
    }
    let sum = sum(planner, parts)?;
    let sum = planner.place(&sum)?;
    let sum = if narrow { convert(planner, node, &sum, element)? } else { sum };
    Ok(vec![sum.into()])
}

fn taken(
    planner: &mut Planner,
    node: &Node<'_>,
    index: usize,
    at: usize,
    [first, count]: [usize; 2],
) -> Result<Value, Halt> {
    let x = planner.place(node.input(index))?;
    Ok(part(planner, node, &x, at, first, count)?.into())
}

/// Pair by pair, so that no sum is much larger than what is added to it.
fn sum(planner: &mut Planner, mut parts: Vec<Value>) -> Result<Value, Halt> {
    while parts.len() > 1 {
        let mut pairs = Vec::with_capacity(parts.len().div_ceil(2));
        for pair in parts.chunks(2) {
            pairs.push(match pair {
                [a, b] => planner.apply("Add", Vec::new(), vec![a.clone(), b.clone()])?,
                one => one[0].clone(),
            });
        }
        parts = pairs;
    }
    Ok(parts.pop().unwrap_or(Value::Absent))
}
