//! Between floats and the small numbers that stand for them.

use super::{
    super::planner::{Halt, Node, Placed, Planner, Value, axis},
    element::{is_float, rounding},
    pointwise::{Link, chain, code, convert, rounded_chain, widened},
};
use burst_host::nouns::{Attribute, Element, Narrow, Tensor};

/// y = (x - zero) · scale
pub fn dequantize(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let result = wanted(node)?.unwrap_or(node.spec(1)?.element);
    if matches!(result, Element::Narrow(_)) {
        return Err(node.lacks(result));
    }
    let scale = widened(planner, node, node.input(1))?;
    let scale = along(planner, node, &scale, &x)?;
    let mut links = Vec::new();
    // The zero of floats is 0.
    if node.has(2) && !is_float(x.spec.element) {
        let zero = planner.place(node.input(2))?;
        links.push(Link::tensor(code::SUBTRACT, along(planner, node, &zero, &x)?));
    }
    links.push(Link::tensor(code::MULTIPLY, scale));
    let y = chain(planner, node, &cut(node, &x)?, &links, result)?;
    Ok(vec![y.reshaped(x.spec.shape).into()])
}

/// y = saturated(round(x / scale) + zero)
pub fn quantize(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = match node.spec(0)?.element {
        Element::I32 => {
            let x = planner.place(node.input(0))?;
            convert(planner, node, &x, Element::Fp32)?
        }
        _ => widened(planner, node, node.input(0))?,
    };
    let scale = widened(planner, node, node.input(1))?;
    let mut links = vec![Link::tensor(code::DIVIDE, along(planner, node, &scale, &x)?)];
    let given = if node.has(2) { Some(node.spec(2)?.element) } else { wanted(node)? };
    let result = given.unwrap_or(Element::U8);
    let range = range(node, result)?;
    links.extend(range.map(|_| Link::alone(code::ROUND)));
    // The zero of 8-bit floats is 0.
    if node.has(2) && (range.is_some() || result == Element::Narrow(Narrow::F4E2M1)) {
        let zero = planner.place(node.input(2))?;
        links.push(Link::tensor(code::ADD, along(planner, node, &zero, &x)?));
    }
    if let Some((low, high)) = range {
        links.extend([Link::number(code::MAX, low), Link::number(code::MIN, high)]);
    }
    let rounding = rounding(node, result)?;
    let y = rounded_chain(planner, node, &cut(node, &x)?, &links, result, rounding)?;
    Ok(vec![y.reshaped(x.spec.shape).into()])
}

/// The smallest and the largest of what floats become; `None` where that is floats too.
pub fn range(node: &Node<'_>, element: Element) -> Result<Option<(f32, f32)>, Halt> {
    Ok(match element {
        Element::U8 => Some((0.0, 255.0)),
        Element::I8 => Some((-128.0, 127.0)),
        Element::U16 => Some((0.0, 65535.0)),
        Element::I16 => Some((-32768.0, 32767.0)),
        Element::Narrow(Narrow::F8E8M0) => return Err(node.lacks(element)),
        Element::Narrow(narrow) => narrow.range().map(|(low, high)| (low.into(), high.into())),
        other => return Err(node.lacks(other)),
    })
}

/// The element that an attribute asks for.
fn wanted(node: &Node<'_>) -> Result<Option<Element>, Halt> {
    match node.int("output_dtype", 0) {
        0 => Ok(None),
        number => crate::onnx::element(number).map(Some).map_err(|name| node.lacks(name)),
    }
}

/// The axis of blocks and their extent; `None` where there are none.
fn blocks(node: &Node<'_>, x: &Placed) -> Result<Option<(usize, usize)>, Halt> {
    match usize::try_from(node.int("block_size", 0)) {
        Ok(0) => Ok(None),
        Ok(block) => Ok(Some((axis(node, node.int("axis", 1), x.extents().len())?, block))),
        Err(_) => Err(node.invalid("a negative block_size")),
    }
}

/// As scales see it: an axis of whole blocks is two.
fn cut(node: &Node<'_>, x: &Placed) -> Result<Placed, Halt> {
    let Some((at, block)) = blocks(node, x)? else { return Ok(x.clone()) };
    let mut extents = x.extents().to_vec();
    if extents.get(at).is_none_or(|extent| !extent.is_multiple_of(block)) {
        return Ok(x.clone());
    }
    extents.insert(at + 1, block);
    extents[at] /= block;
    Ok(x.reshaped(node.shape(extents)?))
}

/// Scales or zeros in the shape that broadcasts to what is cut: one, one for each slice, or one for each block.
fn along(planner: &mut Planner, node: &Node<'_>, values: &Placed, x: &Placed) -> Result<Placed, Halt> {
    let rank = x.extents().len();
    let count = values.spec.shape.elements();
    if rank == 0 && count != 1 {
        return Err(node.invalid("a scalar has one scale"));
    }
    if values.extents().len() < 2 && count == 1 || rank == 0 {
        return Ok(values.reshaped(node.shape(Vec::new())?));
    }
    if let Some((at, block)) = blocks(node, x)? {
        return blocked(planner, node, values, x, at, block);
    }
    let at = axis(node, node.int("axis", 1), rank)?;
    if x.extents()[at] != count {
        return Err(node.invalid("a scale for each slice is needed"));
    }
    let mut extents = vec![1; rank];
    extents[at] = count;
    Ok(values.reshaped(node.shape(extents)?))
}

/// Where the last block is not whole, each value is repeated instead.
fn blocked(
    planner: &mut Planner,
    node: &Node<'_>,
    values: &Placed,
    x: &Placed,
    at: usize,
    block: usize,
) -> Result<Placed, Halt> {
    let mut expected = x.extents().to_vec();
    let extent = expected.get(at).copied().ok_or_else(|| node.invalid("a scalar has no blocks"))?;
    expected[at] = extent.div_ceil(block);
    if values.extents() != expected {
        return Err(node.invalid("a scale for each block is needed"));
    }
    expected.insert(at + 1, 1);
    let pairs = values.reshaped(node.shape(expected.clone())?);
    if extent.is_multiple_of(block) {
        return Ok(pairs);
    }
    expected[at + 1] = block;
    let shape = planner.axes(&expected)?;
    let repeated = planner.apply("Expand", Vec::new(), vec![pairs.into(), shape])?;
    let repeated = planner.place(&repeated)?;
    expected.remove(at + 1);
    expected[at] *= block;
    let whole = repeated.reshaped(node.shape(expected)?);
    let bounds = [0, extent, at].map(|bound| planner.axes(&[bound]));
    let [start, end, along] = bounds;
    let part = planner.apply("Slice", Vec::new(), vec![whole.into(), start?, end?, along?])?;
    planner.place(&part)
}

/// Scale and zero are found from the smallest and the largest.
pub fn dynamic(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = widened(planner, node, node.input(0))?;
    let number = |value: f32| {
        let tensor = Tensor::from_slice(Element::Fp32, [], &[value]);
        tensor.map(Value::Known).map_err(|error| node.invalid(&error.to_string()))
    };
    let (zero, steps) = (number(0.0)?, number(255.0)?);
    let mut extreme = |fold: &str, with: &str| {
        let whole = vec![("keepdims".into(), Attribute::Int(0))];
        let extreme = planner.apply(fold, whole, vec![x.clone().into()])?;
        planner.apply(with, Vec::new(), vec![extreme, zero.clone()])
    };
    let (high, low) = (extreme("ReduceMax", "Max")?, extreme("ReduceMin", "Min")?);
    let width = planner.apply("Sub", Vec::new(), vec![high, low.clone()])?;
    let flat = planner.apply("Equal", Vec::new(), vec![width.clone(), zero.clone()])?;
    let width = planner.apply("Where", Vec::new(), vec![flat, number(1.0)?, width])?;
    let scale = planner.apply("Div", Vec::new(), vec![width, steps.clone()])?;
    let offset = planner.apply("Div", Vec::new(), vec![low, scale.clone()])?;
    let offset = planner.apply("Neg", Vec::new(), vec![offset])?;
    let offset = planner.apply("Clip", Vec::new(), vec![offset, zero, steps])?;
    let offset = planner.apply("Round", Vec::new(), vec![offset])?;
    let offset = planner.place(&offset)?;
    let offset: Value = convert(planner, node, &offset, Element::U8)?.into();
    let y = planner.apply("QuantizeLinear", Vec::new(), vec![x.into(), scale.clone(), offset.clone()])?;
    Ok(vec![y, scale, offset])
}
