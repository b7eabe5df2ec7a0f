//! Tensors with few ones: marked by an index, or along a diagonal.

use super::super::planner::{Halt, Node, Placed, Planner, Value, axis};
use burst_host::nouns::{Element, Tensor};

/// Two values, the second where the index says; an index outside marks nothing.
pub fn one_hot(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let depth = node.table(vec![depth(node)?])?.elements();
    node.holds(2, 2)?;
    let x = planner.place(node.input(0))?;
    let at = axis(node, node.int("axis", -1), x.extents().len() + 1)?;
    let mut extents = x.extents().to_vec();
    extents.insert(at, depth);
    node.shape(extents.clone())?;
    extents[at] = 1;
    let x = x.reshaped(node.shape(extents)?);
    let mut shape = vec![1; x.extents().len()];
    shape[at] = depth;
    let hit = equals(planner, node, &x, shape.clone(), 0)?;
    let from_the_end = equals(planner, node, &x, shape, -(depth as i64))?;
    let hit = planner.apply("Or", Vec::new(), vec![hit, from_the_end])?;
    let mut value = |index: i64| {
        let index = numbers(node, Vec::new(), &[index])?;
        planner.apply("Gather", Vec::new(), vec![node.input(2).clone(), index])
    };
    let (off, on) = (value(0)?, value(1)?);
    Ok(vec![planner.apply("Where", Vec::new(), vec![hit, on, off])?])
}

/// How many values an index may have; a float is allowed.
fn depth(node: &Node<'_>) -> Result<usize, Halt> {
    let tensor = node.tensor(1)?;
    let float = tensor.to_vec::<f32>().filter(|_| tensor.spec().element == Element::Fp32);
    let depth = match float {
        Some(values) => values.first().map(|&value| value as i64),
        None => node.numbers(1)?.first().copied(),
    };
    depth.and_then(|depth| usize::try_from(depth).ok()).ok_or_else(|| node.invalid("a depth below zero"))
}

/// Where `x` is one of the numbers from `first` on, along the axis that they are laid.
fn equals(planner: &mut Planner, node: &Node<'_>, x: &Placed, shape: Vec<usize>, first: i64) -> Result<Value, Halt> {
    let count = shape.iter().product::<usize>() as i64;
    let range: Vec<i64> = (first..first + count).collect();
    let range = numbers(node, shape, &range)?;
    let like = vec![range, x.clone().into()];
    let range = planner.apply("CastLike", Vec::new(), like)?;
    planner.apply("Equal", Vec::new(), vec![x.clone().into(), range])
}

fn numbers(node: &Node<'_>, extents: Vec<usize>, values: &[i64]) -> Result<Value, Halt> {
    let tensor = Tensor::from_slice(Element::I64, extents, values);
    tensor.map(Value::Known).map_err(|error| node.invalid(&error.to_string()))
}

/// Ones along a diagonal of a matrix of the input's shape.
pub fn eye_like(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let &[rows, columns] = node.spec(0)?.shape.extents() else { return Err(node.invalid("it takes a matrix")) };
    let diagonal = node.int("k", 0);
    let one = |place: usize| (place % columns.max(1)) as i64 - (place / columns.max(1)) as i64 == diagonal;
    node.table(vec![rows, columns])?;
    let ones: Vec<u8> = (0..rows * columns).map(|place| u8::from(one(place))).collect();
    let ones = Tensor::from_slice(Element::U8, vec![rows, columns], &ones);
    let ones = ones.map_err(|error| node.invalid(&error.to_string()))?;
    let ones = match node.op.attribute("dtype") {
        Some(dtype) => planner.apply("Cast", vec![("to".into(), dtype.clone())], vec![Value::Known(ones)])?,
        None => planner.apply("CastLike", Vec::new(), vec![Value::Known(ones), node.input(0).clone()])?,
    };
    Ok(vec![ones])
}
