//! Normalisations: by layer, group, instance and batch.

use super::{
    super::{
        kernels::Shader,
        planner::{Halt, Node, Placed, Planner, Value, axis},
    },
    pointwise::{Link, chain, code, convert, widened},
    reduce::means,
    runs,
};
use burst_host::nouns::Element;

/// How scales lie over the runs that are normalised.
struct Scales {
    rows: usize,
    row: usize,
    each: usize,
    /// How many there are.
    count: usize,
}

pub fn layer(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let mut results = by_axis(planner, node, 0)?;
    if node.op.outputs.iter().skip(1).any(|name| !name.is_empty()) {
        results.extend(statistics(planner, node)?);
    }
    Ok(results)
}

/// The mean and the inverse of the deviation of what was normalised.
fn statistics(planner: &mut Planner, node: &Node<'_>) -> Result<[Value; 2], Halt> {
    let x = widened(planner, node, node.input(0))?;
    let extents = x.extents().to_vec();
    let at = axis(node, node.int("axis", -1), extents.len())?;
    let run: usize = extents[at..].iter().product();
    let count: usize = extents[..at].iter().product();
    let rows = x.reshaped(node.shape(vec![count, run])?);
    let mean = means(planner, node, &rows, count, run)?;
    let centred = chain(planner, node, &rows, &[Link::tensor(2, mean.clone())], Element::Fp32)?;
    let squared = chain(planner, node, &centred, &[Link::tensor(code::MULTIPLY, centred.clone())], Element::Fp32)?;
    let variance = means(planner, node, &squared, count, run)?;
    let links = [Link::number(code::ADD, node.float("epsilon", 1e-5)), Link::alone(39), Link::alone(38)];
    let inverse = chain(planner, node, &variance, &links, Element::Fp32)?;
    let mut shape = extents;
    shape[at..].fill(1);
    let shape = node.shape(shape)?;
    Ok([mean.reshaped(shape.clone()).into(), inverse.reshaped(shape).into()])
}

pub fn rms(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    by_axis(planner, node, 1)
}

fn by_axis(planner: &mut Planner, node: &Node<'_>, mode: u32) -> Result<Vec<Value>, Halt> {
    let extents = node.spec(0)?.shape.extents();
    let at = axis(node, node.int("axis", -1), extents.len())?;
    let run = extents[at..].iter().product();
    if node.spec(1)?.shape.elements() != run {
        return Err(node.unsupported("a scale of another shape than what is normalised"));
    }
    normalized(planner, node, mode, run, Scales { rows: 1, row: 0, each: 1, count: run })
}

pub fn instance(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let (channels, run) = planes(node)?;
    normalized(planner, node, 0, run, Scales { rows: channels, row: 1, each: run.max(1), count: channels })
}

/// Channels, and elements of each.
fn planes(node: &Node<'_>) -> Result<(usize, usize), Halt> {
    let &[_, channels, ref plane @ ..] = node.spec(0)?.shape.extents() else {
        return Err(node.invalid("channels are needed"));
    };
    Ok((channels, plane.iter().product()))
}

/// Since opset 21 there is a scale for each channel; before, for each group.
pub fn group(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let (all, plane) = planes(node)?;
    let groups = usize::try_from(node.int("num_groups", 0)).ok().filter(|&groups| groups > 0);
    let groups = groups.filter(|&groups| all.is_multiple_of(groups));
    let groups = groups.ok_or_else(|| node.invalid(&format!("`num_groups` does not divide {all} channels")))?;
    let channels = all / groups;
    let run = channels * plane;
    let scales = if node.opset >= 21 {
        Scales { rows: groups, row: channels, each: plane.max(1), count: all }
    } else {
        Scales { rows: groups, row: 1, each: run.max(1), count: groups }
    };
    normalized(planner, node, 0, run, scales)
}

fn normalized(
    planner: &mut Planner,
    node: &Node<'_>,
    mode: u32,
    run: usize,
    scales: Scales,
) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let x = widened(planner, node, node.input(0))?;
    for index in [1, 2].into_iter().filter(|&index| index == 1 || node.has(index)) {
        node.holds(index, scales.count)?;
    }
    let scale = widened(planner, node, node.input(1))?;
    let shift = if node.has(2) { Some(widened(planner, node, node.input(2))?) } else { None };
    let count = x.spec.shape.elements().checked_div(run).unwrap_or(0);
    let epsilon = node.float("epsilon", 1e-5);
    if runs::parts(planner, [count, run, 1]) > 1 {
        let y = long(planner, node, mode, &x.reshaped(node.shape(vec![count, run])?), [Some(scale), shift], &scales)?;
        return Ok(vec![convert(planner, node, &y.reshaped(x.spec.shape), element)?.into()]);
    }
    let parameters =
        vec![count as u32, run as u32, epsilon.to_bits(), scales.row as u32, scales.rows as u32, scales.each as u32];
    let constants = vec![("MODE", mode), ("SHIFT", u32::from(shift.is_some()))];
    let shaders = [Shader::Normalize, Shader::NormalizeRows];
    let (kernel, groups) = runs::kernel(planner, shaders, constants, [count, run, 1]);
    let reads = [&x, &scale, shift.as_ref().unwrap_or(&scale)];
    let y = planner.dispatch(kernel, parameters, &reads, x.spec.clone(), groups)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// Rows that are too long for one invocation, or too few to keep a device busy: pass by pass.
fn long(
    planner: &mut Planner,
    node: &Node<'_>,
    mode: u32,
    x: &Placed,
    weights: [Option<Placed>; 2],
    scales: &Scales,
) -> Result<Placed, Halt> {
    let &[count, run] = x.extents() else { return Err(node.invalid("rows are needed")) };
    let centred = match mode {
        0 => {
            let mean = means(planner, node, x, count, run)?;
            chain(planner, node, x, &[Link::tensor(code::SUBTRACT, mean)], Element::Fp32)?
        }
        _ => x.clone(),
    };
    let squared = chain(planner, node, &centred, &[Link::tensor(code::MULTIPLY, centred.clone())], Element::Fp32)?;
    let variance = means(planner, node, &squared, count, run)?;
    let links = [Link::number(code::ADD, node.float("epsilon", 1e-5)), Link::alone(code::ROOT), Link::alone(38)];
    let factor = chain(planner, node, &variance, &links, Element::Fp32)?;
    // Each scale is for so many elements of so many rows.
    let each = scales.each.max(1);
    let rows = node.shape(vec![count / scales.rows.max(1), scales.rows.max(1), run / each, each])?;
    let mut links = vec![Link::tensor(
        code::MULTIPLY,
        factor.reshaped(node.shape(vec![rows.extents()[0], rows.extents()[1], 1, 1])?),
    )];
    for (weight, code) in weights.into_iter().zip([code::MULTIPLY, code::ADD]) {
        if let Some(weight) = weight {
            let weight = weight.reshaped(node.shape(vec![1, scales.rows.max(1), run / each, 1])?);
            links.push(Link::tensor(code, weight));
        }
    }
    chain(planner, node, &centred.reshaped(rows), &links, Element::Fp32)
}

/// y = (x - mean) / sqrt(variance + epsilon) · scale + shift, each a number a channel. Folded into one factor and one
/// term, at once where they are known.
pub fn batch(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    if node.int("training_mode", 0) == 1 || node.op.outputs.iter().skip(1).any(|name| !name.is_empty()) {
        return super::local::batch_training(planner, node);
    }
    let element = node.spec(0)?.element;
    let x = widened(planner, node, node.input(0))?;
    let channels = x.extents().get(1).copied().unwrap_or(1);
    (1..5).try_for_each(|index| node.holds(index, channels))?;
    let mut of = |index| {
        let numbers = widened(planner, node, node.input(index))?;
        Ok::<_, Halt>(numbers.reshaped(node.shape(vec![channels])?))
    };
    let (scale, shift, mean, variance) = (of(1)?, of(2)?, of(3)?, of(4)?);
    let epsilon = Link::number(code::ADD, node.float("epsilon", 1e-5));
    let (root, invert) = (Link::alone(39), Link::alone(38));
    let links = [epsilon, root, invert, Link::tensor(code::MULTIPLY, scale)];
    let factor = chain(planner, node, &variance, &links, Element::Fp32)?;
    // shift - mean · factor
    let links = [Link::tensor(code::MULTIPLY, factor.clone()), Link::tensor(3, shift)];
    let term = chain(planner, node, &mean, &links, Element::Fp32)?;
    let mut extents = vec![1; x.extents().len().max(2) - 1];
    extents[0] = channels;
    let channel = |placed: &Placed| Ok::<_, Halt>(placed.reshaped(node.shape(extents.clone())?));
    let links = [Link::tensor(code::MULTIPLY, channel(&factor)?), Link::tensor(code::ADD, channel(&term)?)];
    let y = chain(planner, node, &x, &links, Element::Fp32)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}
