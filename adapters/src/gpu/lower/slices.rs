//! Weights larger than a binding: an operator becomes several, each with a slice of its weight along the first axis.

mod channels;

use super::{
    super::planner::{Halt, Node, Placed, Planner, Value, axis},
    element::is_float,
    exact, gather,
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
const OPS: &[(&str, &str, usize, usize, Split)] = &[
    ("", "Conv", 1, 4, channels::conv),
    ("", "ConvInteger", 1, 4, channels::integer),
    ("", "ConvTranspose", 1, 4, channels::transposed),
    ("", "Gather", 0, 1, gather),
    ("", "Gemm", 1, 4, gemm),
    ("", "MatMul", 1, 4, matmul),
    ("", "MatMulInteger", 1, 4, integer),
    ("", "QLinearConv", 3, 4, channels::quantised),
    ("", "QLinearMatMul", 3, 4, quantised),
    ("com.microsoft", "MatMulNBits", 1, 1, packed),
];

/// The outputs of an operator whose weight no binding holds; `None` where one does.
pub fn split(planner: &mut Planner, node: &Node<'_>) -> Result<Option<Vec<Value>>, Halt> {
    let domain = if node.op.domain == "ai.onnx" { "" } else { &node.op.domain };
    let row = OPS.iter().find(|(home, kind, ..)| *home == domain && *kind == node.op.kind);
    let Some((_, _, input, least, split)) = row else { return Ok(None) };
    let Value::Known(weight) = node.input(*input) else { return Ok(None) };
    let slices = slices(planner, weight, *least)?;
    if slices.is_empty() { Ok(None) } else { split(planner, node, &slices).map(Some) }
}

/// Slices of about the same size; none where one binding holds the whole.
fn slices(planner: &Planner, weight: &Tensor, least: usize) -> Result<Vec<Slice>, Halt> {
    let Spec { element, shape } = weight.spec();
    let (Some(size), Some(_), &[all, ref rest @ ..]) = (element.size(), weight.contents(), shape.extents()) else {
        return Ok(Vec::new());
    };
    let row: usize = rest.iter().product();
    let columns = if least > 1 { row.next_multiple_of(GRAIN) } else { row };
    let (room, bytes) = (planner.binding_max, columns * size.max(least));
    if all.saturating_mul(bytes) <= room {
        return Ok(Vec::new());
    }
    let most = room / bytes;
    if most < GRAIN {
        let why = format!("rows of {bytes} bytes, {GRAIN} at a time; kernels of this GPU take {room} at most");
        return Err(Fault::TooLarge(why).into());
    }
    let each = all.div_ceil(all.div_ceil(most / GRAIN * GRAIN)).next_multiple_of(GRAIN);
    let whole = Value::Known(weight.clone());
    let slice = |first: usize| {
        let rows = each.min(all - first);
        Ok(Slice { first, rows, weight: rows_of(&whole, first, rows)? })
    };
    (0..all).step_by(each).map(slice).collect()
}

/// Some rows of a known tensor.
fn rows_of(weight: &Value, first: usize, rows: usize) -> Result<Value, Halt> {
    let known = if let Value::Known(weight) = weight { weight.contents().zip(Some(weight.spec())) } else { None };
    let (contents, Spec { element, shape }) = known.ok_or_else(|| Fault::Invalid("a weight without numbers".into()))?;
    let row = contents.len().checked_div(shape.extents()[0]).unwrap_or(0);
    let spec = Spec::new(*element, [&[rows], &shape.extents()[1..]].concat()).map_err(too_large)?;
    let contents = contents.slice(first * row..(first + rows) * row);
    Ok(Value::Known(Tensor::host(spec, contents).map_err(too_large)?))
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

/// Slices are steps of the sums of `MatMulInteger`.
fn integer(planner: &mut Planner, node: &Node<'_>, slices: &[Slice]) -> Result<Vec<Value>, Halt> {
    Ok(vec![sums(planner, node, slices, [1, 2, 3])?])
}

/// The same, in steps of other scales.
fn quantised(planner: &mut Planner, node: &Node<'_>, slices: &[Slice]) -> Result<Vec<Value>, Halt> {
    let sums = sums(planner, node, slices, [3, 2, 5])?;
    let sums = planner.place(&sums)?;
    exact::rescaled(planner, node, &sums).map(|y| vec![y.into()])
}

/// INT32 sums of an operator with its weight and both zeros at these places.
fn sums(planner: &mut Planner, node: &Node<'_>, slices: &[Slice], at: [usize; 3]) -> Result<Value, Halt> {
    let (a, [weight, zero, weight_zero]) = (planner.place(node.input(0))?, at);
    if node.spec(weight)?.shape.extents().len() != 2 {
        return Err(node.unsupported("a batch of weights larger than a binding"));
    }
    let along = a.extents().len().saturating_sub(1);
    let mut sum: Option<Value> = None;
    for slice in slices {
        let part = taken(planner, node, &a, along, slice)?;
        let zeros = [zero, weight_zero].map(|index| node.input(index).clone());
        let inputs = [vec![part.into(), slice.weight.clone()], zeros.to_vec()].concat();
        let product = planner.apply("MatMulInteger", Vec::new(), inputs)?;
        sum = Some(match sum {
            Some(sum) => planner.apply("Add", Vec::new(), vec![sum, product])?,
            None => product,
        });
    }
    sum.ok_or_else(|| node.invalid("a weight of nothing"))
}

/// Slices are columns of the product: each has its scales, its zeros and its bias.
fn packed(planner: &mut Planner, node: &Node<'_>, slices: &[Slice]) -> Result<Vec<Value>, Halt> {
    let all = node.spec(1)?.shape.extents()[0];
    if node.int("N", 0) != all as i64 {
        return Err(node.invalid("N rows of weights are needed"));
    }
    let mut parts = Vec::new();
    for slice in slices {
        let mut inputs = node.inputs.clone();
        inputs[1] = slice.weight.clone();
        for index in [2, 3, 5].into_iter().filter(|&index| node.has(index)) {
            let numbers = planner.place(node.input(index))?;
            let each = numbers.spec.shape.elements() / all;
            node.holds(index, all * each)?;
            let rows = numbers.reshaped(node.shape(vec![all, each])?);
            let rows = part(planner, node, &rows, 0, slice.first, slice.rows)?;
            inputs[index] = rows.reshaped(node.shape(vec![slice.rows * each])?).into();
        }
        let others = node.op.attributes.iter().filter(|(name, _)| name != "N").cloned();
        let attributes = others.chain([("N".into(), Attribute::Int(slice.rows as i64))]).collect();
        parts.push(planner.apply_in("com.microsoft", "MatMulNBits", attributes, inputs)?);
    }
    joined(planner, parts, -1)
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
