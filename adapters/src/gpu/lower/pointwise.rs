//! Operators on elements at the same place, in chains.

pub use super::super::chain::{Link, broadcast, chain, element_code, merge, padded, rounded_chain, strides};
use super::{
    super::planner::{Halt, Node, Placed, Planner, Value},
    Lower,
    element::is_float,
};
use burst_host::nouns::Element;
use half::f16;

/// Numbers of the operators in the shaders; what a reader finds in `lane_f32.wgsl`.
pub mod code {
    pub const ADD: u32 = 1;
    pub const SUBTRACT: u32 = 2;
    pub const MULTIPLY: u32 = 4;
    pub const DIVIDE: u32 = 5;
    pub const MAX: u32 = 7;
    pub const MIN: u32 = 8;
    pub const LESS: u32 = 12;
    pub const GREATER: u32 = 13;
    pub const ABSOLUTE: u32 = 32;
    pub const ROUND: u32 = 37;
    pub const ROOT: u32 = 39;
    pub const EXPONENTIAL: u32 = 40;
    pub const LOGARITHM: u32 = 41;
}

/// Operators of one input: their number, the names and defaults of two attributes.
const UNARY: &[(&str, u32, Attribute, Attribute)] = &[
    ("Abs", 32, NO, NO),
    ("Acos", 46, NO, NO),
    ("Acosh", 52, NO, NO),
    ("Asin", 45, NO, NO),
    ("Asinh", 51, NO, NO),
    ("Atan", 47, NO, NO),
    ("Atanh", 53, NO, NO),
    ("BitwiseNot", 74, NO, NO),
    ("Ceil", 36, NO, NO),
    ("Celu", 60, ("alpha", 1.0), NO),
    ("Cos", 43, NO, NO),
    ("Cosh", 49, NO, NO),
    ("Elu", 58, ("alpha", 1.0), NO),
    ("Erf", 54, NO, NO),
    ("Exp", 40, NO, NO),
    ("Floor", 35, NO, NO),
    ("HardSigmoid", 61, ("alpha", 0.2), ("beta", 0.5)),
    ("HardSwish", 62, NO, NO),
    ("IsNaN", 70, NO, NO),
    ("LeakyRelu", 57, ("alpha", 0.01), NO),
    ("Log", 41, NO, NO),
    ("Mish", 65, NO, NO),
    ("Neg", 33, NO, NO),
    ("Not", 72, NO, NO),
    ("Reciprocal", 38, NO, NO),
    ("Relu", 56, NO, NO),
    ("Round", 37, NO, NO),
    ("Selu", 59, ("alpha", 1.673_263_2), ("gamma", 1.050_701)),
    ("Shrink", 69, ("lambd", 0.5), ("bias", 0.0)),
    ("Sigmoid", 55, NO, NO),
    ("Sign", 34, NO, NO),
    ("Sin", 42, NO, NO),
    ("Sinh", 48, NO, NO),
    ("Softplus", 63, NO, NO),
    ("Softsign", 64, NO, NO),
    ("Sqrt", 39, NO, NO),
    ("Swish", 73, ("alpha", 1.0), NO),
    ("Tan", 44, NO, NO),
    ("Tanh", 50, NO, NO),
    ("ThresholdedRelu", 68, ("alpha", 1.0), NO),
];
const NO: Attribute = ("", 0.0);
const IDENTITY: u32 = 0;
const POWER: u32 = 9;
/// 0, and no number of what is infinite or no number.
const MINUS_ITSELF: u32 = 77;
const SQUARE: u32 = 75;
const CUBE: u32 = 76;

/// An attribute of an operator and its default.
type Attribute = (&'static str, f32);

/// Operators of two inputs or more, taken one after the other.
const BINARY: &[(&str, u32)] = &[
    ("Add", code::ADD),
    ("And", 16),
    ("BitwiseAnd", 24),
    ("BitwiseOr", 25),
    ("BitwiseXor", 26),
    ("Div", 5),
    ("Equal", 11),
    ("Greater", code::GREATER),
    ("GreaterOrEqual", 15),
    ("Less", code::LESS),
    ("LessOrEqual", 14),
    ("Max", code::MAX),
    ("Min", code::MIN),
    ("Mul", code::MULTIPLY),
    ("Or", 17),
    ("PRelu", 19),
    ("Pow", 9),
    ("Sub", code::SUBTRACT),
    ("Sum", code::ADD),
    ("Xor", 18),
];

/// Operators whose result is a truth.
const TRUTHS: &[&str] = &["Equal", "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual"];

/// The names of pointwise operators.
#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    let others = ["BitShift", "Gelu", "IsInf", "Mean", "Mod"];
    UNARY.iter().map(|(name, ..)| *name).chain(BINARY.iter().map(|(name, _)| *name)).chain(others)
}

/// The lowering of a pointwise operator.
pub fn find(kind: &str) -> Option<Lower> {
    if UNARY.iter().any(|(name, ..)| *name == kind) {
        return Some(unary);
    }
    if BINARY.iter().any(|(name, _)| *name == kind) {
        return Some(binary);
    }
    match kind {
        "BitShift" => Some(bit_shift),
        "Gelu" => Some(gelu),
        "IsInf" => Some(is_inf),
        "Mean" => Some(mean),
        "Mod" => Some(modulo),
        _ => None,
    }
}

fn unary(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let row = UNARY.iter().find(|(name, ..)| *name == node.op.kind);
    let (_, code, p, q) = row.ok_or_else(|| node.unsupported("no code"))?;
    let attribute = |(name, default): &(&str, f32)| node.float(name, *default);
    let link = Link { attributes: [attribute(p), attribute(q)], ..Link::alone(*code) };
    let result = result_of(node, x.spec.element);
    Ok(vec![chain(planner, node, &x, &[link], result)?.into()])
}

fn binary(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let row = BINARY.iter().find(|(name, _)| *name == node.op.kind);
    let code = row.ok_or_else(|| node.unsupported("no code"))?.1;
    if code == code::DIVIDE {
        check_divisor(planner, node)?;
    }
    // Drivers take the difference of a value and itself for 0.
    let itself = matches!(node.op.inputs.as_slice(), [x, y] if x == y);
    if code == code::SUBTRACT && itself && is_float(node.spec(0)?.element) {
        let x = planner.place(node.input(0))?;
        return Ok(vec![chain(planner, node, &x, &[Link::alone(MINUS_ITSELF)], x.spec.element)?.into()]);
    }
    if code == POWER && !is_float(node.spec(0)?.element) && !is_whole(node.input(1)) {
        return root_of_integers(planner, node);
    }
    fold_inputs(planner, node, code).map(|placed| vec![placed.into()])
}

/// Whether a value is of integers, or of known floats without fractions.
fn is_whole(value: &Value) -> bool {
    let float = value.spec().is_some_and(|spec| is_float(spec.element));
    let Value::Known(tensor) = value else { return !float };
    match tensor.spec().element {
        Element::Fp16 => {
            tensor.to_vec::<f16>().is_some_and(|all| all.iter().all(|number| number.to_f32().fract() == 0.0))
        }
        Element::Fp32 => tensor.to_vec::<f32>().is_some_and(|all| all.iter().all(|number| number.fract() == 0.0)),
        Element::Fp64 => tensor.to_vec::<f64>().is_some_and(|all| all.iter().all(|number| number.fract() == 0.0)),
        _ => !float,
    }
}

/// Powers of integers with fractions in their exponents: in FP64, and without what follows the point.
fn root_of_integers(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let (base, exponent) = (planner.place(node.input(0))?, planner.place(node.input(1))?);
    let element = base.spec.element;
    let base = convert(planner, node, &base, Element::Fp64)?;
    let exponent = convert(planner, node, &exponent, Element::Fp64)?;
    let power = chain(planner, node, &base, &[Link::tensor(POWER, exponent)], Element::Fp64)?;
    Ok(vec![convert(planner, node, &power, element)?.into()])
}

/// The inputs, one after the other, under one operator.
fn fold_inputs(planner: &mut Planner, node: &Node<'_>, code: u32) -> Result<Placed, Halt> {
    if let Some(y) = with_number(planner, node, code)? {
        return Ok(y);
    }
    let mut x = planner.place(node.input(0))?;
    let result = result_of(node, x.spec.element);
    for other in node.inputs.iter().skip(1) {
        let mut other = planner.place(other)?;
        // Only Pow mixes types.
        if other.spec.element != x.spec.element {
            other = convert(planner, node, &other, x.spec.element)?;
        }
        x = chain(planner, node, &x, &[Link::tensor(code, other)], result)?;
    }
    Ok(x)
}

/// A tensor and a number, which needs no memory.
fn with_number(planner: &mut Planner, node: &Node<'_>, code: u32) -> Result<Option<Placed>, Halt> {
    let [a, b] = node.inputs.as_slice() else { return Ok(None) };
    if a.spec().map(|spec| spec.element) != b.spec().map(|spec| spec.element) {
        return Ok(None);
    }
    let (x, link) = match (number(a), number(b)) {
        (_, Some((number, rank))) if fits(a, rank) => (a, Some(with(code, number))),
        (Some((number, rank)), _) if fits(b, rank) => (b, Link::number(code, number).reversed()),
        _ => return Ok(None),
    };
    let Some(link) = link else { return Ok(None) };
    let x = planner.place(x)?;
    let result = result_of(node, x.spec.element);
    chain(planner, node, &x, &[link], result).map(Some)
}

/// What is done with a number; small whole powers are products.
fn with(code: u32, number: f32) -> Link {
    let code = match number {
        _ if code != POWER => code,
        1.0 => return Link::alone(IDENTITY),
        2.0 => return Link::alone(SQUARE),
        3.0 => return Link::alone(CUBE),
        _ => code,
    };
    Link::number(code, number)
}

/// A known float, of a word or half of one, and its rank.
fn number(value: &Value) -> Option<(f32, usize)> {
    let Value::Known(tensor) = value else { return None };
    let numbers = match tensor.spec().element {
        Element::Fp32 => tensor.to_vec::<f32>()?,
        Element::Fp16 => tensor.to_vec::<f16>()?.into_iter().map(f16::to_f32).collect(),
        _ => return None,
    };
    let &[number] = numbers.as_slice() else { return None };
    Some((number, tensor.spec().shape.extents().len()))
}

/// Whether a number of that rank leaves the shape as it is.
fn fits(x: &Value, rank: usize) -> bool {
    let float = |element| matches!(element, Element::Fp32 | Element::Fp16);
    let fits = |spec: &burst_host::nouns::Spec| float(spec.element) && spec.shape.extents().len() >= rank;
    x.spec().is_some_and(fits)
}

fn result_of(node: &Node<'_>, input: Element) -> Element {
    if TRUTHS.contains(&node.op.kind.as_str()) { Element::Bool } else { input }
}

fn mean(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let sum = fold_inputs(planner, node, code::ADD)?;
    let share = Link::number(code::DIVIDE, node.inputs.len() as f32);
    let element = sum.spec.element;
    Ok(vec![chain(planner, node, &sum, &[share], element)?.into()])
}

/// Of integers none is divided by zero.
fn check_divisor(planner: &mut Planner, node: &Node<'_>) -> Result<(), Halt> {
    if is_float(node.spec(1)?.element) { Ok(()) } else { planner.check_divisor(node, 1) }
}

fn modulo(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    check_divisor(planner, node)?;
    fold_inputs(planner, node, if node.int("fmod", 0) == 1 { 20 } else { 21 }).map(|placed| vec![placed.into()])
}

fn bit_shift(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let code = if node.text("direction", "") == "RIGHT" { 28 } else { 27 };
    fold_inputs(planner, node, code).map(|placed| vec![placed.into()])
}

fn gelu(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let code = if node.text("approximate", "none") == "tanh" { 67 } else { 66 };
    let element = x.spec.element;
    Ok(vec![chain(planner, node, &x, &[Link::alone(code)], element)?.into()])
}

fn is_inf(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let sides = [node.int("detect_positive", 1) as f32, node.int("detect_negative", 1) as f32];
    let link = Link { attributes: sides, ..Link::alone(71) };
    Ok(vec![chain(planner, node, &x, &[link], Element::Bool)?.into()])
}

/// Bounds are inputs since opset 11.
pub fn clip(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let element = x.spec.element;
    let mut links = Vec::new();
    for (index, name, code) in [(1, "min", code::MAX), (2, "max", code::MIN)] {
        if let Some((bound, _)) = number(node.input(index)) {
            links.push(Link::number(code, bound));
        } else if node.has(index) {
            links.push(Link::tensor(code, planner.place(node.input(index))?));
        } else if let Some(burst_host::nouns::Attribute::Float(bound)) = node.op.attribute(name) {
            links.push(Link::number(code, *bound));
        }
    }
    Ok(vec![chain(planner, node, &x, &links, element)?.into()])
}

/// The same numbers in another element type.
pub fn convert(planner: &mut Planner, node: &Node<'_>, x: &Placed, element: Element) -> Result<Placed, Halt> {
    if x.spec.element == element {
        return Ok(x.clone());
    }
    chain(planner, node, x, &[], element)
}

/// Floats that kernels of f32 can read.
pub fn widened(planner: &mut Planner, node: &Node<'_>, value: &Value) -> Result<Placed, Halt> {
    let x = planner.place(value)?;
    match x.spec.element {
        element if is_float(element) && element != Element::Fp64 => convert(planner, node, &x, Element::Fp32),
        other => Err(node.lacks(other)),
    }
}
