//! Evenly spaced numbers. How many there are follows from their values, so they are made where those are known.

use super::super::planner::{Halt, Node, Planner, Value};
use burst_host::nouns::{Element, Shape, Tensor};
use half::{bf16, f16};

/// From the first input up or down to the second, without it, in steps of the third.
pub fn range(_: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let inputs = [node.tensor(0)?, node.tensor(1)?, node.tensor(2)?];
    let element = inputs[0].spec().element;
    if inputs.iter().any(|input| input.spec().element != element || input.spec().shape.elements() != 1) {
        return Err(node.invalid("three numbers of one type are needed"));
    }
    let values = match element {
        Element::I16 => integers(node, inputs, |value: i16| value.into(), |value| value as i16),
        Element::I32 => integers(node, inputs, |value: i32| value.into(), |value| value as i32),
        Element::I64 => integers(node, inputs, |value: i64| value, |value| value),
        Element::Fp16 => reals(node, inputs, f16::to_f64, f16::from_f64),
        Element::Bf16 => reals(node, inputs, bf16::to_f64, bf16::from_f64),
        Element::Fp32 => reals(node, inputs, |value: f32| value.into(), |value| value as f32),
        Element::Fp64 => reals(node, inputs, |value: f64| value, |value| value),
        other => Err(node.lacks(other)),
    };
    Ok(vec![Value::Known(values?)])
}

fn integers<T: bytemuck::Pod>(
    node: &Node<'_>,
    inputs: [&Tensor; 3],
    wide: fn(T) -> i64,
    narrow: fn(i64) -> T,
) -> Result<Tensor, Halt> {
    let [start, limit, step] = inputs.map(|input| input.to_vec::<T>().and_then(|values| values.first().copied()));
    let (Some(start), Some(limit), Some(step)) = (start.map(wide), limit.map(wide), step.map(wide)) else {
        return Err(node.invalid("a number is missing"));
    };
    let room = i128::from(limit) - i128::from(start);
    let step = Some(i128::from(step)).filter(|&step| step != 0).ok_or_else(|| node.invalid("a step of 0"))?;
    // Rounded up, wherever it goes.
    let count = room / step + i128::from(room % step != 0 && (room < 0) == (step < 0));
    let value = |index: usize| narrow((i128::from(start) + index as i128 * step) as i64);
    tensor(node, inputs[0].spec().element, count.max(0) as f64, value)
}

fn reals<T: bytemuck::Pod>(
    node: &Node<'_>,
    inputs: [&Tensor; 3],
    wide: fn(T) -> f64,
    narrow: fn(f64) -> T,
) -> Result<Tensor, Halt> {
    let [start, limit, step] = inputs.map(|input| input.to_vec::<T>().and_then(|values| values.first().copied()));
    let (Some(start), Some(limit), Some(step)) = (start.map(wide), limit.map(wide), step.map(wide)) else {
        return Err(node.invalid("a number is missing"));
    };
    let count = ((limit - start) / step).ceil();
    if !count.is_finite() {
        return Err(node.invalid("no end is in reach"));
    }
    tensor(node, inputs[0].spec().element, count.max(0.0), |index| narrow(start + index as f64 * step))
}

fn tensor<T: bytemuck::Pod>(
    node: &Node<'_>,
    element: Element,
    count: f64,
    value: impl Fn(usize) -> T,
) -> Result<Tensor, Halt> {
    // Before it is allocated.
    let shape = node.table(vec![if count > Shape::ELEMENTS_MAX as f64 { usize::MAX } else { count as usize }])?;
    let values: Vec<T> = (0..shape.elements()).map(value).collect();
    Tensor::from_slice(element, shape.extents(), &values).map_err(|error| node.invalid(&error.to_string()))
}
