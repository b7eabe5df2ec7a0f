//! Follows the few numbers that become extents, indices and scales.

use super::{
    node::Node,
    picks,
    value::{Value, product},
};
use burst_host::nouns::{Attribute, Element};
use half::f16;
use std::sync::Arc;

/// Beyond this FP64 does not hold every whole number.
const EXACT_MAX: f64 = (1u64 << 53) as f64;

/// The numbers of an operator's first result, which has these extents; `None` where they are many or not known.
pub(super) fn followed(node: &Node, result: &Value) -> Option<Arc<[f64]>> {
    let extents = result.exact()?;
    if !node.op.domain.is_empty() || product(extents) > Value::NUMBERS_MAX {
        return None;
    }
    let given = |index: usize| node.input(index)?.numbers.clone();
    let numbers: Vec<f64> = match node.op.kind.as_str() {
        "Constant" => return constant(node),
        "Shape" => extents_of(node)?,
        "Size" => vec![product(node.input(0)?.exact()?) as f64],
        "Identity" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => return given(0),
        "Concat" if extents.len() == 1 => {
            let parts: Option<Vec<_>> = (0..node.inputs.len()).map(given).collect();
            parts?.concat()
        }
        "Gather" => picks::gathered(node, extents)?,
        "Slice" => picks::sliced(node, extents)?,
        "Transpose" => picks::transposed(node, extents)?,
        "Expand" => picks::broadcast(&given(0)?, node.extents(0)?, extents)?,
        "ConstantOfShape" => vec![fill(node)?; product(extents) as usize],
        "Where" => chosen(node, extents)?,
        _ => return computed(node, result.element?, extents),
    };
    Some(Arc::from(numbers))
}

/// Numbers that are not those of an input, as the element holds them.
fn computed(node: &Node, element: Element, extents: &[u64]) -> Option<Arc<[f64]>> {
    let given = |index: usize| node.input(index)?.numbers.clone();
    let whole = !matches!(element, Element::Fp64 | Element::Fp32 | Element::Fp16);
    let numbers: Vec<f64> = match node.op.kind.as_str() {
        "Cast" | "CastLike" if element == Element::Bool => given(0)?.iter().map(|&x| truth(x != 0.0)).collect(),
        "Cast" | "CastLike" if whole => given(0)?.iter().map(|number| number.trunc()).collect(),
        "Cast" | "CastLike" => given(0)?.to_vec(),
        "Range" => {
            let (start, step) = (*given(0)?.first()?, *given(2)?.first()?);
            (0..product(extents)).map(|index| start + step * index as f64).collect()
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
            let [a, b] = [0, 1].map(|index| picks::broadcast(&given(index)?, node.extents(index)?, extents));
            a?.into_iter().zip(b?).map(|(a, b)| function(a, b)).collect()
        }
        _ => return None,
    };
    numbers.into_iter().map(|number| held(element, number)).collect()
}

/// A number as an element holds it; `None` where it does not.
fn held(element: Element, number: f64) -> Option<f64> {
    let most = match element {
        Element::Fp64 => return Some(number),
        Element::Fp32 => return Some(f64::from(number as f32)),
        Element::Fp16 => return Some(f16::from_f64(number).to_f64()),
        Element::I64 => -EXACT_MAX..=EXACT_MAX,
        Element::I32 => f64::from(i32::MIN)..=f64::from(i32::MAX),
        Element::U8 => 0.0..=255.0,
        Element::Bool => 0.0..=1.0,
        _ => return None,
    };
    most.contains(&number).then_some(number)
}

fn chosen(node: &Node, extents: &[u64]) -> Option<Vec<f64>> {
    let given = |index: usize| {
        let input = node.input(index)?;
        picks::broadcast(input.numbers.as_ref()?, input.extents.as_ref()?, extents)
    };
    let chosen = given(0)?.into_iter().zip(given(1)?.into_iter().zip(given(2)?));
    Some(chosen.map(|(truth, (yes, no))| if truth != 0.0 { yes } else { no }).collect())
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
        (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize
    };
    let (start, end) = (end("start", 0), end("end", rank));
    Some(extents.get(start..end.max(start))?.iter().map(|&extent| extent as f64).collect())
}

fn fill(node: &Node) -> Option<f64> {
    match node.op.attribute("value") {
        Some(Attribute::Tensor(tensor)) => Value::of_tensor(tensor).numbers?.first().copied(),
        _ => Some(0.0),
    }
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
        "Relu" => |x| x.max(0.0),
        "Sign" => |x| if x == 0.0 { 0.0 } else { x.signum() },
        "Reciprocal" => f64::recip,
        "Exp" => f64::exp,
        "Log" => f64::ln,
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
