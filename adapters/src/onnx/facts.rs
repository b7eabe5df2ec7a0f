//! What a graph tells of its values: their elements, and what is constant.

use crate::constants;
use burst_host::nouns::{Attribute, Element, Extent, Graph, Op, Tensor};
use std::collections::HashMap;

/// What is known of one value.
#[derive(Clone, Default)]
struct Fact {
    element: Option<Element>,
    /// Extents are told of inputs only, of inner values how many.
    shape: Option<Vec<Extent>>,
    tensor: Option<Tensor>,
}

/// All values that can be seen at one place, those of the innermost graph last.
#[derive(Default)]
pub(super) struct Facts(Vec<HashMap<String, Fact>>);

const BOOLEAN: &[&str] = &[
    "And",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "IsInf",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "Not",
    "OptionalHasElement",
    "Or",
    "Xor",
];
/// Operators of one value whose result has its shape.
const SAME: &[&str] = &[
    "Abs",
    "Cast",
    "Clip",
    "Dropout",
    "Erf",
    "Exp",
    "Gelu",
    "Identity",
    "LeakyRelu",
    "Log",
    "Neg",
    "Not",
    "Relu",
    "Round",
    "Sigmoid",
    "Softplus",
    "Sqrt",
    "Tanh",
];
const LONG: &[&str] = &["ArgMax", "ArgMin", "NonMaxSuppression", "NonZero", "SequenceLength", "Shape", "Size"];
/// Operators whose result has an element of its own rule, or of none that is told here.
const OTHER: &[&str] = &[
    "Bernoulli",
    "BitCast",
    "BlackmanWindow",
    "ConcatFromSequence",
    "HammingWindow",
    "HannWindow",
    "If",
    "ImageDecoder",
    "Loop",
    "MelWeightMatrix",
    "Multinomial",
    "Optional",
    "OptionalGetElement",
    "RandomNormal",
    "RandomUniform",
    "RegexFullMatch",
    "Scan",
    "SequenceAt",
    "SequenceConstruct",
    "SequenceEmpty",
    "SequenceErase",
    "SequenceInsert",
    "SequenceMap",
    "SplitToSequence",
    "StringSplit",
    "TfIdfVectorizer",
];

impl Facts {
    /// Takes in what is known before the first operator of a graph.
    pub(super) fn enter(&mut self, graph: &Graph) {
        self.0.push(HashMap::new());
        // What a file believes of the extents of inner values may be wrong.
        for port in graph.values.iter().chain(&graph.outputs) {
            let shape = port.shape.as_ref().map(|shape| vec![Extent::Any; shape.len()]);
            self.set(&port.name, Fact { element: port.element, shape, tensor: None });
        }
        for port in &graph.inputs {
            self.set(&port.name, Fact { element: port.element, shape: port.shape.clone(), tensor: None });
        }
        graph.constants.iter().for_each(|(name, tensor)| self.constant(name, tensor));
    }

    /// Forgets the innermost graph.
    pub(super) fn leave(&mut self) {
        self.0.pop();
    }

    fn set(&mut self, name: &str, fact: Fact) {
        if let Some(last) = self.0.last_mut() {
            last.insert(name.to_owned(), fact);
        }
    }

    fn get(&self, name: &str) -> Option<&Fact> {
        self.0.iter().rev().find_map(|facts| facts.get(name))
    }

    pub(super) fn constant(&mut self, name: &str, tensor: &Tensor) {
        let element = Some(tensor.spec().element);
        self.set(name, Fact { element, shape: None, tensor: Some(tensor.clone()) });
    }

    /// The element of a value, if that is told.
    pub(super) fn element(&self, name: &str) -> Option<Element> {
        self.get(name)?.element
    }

    /// The contents of a value that never changes.
    pub(super) fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.get(name)?.tensor.as_ref()
    }

    /// How many axes a value has, if that is told.
    pub(super) fn rank(&self, name: &str) -> Option<usize> {
        self.extents(name).map(|extents| extents.len())
    }

    /// The extents of an input or a constant, where each is told.
    pub(super) fn extents(&self, name: &str) -> Option<Vec<Option<usize>>> {
        let fact = self.get(name)?;
        if let Some(tensor) = &fact.tensor {
            return Some(tensor.spec().shape.extents().iter().map(|&extent| Some(extent)).collect());
        }
        let fixed = |extent: &Extent| if let Extent::Fixed(extent) = extent { Some(*extent) } else { None };
        Some(fact.shape.as_ref()?.iter().map(fixed).collect())
    }

    /// Takes in what an operator says of its results.
    pub(super) fn learn(&mut self, op: &Op) {
        if let (Some(name), Some(tensor)) = (op.outputs.first(), constants::value(op)) {
            self.constant(name, &tensor);
            return;
        }
        if let ("Identity", [from], [to]) = (op.kind.as_str(), op.inputs.as_slice(), op.outputs.as_slice())
            && let Some(fact) = self.get(from).cloned()
        {
            self.set(to, fact);
            return;
        }
        for (index, name) in op.outputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let element = self.result(op, index).or_else(|| self.element(name));
            let rank = if index == 0 { self.result_rank(op) } else { scores_rank(op) }.or_else(|| self.rank(name));
            self.set(name, Fact { element, shape: rank.map(|rank| vec![Extent::Any; rank]), tensor: None });
        }
    }

    /// How many axes a first result has, for operators whose results are asked about.
    fn result_rank(&self, op: &Op) -> Option<usize> {
        let of = |index: usize| self.rank(op.inputs.get(index)?);
        let numbers = |name: &str, index: usize| match op.attribute(name) {
            Some(Attribute::Ints(values)) => Some(values.len()),
            _ => Some(self.tensor(op.inputs.get(index)?)?.spec().shape.elements()),
        };
        if !op.domain.is_empty() {
            return None;
        }
        match op.kind.as_str() {
            "Transpose" | "Slice" | "Concat" | "Split" | "Softmax" | "LayerNormalization" | "RMSNormalization"
            | "Conv" | "QuantizeLinear" | "DequantizeLinear" | "GatherElements" => of(0),
            kind if kind != "If" && op.inputs.len() == 1 && SAME.contains(&kind) => of(0),
            "Reshape" => numbers("shape", 1),
            "Unsqueeze" => Some(of(0)? + numbers("axes", 1)?),
            "Squeeze" => of(0)?.checked_sub(numbers("axes", 1)?),
            "Gather" => (of(0)? + of(1)?).checked_sub(1),
            "Shape" | "Range" => Some(1),
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Equal" | "Less" | "Greater" | "And" | "Or" => {
                Some(of(0)?.max(of(1)?))
            }
            "MatMul" => match (of(0)?, of(1)?) {
                (a, b) if a >= 2 && b >= 2 => Some(a.max(b)),
                _ => None,
            },
            "Expand" => Some(of(0)?.max(numbers("", 1)?)),
            _ => None,
        }
    }

    fn result(&self, op: &Op, index: usize) -> Option<Element> {
        let of = |index: usize| self.element(op.inputs.get(index)?);
        let number = |name: &str| match op.attribute(name) {
            Some(Attribute::Int(number)) => super::element(*number).ok(),
            _ => None,
        };
        if !op.domain.is_empty() {
            return None;
        }
        match (op.kind.as_str(), index) {
            (kind, _) if OTHER.contains(&kind) => None,
            (kind, _) if BOOLEAN.contains(&kind) => Some(Element::Bool),
            (kind, _) if LONG.contains(&kind) => Some(Element::I64),
            ("Cast", _) => number("to"),
            ("CastLike" | "Where", _) => of(1),
            ("ConstantOfShape", _) => match op.attribute("value") {
                Some(Attribute::Tensor(tensor)) => Some(tensor.spec().element),
                _ => Some(Element::Fp32),
            },
            ("EyeLike" | "RandomNormalLike" | "RandomUniformLike", _) => number("dtype").or(of(0)),
            ("QuantizeLinear", _) => number("output_dtype").or(of(2)).or(Some(Element::U8)),
            ("DequantizeLinear", _) => number("output_dtype").or(of(1)),
            ("DynamicQuantizeLinear", 0 | 2) => Some(Element::U8),
            ("DynamicQuantizeLinear", _) => Some(Element::Fp32),
            ("ConvInteger" | "MatMulInteger", _) => Some(Element::I32),
            ("QLinearConv" | "QLinearMatMul", _) => of(7),
            ("OneHot", _) => of(2),
            ("TopK" | "MaxPool", 1) | ("Unique", 1..) => Some(Element::I64),
            ("Dropout", 1) => Some(Element::Bool),
            _ => of(0),
        }
    }
}

/// How many axes a second result has, for classifiers: a row of scores for each row of features.
fn scores_rank(op: &Op) -> Option<usize> {
    (op.domain == "ai.onnx.ml" && op.kind.ends_with("Classifier")).then_some(2)
}
