//! Operators that tract lacks, spelled out in those that it has. Source: their function bodies in the ONNX standard.

mod attention;
mod causal;
mod einsum;
mod loss;
mod optional;
mod pointwise;
mod recurrent;
mod slices;

use super::translate::MARK;
use crate::constants;
use burst_host::nouns::{Attribute, Element, Extent, Graph, Op, Port, Tensor};
use std::collections::HashMap;

type Spell = fn(&mut Spelling<'_>) -> Option<()>;

/// Operators, by domain, and since which opset what they are spelled in is what it is here.
const OPS: &[(&str, &str, i64, Spell)] = &[
    ("", "Attention", 23, attention::attention),
    ("", "CausalConvWithState", 18, causal::convolve),
    ("", "Celu", 12, pointwise::celu),
    ("", "Einsum", 12, einsum::scalar),
    ("", "GRU", 10, recurrent::backwards),
    ("", "LSTM", 10, recurrent::backwards),
    ("", "NegativeLogLikelihoodLoss", 13, loss::likelihood),
    ("", "OptionalGetElement", 18, optional::get_element),
    ("", "OptionalHasElement", 18, optional::has_element),
    ("", "RNN", 10, recurrent::backwards),
    ("", "Slice", 10, slices::bounded),
    ("", "SoftmaxCrossEntropyLoss", 13, loss::cross_entropy),
    ("", "Swish", 24, pointwise::swish),
    ("ai.onnx.preview", "FlexAttention", 18, attention::flex),
];

/// What a graph tells of its values.
pub(super) struct Values {
    ports: HashMap<String, Port>,
    /// Constants of so few numbers that they may be indices.
    short: HashMap<String, Tensor>,
}

/// The numbers of such a constant at most.
const SHORT_MAX: usize = 16;

impl Values {
    pub(super) fn of(graph: &Graph) -> Self {
        // What the file believes of the extents of inner values may be wrong.
        let inner = graph.values.iter().map(|port| Port { shape: None, ..port.clone() });
        let ports = inner.chain(graph.inputs.iter().cloned());
        let constants = graph.constants.iter().map(|(name, tensor)| Port::exactly(name, tensor.spec()));
        let is_short = |constant: &&(String, Tensor)| constant.1.spec().shape.elements() <= SHORT_MAX;
        Self {
            ports: ports.chain(constants).map(|port| (port.name.clone(), port)).collect(),
            short: graph.constants.iter().filter(is_short).cloned().collect(),
        }
    }
}

/// What stands for an operator; itself where nothing does.
pub(super) fn spelled(op: Op, opset: i64, values: &Values) -> Vec<Op> {
    let here = |(domain, kind, since, _): &&(&str, &str, i64, Spell)| {
        op.domain == *domain && op.kind == *kind && opset >= *since
    };
    let Some((.., spell)) = OPS.iter().find(here) else { return vec![op] };
    let mut spelling = Spelling { op: &op, values, ops: Vec::new() };
    match spell(&mut spelling) {
        Some(()) => spelling.ops,
        None => vec![op],
    }
}

/// The operators so far.
struct Spelling<'a> {
    op: &'a Op,
    values: &'a Values,
    ops: Vec<Op>,
}

impl Spelling<'_> {
    /// The name of an input that is there.
    fn input(&self, index: usize) -> Option<String> {
        self.op.inputs.get(index).filter(|name| !name.is_empty()).cloned()
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        if let Some(Attribute::Int(value)) = self.op.attribute(name) { *value } else { default }
    }

    fn float(&self, name: &str, default: f32) -> f32 {
        if let Some(Attribute::Float(value)) = self.op.attribute(name) { *value } else { default }
    }

    /// The element of a value, if that is told.
    fn element(&self, name: &str) -> Option<Element> {
        self.values.ports.get(name)?.element
    }

    /// The indices of a constant, if it is one.
    fn indices(&self, name: &str) -> Option<Vec<i64>> {
        constants::integers(self.values.short.get(name)?)
    }

    /// The extents of a value, if all of them are told.
    fn extents(&self, name: &str) -> Option<Vec<usize>> {
        let fixed = |extent: &Extent| if let Extent::Fixed(extent) = extent { Some(*extent) } else { None };
        self.values.ports.get(name)?.shape.as_ref()?.iter().map(fixed).collect()
    }

    /// One more operator: the name of its result.
    fn add(&mut self, kind: &str, inputs: &[&str], attributes: &[(&str, Attribute)]) -> String {
        let result = self.op.outputs.iter().find(|name| !name.is_empty()).map_or("", String::as_str);
        let output = format!("{result}{MARK}{}", self.ops.len());
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let inputs = inputs.iter().map(|&name| name.to_owned()).collect();
        self.ops.push(Op { kind: kind.into(), inputs, attributes, ..Op::identity(String::new(), output.clone()) });
        output
    }

    fn longs(&mut self, extents: &[usize], values: &[i64]) -> Option<String> {
        let tensor = Tensor::from_slice(Element::I64, extents, values).ok()?;
        Some(self.add("Constant", &[], &[("value", Attribute::Tensor(tensor))]))
    }

    fn truth(&mut self, truth: bool) -> Option<String> {
        let tensor = Tensor::from_slice(Element::Bool, [], &[u8::from(truth)]).ok()?;
        Some(self.add("Constant", &[], &[("value", Attribute::Tensor(tensor))]))
    }

    /// Some elements of a list, `from` and `to` counted from either end.
    fn slice(&mut self, list: &str, from: i64, to: i64) -> Option<String> {
        let [from, to, axis] = [from, to, 0].map(|number| self.longs(&[1], &[number]));
        Some(self.add("Slice", &[list, &from?, &to?, &axis?], &[]))
    }

    /// A number of the type that another value has.
    fn number(&mut self, number: f32, like: &str) -> Option<String> {
        let tensor = Tensor::from_slice(Element::Fp32, [], &[number]).ok()?;
        let constant = self.add("Constant", &[], &[("value", Attribute::Tensor(tensor))]);
        Some(self.add("CastLike", &[&constant, like], &[]))
    }

    /// Gives a result of the operator its name, if it is asked for.
    fn result(&mut self, index: usize, value: &str) {
        if let Some(name) = self.op.outputs.get(index).filter(|name| !name.is_empty()) {
            self.ops.push(Op::identity(value.into(), name.clone()));
        }
    }
}
