//! Writes that name their places. Updates of one place are done in their own order, so that answers are the same each
//! time: a stable ranking of the targets brings them together.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    element::{is_float, lane},
    movement::copied,
    pointwise::{code, convert, element_code},
    rank::{Runs, ranking},
};
use burst_host::nouns::{Element, Spec, Tensor};

/// Updates that one invocation may have to fold, one after the other.
const PART: usize = 50_000;

/// What is written where.
pub struct Updates {
    /// A row of the tensor for each update.
    pub targets: Placed,
    pub updates: Placed,
    /// Elements of a row.
    pub row: usize,
    /// The most updates of one row.
    pub repeats: usize,
}

pub fn scatter(planner: &mut Planner, node: &Node<'_>, x: &Placed, updates: Updates) -> Result<Vec<Value>, Halt> {
    let element = x.spec.element;
    if updates.updates.spec.element != element {
        return Err(node.invalid("updates of another type"));
    }
    let op = match node.text("reduction", "none").as_str() {
        "none" => 0,
        "add" => code::ADD,
        "mul" => code::MULTIPLY,
        "max" => code::MAX,
        "min" => code::MIN,
        other => return Err(node.unsupported(&format!("reduction {other}"))),
    };
    let Updates { targets, updates, row, repeats } = updates;
    let y = if op == 0 && element.size().is_some_and(|size| (row * size).is_multiple_of(4)) {
        let row = row * element.size().unwrap_or_default() / 4;
        let updates = Updates { targets, updates: as_words(node, &updates)?, row, repeats };
        written(planner, node, &as_words(node, x)?, &updates, op)?
    } else {
        let wide = wide(element);
        let updates = Updates { targets, updates: convert(planner, node, &updates, wide)?, row, repeats };
        let x = convert(planner, node, x, wide)?;
        let y = written(planner, node, &x, &updates, op)?;
        convert(planner, node, &y, element)?
    };
    Ok(vec![Placed { spec: x.spec.clone(), storage: y.storage }.into()])
}

/// An element of whole words that holds the same numbers: narrower ones share a word with their neighbours.
fn wide(element: Element) -> Element {
    match element {
        Element::Fp16 | Element::Bf16 => Element::Fp32,
        Element::U8 | Element::I8 | Element::U16 | Element::I16 | Element::Bool => Element::I32,
        Element::Narrow(_) if is_float(element) => Element::Fp32,
        Element::Narrow(_) => Element::I32,
        other => other,
    }
}

/// The same memory as words.
fn as_words(node: &Node<'_>, x: &Placed) -> Result<Placed, Halt> {
    let words = x.spec.bytes().unwrap_or_default() / 4;
    Ok(Placed { spec: Spec { element: Element::U32, shape: node.shape(vec![words])? }, storage: x.storage })
}

/// A copy of `x` with the updates written, part by part where one row may have very many.
fn written(planner: &mut Planner, node: &Node<'_>, x: &Placed, updates: &Updates, op: u32) -> Result<Placed, Halt> {
    let y = copied(planner, node, x)?;
    let count = updates.targets.spec.shape.elements();
    if op == 0 || updates.repeats <= PART {
        write(planner, node, &y, updates, op)?;
        return Ok(y);
    }
    for first in (0..count).step_by(PART) {
        let last = (first + PART).min(count);
        let targets = part(planner, node, &updates.targets, [first, last], count)?;
        let values = part(planner, node, &updates.updates, [first, last], count)?;
        let updates = Updates { targets, updates: values, row: updates.row, repeats: last - first };
        write(planner, node, &y, &updates, op)?;
    }
    Ok(y)
}

/// Rows `first` to `last` of so many.
fn part(
    planner: &mut Planner,
    node: &Node<'_>,
    x: &Placed,
    [first, last]: [usize; 2],
    count: usize,
) -> Result<Placed, Halt> {
    let rows = x.reshaped(node.shape(vec![count, x.spec.shape.elements() / count])?);
    let bound = |bound: usize| {
        let tensor = Tensor::from_slice(Element::I64, [1], &[bound as i64]);
        tensor.map(Value::Known).map_err(|error| node.invalid(&error.to_string()))
    };
    let part = planner.apply("Slice", Vec::new(), vec![rows.into(), bound(first)?, bound(last)?, bound(0)?])?;
    planner.place(&part)
}

fn write(planner: &mut Planner, node: &Node<'_>, y: &Placed, updates: &Updates, op: u32) -> Result<(), Halt> {
    let element = y.spec.element;
    let code = element_code(element).ok_or_else(|| node.lacks(element))?;
    let lane = lane(planner, node, element, element)?;
    let constants = lane.constants(y, &[("ELEMENT", code), ("OP", op)]);
    let Updates { targets, updates, row, repeats } = updates;
    let length = targets.spec.shape.elements();
    let runs = Runs { x: targets, count: 1, length, inner: 1, row: 1 };
    let order = ranking(planner, node, &runs, length, false)?;
    let count = length * row;
    let parameters = [count, length, *row, *repeats].map(|value| value as u32).to_vec();
    planner.dispatch_into(
        Kernel::new(Shader::Scatter(lane), constants),
        parameters,
        &[targets, &order, updates],
        y,
        grid(count),
    );
    Ok(())
}
