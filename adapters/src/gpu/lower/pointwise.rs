//! Operators on elements at the same place, and conversions between element types.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    Lower,
};
use burst_host::nouns::{Element, Fault, Shape, Spec};

/// Numbers of the operators in the shaders; what a reader finds in `lane_f32.wgsl`.
pub mod code {
    pub const ADD: u32 = 1;
    pub const SUBTRACT: u32 = 2;
    pub const MULTIPLY: u32 = 4;
    pub const MAX: u32 = 7;
    pub const MIN: u32 = 8;
    pub const GREATER: u32 = 13;
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
    ("Less", 12),
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

/// One link of a chain: what is done to the value so far, and with what.
#[derive(Clone)]
pub struct Link {
    pub code: u32,
    pub with: With,
    pub attributes: [f32; 2],
}

/// The other operand.
#[derive(Clone)]
pub enum With {
    Nothing,
    Number(f32),
    Tensor(Placed),
}

impl Link {
    pub fn alone(code: u32) -> Self {
        Self { code, with: With::Nothing, attributes: [0.0; 2] }
    }

    pub fn tensor(code: u32, other: Placed) -> Self {
        Self { code, with: With::Tensor(other), attributes: [0.0; 2] }
    }

    pub fn number(code: u32, number: f32) -> Self {
        Self { code, with: With::Number(number), attributes: [0.0; 2] }
    }
}

/// Where arithmetic happens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Float,
    Int,
    Long,
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
    fold_inputs(planner, node, code).map(|placed| vec![placed.into()])
}

/// The inputs, one after the other, under one operator.
fn fold_inputs(planner: &mut Planner, node: &Node<'_>, code: u32) -> Result<Placed, Halt> {
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

fn result_of(node: &Node<'_>, input: Element) -> Element {
    if TRUTHS.contains(&node.op.kind.as_str()) { Element::Bool } else { input }
}

fn mean(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let sum = fold_inputs(planner, node, code::ADD)?;
    let share = Link::number(code::MULTIPLY, 1.0 / node.inputs.len() as f32);
    let element = sum.spec.element;
    Ok(vec![chain(planner, node, &sum, &[share], element)?.into()])
}

fn modulo(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
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
        if node.has(index) {
            links.push(Link::tensor(code, planner.place(node.input(index))?));
        } else if let Some(burst_host::nouns::Attribute::Float(bound)) = node.op.attribute(name) {
            links.push(Link::number(code, *bound));
        }
    }
    Ok(vec![chain(planner, node, &x, &links, element)?.into()])
}

pub fn cast(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = crate::onnx::element(node.int("to", 0)).map_err(|name| node.unsupported(&name))?;
    let x = planner.place(node.input(0))?;
    Ok(vec![convert(planner, node, &x, element)?.into()])
}

pub fn cast_like(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(1)?.element;
    let x = planner.place(node.input(0))?;
    Ok(vec![convert(planner, node, &x, element)?.into()])
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
        Element::Fp32 | Element::Fp16 | Element::Bf16 => convert(planner, node, &x, Element::Fp32),
        other => Err(node.unsupported(&format!("{other}"))),
    }
}

/// Runs a chain of operators; all operands but numbers have x's element.
pub fn chain(
    planner: &mut Planner,
    node: &Node<'_>,
    x: &Placed,
    links: &[Link],
    result: Element,
) -> Result<Placed, Halt> {
    const LINKS_MAX: usize = 6;
    const OPERANDS_MAX: usize = 4;
    let mut operands: Vec<&Placed> = vec![x];
    let mut shape = x.spec.shape.clone();
    for link in links {
        if let With::Tensor(other) = &link.with {
            shape = broadcast(node, &shape, &other.spec.shape)?;
            operands.push(other);
        }
    }
    if links.len() > LINKS_MAX || operands.len() > OPERANDS_MAX {
        return Err(node.unsupported("a longer chain"));
    }
    let class = class(node, x.spec.element, result)?;
    if element_code(result).is_none() {
        return Err(node.unsupported(&result.to_string()));
    }
    let spec = Spec { element: result, shape: shape.clone() };
    let mut kernel = Constants::new(class, x.spec.element, result);
    for (index, operand) in operands.iter().enumerate() {
        kernel.operand(node, index, operand, &shape)?;
    }
    kernel.links(links);
    let mut parameters = vec![shape.elements() as u32];
    parameters.extend(padded(shape.extents(), 1));
    for index in 0..OPERANDS_MAX {
        let strides = operands.get(index).map(|operand| strides(operand.extents(), shape.extents()));
        parameters.extend(strides.unwrap_or([0; 8]));
    }
    // Structures of pairs begin at a multiple of eight bytes.
    parameters.push(0);
    parameters.extend(numbers(links, x.spec.element));
    let mut reads: Vec<&Placed> = operands.clone();
    reads.resize(OPERANDS_MAX, x);
    let groups = grid(shape.elements().div_ceil(4));
    planner.dispatch(Kernel::new(class.shader(), kernel.0), parameters, &reads, spec, groups)
}

fn numbers(links: &[Link], element: Element) -> Vec<u32> {
    let mut words = vec![0; 24];
    for (index, link) in links.iter().enumerate() {
        if let With::Number(number) = link.with {
            let float = matches!(element, Element::Fp32 | Element::Fp16 | Element::Bf16);
            let integer = number as i64 as u64;
            (words[2 * index], words[2 * index + 1]) =
                if float { (number.to_bits(), 0) } else { (integer as u32, (integer >> 32) as u32) };
        }
        words[12 + 2 * index] = link.attributes[0].to_bits();
        words[12 + 2 * index + 1] = link.attributes[1].to_bits();
    }
    words
}

/// Constants of a pointwise kernel.
struct Constants(Vec<(&'static str, u32)>);

impl Constants {
    fn new(class: Class, input: Element, result: Element) -> Self {
        let number = match class {
            Class::Float => code_of(Element::Fp32),
            Class::Int => code_of(Element::I32),
            Class::Long => code_of(Element::I64),
        };
        let mut constants = vec![("Y", code_of(result)), ("NUMBER", number)];
        let unsigned = matches!(input, Element::U8 | Element::U16 | Element::U32 | Element::U64);
        if class != Class::Float && unsigned {
            constants.push(("UNSIGNED", 1));
        }
        Self(constants)
    }

    fn operand(&mut self, node: &Node<'_>, index: usize, operand: &Placed, shape: &Shape) -> Result<(), Halt> {
        const ELEMENTS: [&str; 4] = ["A", "B", "C", "D"];
        const DENSE: [&str; 4] = ["A_DENSE", "B_DENSE", "C_DENSE", "D_DENSE"];
        if element_code(operand.spec.element).is_none() {
            return Err(node.unsupported(&operand.spec.element.to_string()));
        }
        self.0.push((ELEMENTS[index], code_of(operand.spec.element)));
        self.0.push((DENSE[index], u32::from(operand.spec.shape.elements() == shape.elements())));
        Ok(())
    }

    fn links(&mut self, links: &[Link]) {
        const OPS: [&str; 6] = ["OP0", "OP1", "OP2", "OP3", "OP4", "OP5"];
        const WITHS: [&str; 6] = ["WITH0", "WITH1", "WITH2", "WITH3", "WITH4", "WITH5"];
        let mut operand = 0;
        for (index, link) in links.iter().enumerate() {
            let with = match link.with {
                With::Tensor(_) => {
                    operand += 1;
                    operand
                }
                With::Number(_) | With::Nothing => 4,
            };
            self.0.extend([(OPS[index], link.code), (WITHS[index], with)]);
        }
        self.0.push(("LENGTH", links.len() as u32));
    }
}

impl Class {
    fn shader(self) -> Shader {
        match self {
            Self::Float => Shader::PointwiseFloat,
            Self::Int => Shader::PointwiseInt,
            Self::Long => Shader::PointwiseLong,
        }
    }
}

fn class(node: &Node<'_>, input: Element, result: Element) -> Result<Class, Halt> {
    use Element::{Bf16, Bool, Fp16, Fp32, I8, I16, I32, I64, U8, U16, U32, U64};
    Ok(match (input, result) {
        (Fp32 | Fp16 | Bf16, _) | (_, Fp32 | Fp16 | Bf16) => Class::Float,
        (I64 | U64, _) | (_, I64 | U64) => Class::Long,
        (I8 | I16 | I32 | U8 | U16 | U32 | Bool, _) => Class::Int,
        (other, _) => return Err(node.unsupported(&other.to_string())),
    })
}

/// The number of an element in the shaders.
pub fn element_code(element: Element) -> Option<u32> {
    Some(match element {
        Element::Fp32 => 0,
        Element::Fp16 => 1,
        Element::Bf16 => 2,
        Element::U8 => 3,
        Element::I8 => 4,
        Element::U16 => 5,
        Element::I16 => 6,
        Element::U32 => 7,
        Element::I32 => 8,
        Element::Bool => 9,
        Element::I64 => 10,
        Element::U64 => 11,
        Element::Fp64 | Element::Bytes => return None,
    })
}

fn code_of(element: Element) -> u32 {
    element_code(element).unwrap_or_default()
}

/// The shape that both fill, as ONNX broadcasts.
pub fn broadcast(node: &Node<'_>, a: &Shape, b: &Shape) -> Result<Shape, Halt> {
    let (a, b) = (a.extents(), b.extents());
    let rank = a.len().max(b.len());
    let extent = |extents: &[usize], axis: usize| (axis + extents.len()).checked_sub(rank).map_or(1, |at| extents[at]);
    let both = (0..rank).map(|axis| match (extent(a, axis), extent(b, axis)) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        _ => Err(Halt::from(Fault::Invalid(format!("`{}`: {a:?} and {b:?} do not fit", node.op.kind)))),
    });
    node.shape(both.collect::<Result<_, _>>()?)
}

/// Extents with leading ones, up to eight.
pub fn padded(extents: &[usize], fill: u32) -> [u32; 8] {
    let mut padded = [fill; 8];
    for (to, from) in padded.iter_mut().rev().zip(extents.iter().rev()) {
        *to = *from as u32;
    }
    padded
}

/// How far elements of `extents` lie apart along the axes of `shape`; 0 where it is broadcast.
pub fn strides(extents: &[usize], shape: &[usize]) -> [u32; 8] {
    let mut strides = [0; 8];
    let mut step = 1;
    for (axis, extent) in extents.iter().rev().enumerate() {
        if *extent != 1 && axis < shape.len() {
            strides[7 - axis] = step;
        }
        step *= *extent as u32;
    }
    strides
}
