//! Follows the few numbers that become extents, indices and scales.

use super::{
    node::{Node, place},
    pointwise::together,
    shape,
    value::{NUMBERS_MAX, Value, product},
};
use burst_host::nouns::{Attribute, Element};
use std::sync::Arc;

/// The numbers of an operator's first result, which has these extents; `None` where they are many or not known.
pub(super) fn followed(node: &Node, result: &Value) -> Option<Arc<[f64]>> {
    let extents = result.exact()?;
    if product(extents) > NUMBERS_MAX {
        return None;
    }
    let whole = matches!(result.element?, Element::I64 | Element::I32 | Element::U8 | Element::Bool);
    let given = |index: usize| node.input(index)?.numbers.clone();
    let numbers: Vec<f64> = match node.op.kind.as_str() {
        "Constant" => return constant(node),
        "Shape" => extents_of(node)?,
        "Size" => vec![product(node.input(0)?.exact()?) as f64],
        "Identity" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => return given(0),
        "Cast" if whole => given(0)?.iter().map(|number| number.trunc()).collect(),
        "Cast" | "CastLike" => given(0)?.to_vec(),
        "Concat" if extents.len() == 1 => {
            let parts: Option<Vec<_>> = (0..node.inputs.len()).map(given).collect();
            parts?.concat()
        }
        "Gather" if node.input(0)?.rank()? == 1 => gathered(node)?,
        "Slice" if extents.len() == 1 => sliced(node)?,
        "ConstantOfShape" => vec![fill(node)?; product(extents) as usize],
        "Range" => {
            let (start, step) = (*given(0)?.first()?, *given(2)?.first()?);
            (0..product(extents)).map(|index| start + step * index as f64).collect()
        }
        "Expand" => spread(&given(0)?, node.extents(0)?, extents)?,
        "Where" => {
            let [truth, yes, no] = [0, 1, 2].map(|index| spread(&given(index)?, node.extents(index)?, extents));
            let chosen = truth?.into_iter().zip(yes?.into_iter().zip(no?));
            chosen.map(|(truth, (yes, no))| if truth != 0.0 { yes } else { no }).collect()
        }
        "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" if product(extents) == 1 => {
            vec![folded(&node.op.kind, &given(0)?)?]
        }
        kind if node.inputs.len() == 1 => {
            let function = unary(kind)?;
            given(0)?.iter().map(|&number| function(number)).collect()
        }
        kind if node.inputs.len() == 2 => {
            let function = binary(kind, whole)?;
            let [a, b] = [0, 1].map(|index| spread(&given(index)?, node.extents(index)?, extents));
            a?.into_iter().zip(b?).map(|(a, b)| function(a, b)).collect()
        }
        _ => return None,
    };
    Some(Arc::from(numbers))
}

fn constant(node: &Node) -> Option<Arc<[f64]>> {
    match &node.op.attributes.first()?.1 {
        Attribute::Tensor(tensor) => Value::of_tensor(tensor).numbers,
        Attribute::Int(value) => Some(Arc::from([*value as f64])),
        Attribute::Float(value) => Some(Arc::from([f64::from(*value)])),
        Attribute::Ints(values) => Some(values.iter().map(|&value| value as f64).collect()),
        Attribute::Floats(values) => Some(values.iter().map(|&value| f64::from(value)).collect()),
        _ => None,
    }
}

fn extents_of(node: &Node) -> Option<Vec<f64>> {
    let extents = node.input(0)?.exact()?;
    let rank = extents.len() as i64;
    let end = |name, default| {
        let at = node.int(name, default);
        (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize
    };
    let (start, end) = (end("start", 0), end("end", rank));
    Some(extents.get(start..end.max(start))?.iter().map(|&extent| extent as f64).collect())
}

fn gathered(node: &Node) -> Option<Vec<f64>> {
    let (from, at) = (node.input(0)?.numbers.clone()?, node.input(1)?.integers()?);
    at.into_iter().map(|at| from.get(place(at, from.len())?).copied()).collect()
}

fn sliced(node: &Node) -> Option<Vec<f64>> {
    let from = node.input(0)?.numbers.clone()?;
    let first = |numbers: Option<Vec<i64>>| numbers?.first().copied();
    let (start, end) = (first(node.numbers("starts", 1))?, first(node.numbers("ends", 2))?);
    let step = if node.input(4).is_some() { first(node.numbers("", 4))? } else { 1 };
    let length = from.len() as i64;
    let count = shape::taken(length as u64, start, end, step);
    let start = if start < 0 { start.saturating_add(length) } else { start };
    let start = start.clamp(0, if step < 0 { length - 1 } else { length });
    (0..count as i64).map(|index| from.get(usize::try_from(start + index * step).ok()?).copied()).collect()
}

fn fill(node: &Node) -> Option<f64> {
    match node.op.attribute("value") {
        Some(Attribute::Tensor(tensor)) => Value::of_tensor(tensor).numbers?.first().copied(),
        _ => Some(0.0),
    }
}

/// Numbers of some extents, repeated to others.
fn spread(numbers: &[f64], from: &[u64], to: &[u64]) -> Option<Vec<f64>> {
    if together(from, to)?.as_slice() != to {
        return None;
    }
    let first = to.len() - from.len();
    let place = |mut index: u64| {
        let (mut place, mut step) = (0u64, 1u64);
        for axis in (0..to.len()).rev() {
            let at = index % to[axis];
            index /= to[axis];
            if axis >= first {
                let extent = from[axis - first];
                place += step * if extent == 1 { 0 } else { at };
                step *= extent;
            }
        }
        place
    };
    (0..product(to)).map(|index| numbers.get(place(index) as usize).copied()).collect()
}

fn folded(kind: &str, numbers: &[f64]) -> Option<f64> {
    Some(match kind {
        "ReduceProd" => numbers.iter().product(),
        "ReduceSum" => numbers.iter().sum(),
        "ReduceMax" => numbers.iter().copied().reduce(f64::max)?,
        _ => numbers.iter().copied().reduce(f64::min)?,
    })
}

fn unary(kind: &str) -> Option<fn(f64) -> f64> {
    Some(match kind {
        "Neg" => |x| -x,
        "Abs" => f64::abs,
        "Floor" => f64::floor,
        "Ceil" => f64::ceil,
        "Round" => f64::round_ties_even,
        "Sqrt" => f64::sqrt,
        "Not" => |x| truth(x == 0.0),
        _ => return None,
    })
}

fn binary(kind: &str, whole: bool) -> Option<fn(f64, f64) -> f64> {
    Some(match (kind, whole) {
        ("Add", _) => |a, b| a + b,
        ("Sub", _) => |a, b| a - b,
        ("Mul", _) => |a, b| a * b,
        ("Div", true) => |a, b| (a / b).trunc(),
        ("Div", false) => |a, b| a / b,
        ("Mod", _) => |a, b| a - b * (a / b).floor(),
        ("Max", _) => f64::max,
        ("Min", _) => f64::min,
        ("Pow", _) => f64::powf,
        ("Equal", _) => |a, b| truth(a == b),
        ("Greater", _) => |a, b| truth(a > b),
        ("Less", _) => |a, b| truth(a < b),
        ("GreaterOrEqual", _) => |a, b| truth(a >= b),
        ("LessOrEqual", _) => |a, b| truth(a <= b),
        ("And", _) => |a, b| truth(a != 0.0 && b != 0.0),
        ("Or", _) => |a, b| truth(a != 0.0 || b != 0.0),
        _ => return None,
    })
}

fn truth(truth: bool) -> f64 {
    f64::from(u8::from(truth))
}
