//! Weights larger than a binding: an operator becomes several, each with a slice of its weight along the first axis.

use super::{
    super::planner::{Halt, Node, Placed, Planner, Value, axis},
    element::is_float,
    gather,
    movement::part,
    pointwise::convert,
};
use burst_host::nouns::{Attribute, Element, Fault, Spec, Tensor};

/// What slices have a multiple of, so that layouts in blocks of columns add nothing to them.
const GRAIN: usize = 32;

/// Some rows of a weight.
pub struct Slice {
    pub first: usize,
    pub rows: usize,
    pub weight: Value,
}

type Split = fn(&mut Planner, &Node<'_>, &[Slice]) -> Result<Vec<Value>, Halt>;

/// Operators that can be split; which input their weight is, and bytes that kernels take for an element at least.
const OPS: &[(&str, usize, usize, Split)] =
    &[("Conv", 1, 4, conv), ("Gather", 0, 1, gather), ("Gemm", 1, 4, gemm), ("MatMul", 1, 4, matmul)];

/// The outputs of an operator whose weight no binding holds; `None` where one does.
pub fn split(planner: &mut Planner, node: &Node<'_>) -> Result<Option<Vec<Value>>, Halt> {
    let own = matches!(node.op.domain.as_str(), "" | "ai.onnx");
    let Some((_, input, least, split)) = OPS.iter().find(|(kind, ..)| own && *kind == node.op.kind) else {
        return Ok(None);
    };
    let Value::Known(weight) = node.input(*input) else { return Ok(None) };
    let slices = slices(planner, weight, *least)?;
    if slices.is_empty() { Ok(None) } else { split(planner, node, &slices).map(Some) }
}

/// Slices of about the same size; none where one binding holds the whole.
fn slices(planner: &Planner, weight: &Tensor, least: usize) -> Result<Vec<Slice>, Halt> {
    let Spec { element, shape } = weight.spec();
    let (Some(size), Some(contents), [rows, rest @ ..]) = (element.size(), weight.contents(), shape.extents()) else {
        return Ok(Vec::new());
    };
    let row: usize = rest.iter().product();
    let columns = if least > 1 { row.next_multiple_of(GRAIN) } else { row };
    let (room, bytes) = (planner.binding_max, columns * size.max(least));
    if rows.saturating_mul(bytes) <= room {
        return Ok(Vec::new());
    }
    let most = room / bytes;
    if most < GRAIN {
        let why = format!("rows of {bytes} bytes, {GRAIN} at a time; kernels of this GPU take {room} at most");
        return Err(Fault::TooLarge(why).into());
    }
    let each = rows.div_ceil(rows.div_ceil(most / GRAIN * GRAIN)).next_multiple_of(GRAIN);
    let slice = |first: usize| {
        let rows = each.min(rows - first);
        let spec = Spec::new(*element, [&[rows], rest].concat()).map_err(too_large)?;
        let contents = contents.slice(first * row * size..(first + rows) * row * size);
        Ok(Slice { first, rows, weight: Value::Known(Tensor::host(spec, contents).map_err(too_large)?) })
    };
    (0..*rows).step_by(each).map(slice).collect()
}

fn too_large(error: burst_host::nouns::ShapeError) -> Halt {
    Fault::TooLarge(error.to_string()).into()
}

/// Rows of the table are whole for whoever asks: each slice writes those that it has.
fn gather(planner: &mut Planner, node: &Node<'_>, slices: &[Slice]) -> Result<Vec<Value>, Halt> {
    let table = node.spec(0)?.clone();
    let at = axis(node, node.int("axis", 0), table.shape.extents().len())?;
    if at == 0 {
        return Ok(vec![gather::sliced(planner, node, &table, slices)?.into()]);
    }
    let with = |planner: &mut Planner, slice: &Slice| {
        let inputs = vec![slice.weight.clone(), node.input(1).clone()];
        planner.apply("Gather", node.op.attributes.clone(), inputs)
    };
    let parts = slices.iter().map(|slice| with(planner, slice)).collect::<Result<_, _>>()?;
    joined(planner, parts, 0)
}

/// Slices are output channels.
fn conv(planner: &mut Planner, node: &Node<'_>, slices: &[Slice]) -> Result<Vec<Value>, Halt> {
    if node.int("group", 1) != 1 {
        return Err(node.unsupported("weights in groups that are larger than a binding"));
    }
    let mut parts = Vec::new();
    for slice in slices {
        let mut inputs = vec![node.input(0).clone(), slice.weight.clone()];
        if node.has(2) {
            inputs.push(columns(planner, node, 2, slice)?);
        }
        parts.push(planner.apply("Conv", node.op.attributes.clone(), inputs)?);
    }
    joined(planner, parts, 1)
}

fn gemm(planner: &mut Planner, node: &Node<'_>, slices: &[Slice]) -> Result<Vec<Value>, Halt> {
    if node.int("transB", 0) == 0 {
        let along = usize::from(node.int("transA", 0) == 0);
        return summed(planner, node, slices, along);
    }
    let mut parts = Vec::new();
    for slice in slices {
        let mut inputs = vec![node.input(0).clone(), slice.weight.clone()];
        if node.has(2) {
            inputs.push(columns(planner, node, 2, slice)?);
        }
        parts.push(planner.apply("Gemm", node.op.attributes.clone(), inputs)?);
    }
    joined(planner, parts, 1)
}

/// Slices are steps of the sums, or matrices of a batch.
fn matmul(planner: &mut Planner, node: &Node<'_>, slices: &[Slice]) -> Result<Vec<Value>, Halt> {
    let (a, b) = (node.spec(0)?.shape.extents(), node.spec(1)?.shape.extents());
    if b.len() == 2 {
        return summed(planner, node, slices, a.len().saturating_sub(1));
    }
    if b.len() < 2 || a.len() > b.len() {
        return Err(node.unsupported("weights larger than a binding in a batch of another rank"));
    }
    let whole = a.len() < b.len() || a[0] == 1;
    let mut parts = Vec::new();
    for slice in slices {
        let a = planner.place(node.input(0))?;
        let a = if whole { a } else { taken(planner, node, &a, 0, slice)? };
        parts.push(planner.apply("MatMul", Vec::new(), vec![a.into(), slice.weight.clone()])?);
    }
    joined(planner, parts, 0)
}

/// The sum of products, each of some steps along an axis of the left side; in f32 until the end.
fn summed(planner: &mut Planner, node: &Node<'_>, slices: &[Slice], along: usize) -> Result<Vec<Value>, Halt> {
    let given = planner.place(node.input(0))?;
    let element = given.spec.element;
    let narrow = is_float(element) && element != Element::Fp64;
    let a = if narrow { convert(planner, node, &given, Element::Fp32)? } else { given };
    let mut sum: Option<Value> = None;
    for slice in slices {
        let part = taken(planner, node, &a, along, slice)?;
        let mut inputs = vec![part.into(), slice.weight.clone()];
        if sum.is_none() && node.has(2) {
            inputs.push(node.input(2).clone());
        }
        let product = planner.apply(&node.op.kind, node.op.attributes.clone(), inputs)?;
        sum = Some(match sum {
            Some(sum) => planner.apply("Add", Vec::new(), vec![sum, product])?,
            None => product,
        });
    }
    let sum = planner.place(&sum.unwrap_or(Value::Absent))?;
    Ok(vec![convert(planner, node, &sum, element)?.into()])
}

/// What belongs to a slice along one axis.
fn taken(planner: &mut Planner, node: &Node<'_>, x: &Placed, at: usize, slice: &Slice) -> Result<Placed, Halt> {
    match x.extents().get(at) {
        Some(&extent) if extent >= slice.first + slice.rows => part(planner, node, x, at, slice.first, slice.rows),
        _ => Err(node.invalid(&format!("{} does not fit its weight", x.spec))),
    }
}

/// The columns of a bias that belong to a slice; all of one that is the same for each.
fn columns(planner: &mut Planner, node: &Node<'_>, input: usize, slice: &Slice) -> Result<Value, Halt> {
    let bias = planner.place(node.input(input))?;
    match bias.extents() {
        [] | [.., 1] => Ok(bias.into()),
        extents => Ok(taken(planner, node, &bias, extents.len() - 1, slice)?.into()),
    }
}

fn joined(planner: &mut Planner, parts: Vec<Value>, axis: i64) -> Result<Vec<Value>, Halt> {
    Ok(vec![planner.apply("Concat", vec![("axis".into(), Attribute::Int(axis))], parts)?])
}
