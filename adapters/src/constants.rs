//! The tensors of a graph that never change: its weights, and what its `Constant` operators give.

use burst_host::nouns::{Attribute, Element, Graph, Op, Tensor};
use std::collections::HashMap;

/// By name, those of the graphs around a graph too.
#[derive(Clone, Default)]
pub(crate) struct Constants(HashMap<String, Tensor>);

impl Constants {
    pub(crate) fn of(graph: &Graph) -> Self {
        Self::default().inside(graph)
    }

    /// What an inner graph sees: these, and its own.
    pub(crate) fn inside(&self, graph: &Graph) -> Self {
        let mut all = self.clone();
        // A value of the inner graph hides an outer constant of its name.
        let hidden = graph.inputs.iter().map(|port| &port.name).chain(graph.ops.iter().flat_map(|op| &op.outputs));
        hidden.for_each(|name| drop(all.0.remove(name)));
        let made = graph.ops.iter().filter_map(|op| Some((op.outputs.first()?.clone(), value(op)?)));
        all.0.extend(graph.constants.iter().cloned().chain(made));
        all
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.0.get(name)
    }

    /// The numbers of a constant of INT32 or INT64.
    pub(crate) fn integers(&self, name: &str) -> Option<Vec<i64>> {
        integers(self.tensor(name)?)
    }
}

/// The numbers of a tensor of INT32 or INT64 in this process's memory.
pub(crate) fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    match tensor.spec().element {
        Element::I32 => Some(tensor.to_vec::<i32>()?.into_iter().map(i64::from).collect()),
        Element::I64 => tensor.to_vec::<i64>(),
        _ => None,
    }
}

/// What a `Constant` operator gives, except texts and sparse tensors.
pub(crate) fn value(op: &Op) -> Option<Tensor> {
    let (name, value) = op.attributes.first().filter(|_| op.kind == "Constant" && op.domain.is_empty())?;
    match (name.as_str(), value) {
        ("value", Attribute::Tensor(tensor)) => Some(tensor.clone()),
        ("value_float", Attribute::Float(number)) => Tensor::from_slice(Element::Fp32, [], &[*number]).ok(),
        ("value_int", Attribute::Int(number)) => Tensor::from_slice(Element::I64, [], &[*number]).ok(),
        ("value_floats", Attribute::Floats(numbers)) => {
            Tensor::from_slice(Element::Fp32, [numbers.len()], numbers.as_slice()).ok()
        }
        ("value_ints", Attribute::Ints(numbers)) => {
            Tensor::from_slice(Element::I64, [numbers.len()], numbers.as_slice()).ok()
        }
        _ => None,
    }
}
