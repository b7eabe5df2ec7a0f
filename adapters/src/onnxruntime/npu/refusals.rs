//! What an NPU computes otherwise than ONNX says, silently: refused by name.

use super::{integers::Integers, values::Inferred};
use burst_host::nouns::{Attribute, Element, Fault, Graph, Op, Tensor};
use std::collections::HashMap;

/// What is checked of each run.
pub(super) struct Refusals {
    integers: Integers,
}

impl Refusals {
    /// Fails with the operator that would be computed otherwise.
    pub(super) fn of(graph: &Graph, values: &HashMap<String, Inferred>) -> Result<Self, Fault> {
        let constants: HashMap<&str, &Tensor> =
            graph.constants.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        for op in &graph.ops {
            refuse(op, values, &constants)?;
        }
        Ok(Self { integers: Integers::of(graph, values)? })
    }

    /// Fails with the input that would be computed otherwise.
    pub(super) fn check(&self, inputs: &[Tensor]) -> Result<(), Fault> {
        for (place, input) in inputs.iter().enumerate() {
            if has_nan(input) {
                return Err(Fault::Unsupported(format!("input {place} on an NPU: it has NaN, which is lost there")));
            }
        }
        self.integers.check(inputs)
    }
}

fn refuse(op: &Op, values: &HashMap<String, Inferred>, constants: &HashMap<&str, &Tensor>) -> Result<(), Fault> {
    let unsupported = |why: &str| Err(Fault::Unsupported(format!("operator {} on an NPU: {why}", op.kind)));
    let element = |name: &String| values.get(name).map(|value| value.element);
    if op.graphs().next().is_some() {
        return unsupported("what its subgraphs compute can't be checked");
    }
    if op.kind == "Resize" && matches!(op.attribute("antialias"), Some(Attribute::Int(1..))) {
        return unsupported("antialiasing is left out there");
    }
    if op.inputs.iter().chain(&op.outputs).any(|name| element(name) == Some(Element::Fp64)) {
        return unsupported("FP64 is computed in fewer bits there");
    }
    let divides = op.domain.is_empty() && ["Div", "Mod"].contains(&op.kind.as_str());
    if divides && op.outputs.first().and_then(element).is_some_and(is_integer) {
        let divisor = op.inputs.get(1).and_then(|name| constants.get(name.as_str()));
        if divisor.is_none_or(|divisor| has_zero(divisor)) {
            return unsupported("an integer that may be divided by zero, which gives a number there");
        }
    }
    Ok(())
}

fn is_integer(element: Element) -> bool {
    use Element::{I8, I16, I32, I64, U8, U16, U32, U64};
    matches!(element, I8 | I16 | I32 | I64 | U8 | U16 | U32 | U64)
}

fn has_zero(tensor: &Tensor) -> bool {
    let size = tensor.spec().element.size().unwrap_or(1);
    tensor.contents().is_none_or(|contents| contents.chunks(size).any(|number| number.iter().all(|&byte| byte == 0)))
}

fn has_nan(tensor: &Tensor) -> bool {
    let Some(contents) = tensor.contents() else { return false };
    match tensor.spec().element {
        Element::Fp32 => {
            contents.chunks_exact(4).any(|bytes| f32::from_le_bytes(bytes.try_into().unwrap_or_default()).is_nan())
        }
        Element::Fp16 => half_is(contents, |bits| half::f16::from_bits(bits).is_nan()),
        Element::Bf16 => half_is(contents, |bits| half::bf16::from_bits(bits).is_nan()),
        _ => false,
    }
}

fn half_is(contents: &[u8], is: impl Fn(u16) -> bool) -> bool {
    contents.chunks_exact(2).any(|bytes| is(u16::from_le_bytes(bytes.try_into().unwrap_or_default())))
}
