//! Elements that are picked out by a mark: how many there are is known only once they were counted.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, axis, grid},
    },
    gather::{rows, take},
    pointwise::{convert, padded, strides},
};
use burst_host::nouns::{Element, Spec, Tensor};

/// Elements whose sums run in one invocation.
const BLOCK: usize = 64;

/// The coordinates of every element that is not zero, a row an axis.
pub fn non_zero(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let shape = node.spec(0)?.shape.clone();
    let sums = planner.once(|planner| {
        let x = planner.place(node.input(0))?;
        let marks = marks(planner, node, &x)?;
        running_sums(planner, node, &marks)
    })?;
    let places = places(planner, node, &sums)?;
    let (rank, total) = (shape.extents().len(), places.spec.shape.elements());
    let spec = Spec { element: Element::I64, shape: node.shape(vec![rank, total])? };
    let count = spec.shape.elements();
    let mut parameters = [count, total, rank].map(|value| value as u32).to_vec();
    parameters.extend(padded(shape.extents(), 1));
    // Unlike where one is broadcast, an axis of extent 1 needs a step too.
    parameters.extend(strides(shape.extents(), shape.extents()).map(|step| step.max(1)));
    let kernel = Kernel::new(Shader::Unravel, []);
    Ok(vec![planner.dispatch(kernel, parameters, &[&places], spec, grid(count))?.into()])
}

/// The slices along an axis, or the elements, that a condition holds for.
pub fn compress(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let mut x = planner.place(node.input(0))?;
    if node.op.attribute("axis").is_none() {
        x = x.reshaped(node.shape(vec![x.spec.shape.elements()])?);
    }
    let at = axis(node, node.int("axis", 0), x.extents().len())?;
    let condition = node.spec(1)?;
    let length = x.extents().get(at).copied().unwrap_or_default();
    if condition.element != Element::Bool || condition.shape.elements() > length {
        return Err(node.invalid("a truth for each slice is needed, and no more"));
    }
    let sums = planner.once(|planner| {
        let condition = planner.place(node.input(1))?;
        let marks = marks(planner, node, &condition)?;
        running_sums(planner, node, &marks)
    })?;
    let places = places(planner, node, &sums)?;
    Ok(vec![rows(planner, node, &x, &places, at)?.into()])
}

/// 1 for each element that is not zero.
pub fn marks(planner: &mut Planner, node: &Node<'_>, x: &Placed) -> Result<Placed, Halt> {
    let truths = convert(planner, node, x, Element::Bool)?;
    convert(planner, node, &truths, Element::U32)
}

/// The places of marked elements: the run stops to read how many there are.
pub fn places(planner: &mut Planner, node: &Node<'_>, sums: &Placed) -> Result<Placed, Halt> {
    let count = sums.spec.shape.elements();
    let total = match count.checked_sub(1) {
        Some(last) => planner.read(|planner| {
            let last = known(node, &[last as u32])?;
            let last = planner.place(&last)?;
            take(planner, node, sums, &last)
        })?,
        None => Tensor::from_slice(Element::U32, [1], &[0u32]).map_err(|error| node.invalid(&error.to_string()))?,
    };
    let total = total.to_vec::<u32>().and_then(|total| total.first().copied()).unwrap_or_default() as usize;
    let spec = Spec { element: Element::U32, shape: node.shape(vec![total])? };
    planner.dispatch(Kernel::new(Shader::Compact, []), vec![count as u32], &[sums], spec, grid(count))
}

/// The sum of each element of U32 and all before it.
pub fn running_sums(planner: &mut Planner, node: &Node<'_>, x: &Placed) -> Result<Placed, Halt> {
    let length = x.spec.shape.elements();
    let count = length.div_ceil(BLOCK);
    let before = if count > 1 {
        let spec = Spec { element: Element::U32, shape: node.shape(vec![count])? };
        let sums = scan(planner, [x, x], length, spec)?;
        running_sums(planner, node, &sums)?
    } else {
        x.clone()
    };
    scan(planner, [x, &before], length, x.spec.clone())
}

fn scan(planner: &mut Planner, reads: [&Placed; 2], length: usize, spec: Spec) -> Result<Placed, Halt> {
    let count = length.div_ceil(BLOCK);
    let sums = spec.shape.elements() != length;
    let kernel = Kernel::new(Shader::Scan, [("SUMS", u32::from(sums)), ("BLOCK", BLOCK as u32)]);
    planner.dispatch(kernel, vec![count as u32, length as u32], &reads, spec, grid(count))
}

/// Numbers of U32.
pub fn known(node: &Node<'_>, numbers: &[u32]) -> Result<Value, Halt> {
    let tensor = Tensor::from_slice(Element::U32, [numbers.len()], numbers);
    tensor.map(Value::Known).map_err(|error| node.invalid(&error.to_string()))
}
