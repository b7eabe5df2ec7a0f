//! Random numbers. With a `seed` they are the same in each run, without one they go on from run to run.

use super::{
    super::{
        draft::Storage,
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    compact::known,
    pointwise::{Link, chain, code, convert, widened},
};
use burst_host::nouns::{Attribute, Element, Shape, Spec, Tensor};
use std::hash::{BuildHasher, RandomState};

/// Even between `low` and `high`.
pub fn uniform(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let range = [node.float("low", 0.0), node.float("high", 1.0)];
    drawn(planner, node, false, range)
}

pub fn normal(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let bell = [node.float("mean", 0.0), node.float("scale", 1.0)];
    drawn(planner, node, true, bell)
}

fn drawn(planner: &mut Planner, node: &Node<'_>, normal: bool, numbers: [f32; 2]) -> Result<Vec<Value>, Halt> {
    let (shape, element) = match node.input(0).spec() {
        Some(like) => (like.shape.clone(), like.element),
        None => {
            let extents = node.ints("shape").unwrap_or_default();
            let extents = extents.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
            (node.shape(extents.map_err(|_| node.invalid("an extent below zero"))?)?, Element::Fp32)
        }
    };
    let element = wanted(node, element)?;
    let y = draw(planner, node, shape, normal, numbers)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// 1 as often as the input says.
pub fn bernoulli(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = wanted(node, node.spec(0)?.element)?;
    let given = planner.place(node.input(0))?;
    let x = convert(planner, node, &given, Element::Fp32)?;
    let y = draw(planner, node, x.spec.shape.clone(), false, [0.0, 1.0])?;
    let y = chain(planner, node, &y, &[Link::tensor(code::LESS, x)], Element::Bool)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// Classes, as often as logarithms of their chances say.
pub fn multinomial(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = widened(planner, node, node.input(0))?;
    let &[batch, classes] = x.extents() else { return Err(node.invalid("it takes a row for each draw")) };
    let samples = usize::try_from(node.int("sample_size", 1)).map_err(|_| node.invalid("samples below zero"))?;
    if classes == 0 {
        return Err(node.invalid("no class to draw"));
    }
    let shape = node.shape(vec![batch, samples])?;
    let random = draw(planner, node, shape.clone(), false, [0.0, 1.0])?;
    let count = shape.elements();
    let parameters = [count, classes, samples].map(|value| value as u32).to_vec();
    let spec = Spec { element: Element::I32, shape };
    let kernel = Kernel::new(Shader::Multinomial, []);
    let y = planner.dispatch(kernel, parameters, &[&x, &random], spec, grid(count))?;
    let element = wanted(node, Element::I32)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

fn wanted(node: &Node<'_>, default: Element) -> Result<Element, Halt> {
    match node.op.attribute("dtype") {
        Some(Attribute::Int(number)) => crate::onnx::element(*number).map_err(|name| node.lacks(name)),
        _ => Ok(default),
    }
}

fn draw(
    planner: &mut Planner,
    node: &Node<'_>,
    shape: Shape,
    normal: bool,
    [first, second]: [f32; 2],
) -> Result<Placed, Halt> {
    let state = state(planner, node)?;
    let count = shape.elements();
    let parameters = vec![count as u32, first.to_bits(), second.to_bits()];
    let spec = Spec { element: Element::Fp32, shape };
    let kernel = Kernel::new(Shader::Random, [("NORMAL", u32::from(normal))]);
    planner.dispatch(kernel, parameters, &[&state], spec, grid(count.div_ceil(4)))
}

/// A key and how many runs there were; without a seed each run moves it on.
fn state(planner: &mut Planner, node: &Node<'_>) -> Result<Placed, Halt> {
    if let Some(Attribute::Float(seed)) = node.op.attribute("seed") {
        return planner.place(&known(node, &[seed.to_bits(), 0, 0])?);
    }
    let key = RandomState::new().hash_one(0);
    let first = Tensor::from_slice(Element::U32, [3], &[key as u32, (key >> 32) as u32, 0]);
    let first = first.map_err(|error| node.invalid(&error.to_string()))?;
    let state = Placed { spec: first.spec().clone(), storage: planner.storage(Storage::State(first)) };
    planner.dispatch_into(Kernel::new(Shader::Advance, []), vec![1], &[], &state, [1, 1, 1]);
    Ok(state)
}
