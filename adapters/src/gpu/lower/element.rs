//! Element types: in which lane a kernel computes on them, and how they become others.

use super::{
    super::{
        kernels::Lane,
        planner::{Halt, Node, Placed, Planner, Value},
    },
    pointwise::{convert, rounded_chain},
};
use burst_host::nouns::{Element, Spec};

/// The lane for elements that become others.
pub fn lane(planner: &Planner, node: &Node<'_>, input: Element, result: Element) -> Result<Lane, Halt> {
    let both = [input, result];
    if let Some(other) = both.into_iter().find(|&element| element == Element::Bytes) {
        return Err(node.lacks(other));
    }
    if both.contains(&Element::Fp64) {
        return if planner.target.doubles { Ok(Lane::F64) } else { Err(node.lacks("FP64, which its driver lacks")) };
    }
    let long = |element: Element| matches!(element, Element::I64 | Element::U64);
    Ok(match both {
        both if both.into_iter().any(is_small_float) => Lane::F8,
        both if both.into_iter().any(is_float) => Lane::F32,
        both if both.into_iter().any(long) => Lane::I64,
        _ => Lane::I32,
    })
}

/// Whether an element has fractions.
pub fn is_float(element: Element) -> bool {
    match element {
        Element::Fp16 | Element::Fp32 | Element::Fp64 | Element::Bf16 => true,
        Element::Narrow(narrow) => narrow.range().is_none(),
        _ => false,
    }
}

/// Whether an element is a float of a byte or less.
pub fn is_small_float(element: Element) -> bool {
    matches!(element, Element::Narrow(narrow) if narrow.range().is_none())
}

/// A value as its lane keeps it: a word or two each.
pub fn in_lane(planner: &mut Planner, node: &Node<'_>, value: &Value) -> Result<(Placed, Lane), Halt> {
    let x = planner.place(value)?;
    let lane = match lane(planner, node, x.spec.element, x.spec.element)? {
        Lane::F8 => Lane::F32,
        lane => lane,
    };
    let own = match (lane, x.spec.element) {
        (Lane::F32, _) => Element::Fp32,
        (Lane::I32, element) if element != Element::U32 => Element::I32,
        (_, element) => element,
    };
    Ok((convert(planner, node, &x, own)?, lane))
}

impl Lane {
    /// The element of a number in a kernel's parameters.
    pub fn number(self) -> Element {
        match self {
            Self::F32 | Self::F8 => Element::Fp32,
            Self::F64 => Element::Fp64,
            Self::I32 => Element::I32,
            Self::I64 => Element::I64,
        }
    }

    /// A kernel's constants, and the lane's own for the elements of `x`.
    pub fn constants(self, x: &Placed, kernel: &[(&'static str, u32)]) -> Vec<(&'static str, u32)> {
        let mut constants = kernel.to_vec();
        if matches!(x.spec.element, Element::U8 | Element::U16 | Element::U32 | Element::U64) && self.is_whole() {
            constants.push(("UNSIGNED", 1));
        }
        constants
    }

    /// Whether it computes in integers.
    fn is_whole(self) -> bool {
        matches!(self, Self::I32 | Self::I64)
    }

    /// Whether the lane's shader knows the operator of this number.
    pub fn computes(self, code: u32) -> bool {
        match self {
            Self::F32 | Self::F8 => !matches!(code, 24..=30 | 74),
            Self::F64 => matches!(code, 1..=15 | 19..=23 | 32..=41 | 50 | 55..=65 | 68..=71 | 73 | 75..=77),
            Self::I32 => matches!(code, 1..=30 | 32..=34 | 56 | 72 | 74),
            Self::I64 => matches!(code, 1..=15 | 19..=30 | 32..=34 | 56 | 72 | 74),
        }
    }
}

/// The element is a number of ONNX.
pub fn cast(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = crate::onnx::element(node.int("to", 0)).map_err(|name| node.lacks(name))?;
    to(planner, node, element)
}

/// The element is that of another tensor.
pub fn cast_like(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    to(planner, node, node.spec(1)?.element)
}

fn to(planner: &mut Planner, node: &Node<'_>, element: Element) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    if x.spec.element == element {
        return Ok(vec![x.into()]);
    }
    let rounding = rounding(node, element)?;
    Ok(vec![rounded_chain(planner, node, &x, &[], element, rounding)?.into()])
}

/// How a small float is rounded to, as the operator's attributes say.
pub fn rounding(node: &Node<'_>, element: Element) -> Result<Vec<(&'static str, u32)>, Halt> {
    if !is_small_float(element) {
        return Ok(Vec::new());
    }
    let round = match node.text("round_mode", "up").as_str() {
        "up" => 0,
        "down" => 1,
        "nearest" => 2,
        other => return Err(node.invalid(&format!("there is no way to round called `{other}`"))),
    };
    Ok(vec![("SATURATE", u32::from(node.int("saturate", 1) != 0)), ("ROUND", round)])
}

/// The same bits under another name.
pub fn bit_cast(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = crate::onnx::element(node.int("to", 0)).map_err(|name| node.lacks(name))?;
    let x = planner.place(node.input(0))?;
    let bits = |element: Element| match element {
        Element::Narrow(narrow) => Some(narrow.bits()),
        other => other.size().map(|bytes| 8 * bytes),
    };
    let both = [x.spec.element, element];
    if x.spec.element != element && bits(element) < Some(8) {
        return Err(node.lacks(element));
    }
    if bits(both[0]) != bits(both[1]) || both.contains(&Element::Bytes) {
        return Err(node.invalid(&format!("{} and {element} are not of one size", x.spec.element)));
    }
    // Of a byte only 0 and 1 are truths.
    if element == Element::Bool && x.spec.element != element {
        return Err(node.lacks("BOOL"));
    }
    Ok(vec![Placed { spec: Spec { element, ..x.spec }, ..x }.into()])
}
