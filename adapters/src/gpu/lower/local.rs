//! Normalisations that are made of other operators: by neighbouring channels, by a norm, by mean and variance, and by
//! the batch at hand.

use super::{
    super::planner::{Halt, Node, Placed, Planner, Value},
    pointwise::{Link, chain, code, convert, widened},
};
use burst_host::nouns::{Attribute, Element};

const SUBTRACT: u32 = 2;
const DIVIDE: u32 = 5;
const POWER: u32 = 9;
const ROOT: u32 = 39;

/// y = x / (bias + alpha · the mean of squares over `size` channels)^beta
pub fn response(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let x = widened(planner, node, node.input(0))?;
    let &[n, c, ref plane @ ..] = x.extents() else { return Err(node.invalid("channels are needed")) };
    let size = node.int("size", 0).max(1);
    let channels = x.reshaped(node.shape(vec![n, 1, c, plane.iter().product()])?);
    let squares = chain(planner, node, &channels, &[Link::tensor(code::MULTIPLY, channels.clone())], Element::Fp32)?;
    let (before, after) = ((size - 1) / 2, size / 2);
    let window = vec![
        ("kernel_shape".into(), Attribute::Ints(vec![size, 1])),
        ("pads".into(), Attribute::Ints(vec![before, 0, after, 0])),
        ("count_include_pad".into(), Attribute::Int(1)),
    ];
    let mean = planner.apply("AveragePool", window, vec![squares.into()])?;
    let links = [
        Link::number(code::MULTIPLY, node.float("alpha", 1e-4)),
        Link::number(code::ADD, node.float("bias", 1.0)),
        Link::number(POWER, -node.float("beta", 0.75)),
        Link::tensor(code::MULTIPLY, channels),
    ];
    let mean = planner.place(&mean)?;
    let y = chain(planner, node, &mean, &links, Element::Fp32)?.reshaped(x.spec.shape);
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// y = x / its norm along an axis, zeros where that is zero.
pub fn norm(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let x = widened(planner, node, node.input(0))?;
    let kind = match node.int("p", 2) {
        1 => "ReduceL1",
        2 => "ReduceL2",
        p => return Err(node.unsupported(&format!("p = {p}"))),
    };
    let norm = reduced(planner, kind, &x, vec![node.int("axis", -1)], true)?;
    let norm = chain(planner, node, &norm, &[Link::number(code::MAX, f32::MIN_POSITIVE)], Element::Fp32)?;
    let y = chain(planner, node, &x, &[Link::tensor(DIVIDE, norm)], Element::Fp32)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// y = (x - mean) / (deviation + 1e-9)
pub fn mean_variance(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let x = widened(planner, node, node.input(0))?;
    let axes = node.ints("axes").unwrap_or_else(|| vec![0, 2, 3]);
    let mean = reduced(planner, "ReduceMean", &x, axes.clone(), true)?;
    let centred = chain(planner, node, &x, &[Link::tensor(SUBTRACT, mean)], Element::Fp32)?;
    let squares = chain(planner, node, &centred, &[Link::tensor(code::MULTIPLY, centred.clone())], Element::Fp32)?;
    let variance = reduced(planner, "ReduceMean", &squares, axes, true)?;
    let links = [Link::alone(ROOT), Link::number(code::ADD, 1e-9)];
    let deviation = chain(planner, node, &variance, &links, Element::Fp32)?;
    let y = chain(planner, node, &centred, &[Link::tensor(DIVIDE, deviation)], Element::Fp32)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// By the mean and variance of this batch; the running ones move towards them.
pub fn batch_training(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    if node.opset < 14 {
        return Err(node.unsupported("training before opset 14"));
    }
    let x = widened(planner, node, node.input(0))?;
    let axes: Vec<i64> = (0..x.extents().len() as i64).filter(|&axis| axis != 1).collect();
    let mean = reduced(planner, "ReduceMean", &x, axes.clone(), true)?;
    let centred = chain(planner, node, &x, &[Link::tensor(SUBTRACT, mean.clone())], Element::Fp32)?;
    let squares = chain(planner, node, &centred, &[Link::tensor(code::MULTIPLY, centred.clone())], Element::Fp32)?;
    let variance = reduced(planner, "ReduceMean", &squares, axes, true)?;
    let channels = node.shape(vec![mean.spec.shape.elements()])?;
    let (mean, variance) = (mean.reshaped(channels.clone()), variance.reshaped(channels));
    let attributes = vec![("epsilon".into(), Attribute::Float(node.float("epsilon", 1e-5)))];
    let mut inputs: Vec<Value> = (0..3).map(|index| node.input(index).clone()).collect();
    inputs.extend([mean.clone().into(), variance.clone().into()]);
    let y = planner.apply("BatchNormalization", attributes, inputs)?;
    Ok(vec![y, running(planner, node, 3, &mean)?, running(planner, node, 4, &variance)?])
}

/// momentum · what input `index` holds + (1 - momentum) · what was seen
fn running(planner: &mut Planner, node: &Node<'_>, index: usize, seen: &Placed) -> Result<Value, Halt> {
    let element = node.spec(index)?.element;
    let momentum = node.float("momentum", 0.9);
    let kept = widened(planner, node, node.input(index))?;
    let kept = chain(planner, node, &kept, &[Link::number(code::MULTIPLY, momentum)], Element::Fp32)?;
    let links = [Link::number(code::MULTIPLY, 1.0 - momentum), Link::tensor(code::ADD, kept)];
    Ok(chain(planner, node, seen, &links, element)?.into())
}

/// A fold along axes, of what is on the device: there attributes mean the same in every opset.
pub fn reduced(planner: &mut Planner, kind: &str, x: &Placed, axes: Vec<i64>, keep: bool) -> Result<Placed, Halt> {
    let attributes = vec![("axes".into(), Attribute::Ints(axes)), ("keepdims".into(), Attribute::Int(i64::from(keep)))];
    let folded = planner.apply(kind, attributes, vec![x.clone().into()])?;
    planner.place(&folded)
}
