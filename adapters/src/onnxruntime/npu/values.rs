//! Elements and extents of every value of a graph, as ONNX Runtime infers them.

use super::super::{element::element, fault, runtime::Runtime, session::commit};
use burst_host::nouns::{Element, Fault, Graph, Port};
use ort::{session::builder::GraphOptimizationLevel, value::ValueType};
use std::collections::{HashMap, HashSet};

/// One value.
pub(super) struct Inferred {
    pub element: Element,
    /// Outermost first; `None` for an extent that numbers decide.
    pub extents: Vec<Option<usize>>,
}

impl Inferred {
    /// How many elements it has, if that is known.
    pub(super) fn elements(&self) -> Option<u128> {
        self.extents.iter().try_fold(1u128, |product, extent| product.checked_mul((*extent)? as u128))
    }
}

/// Every tensor that the graph itself takes or computes; values of subgraphs are left out.
pub(super) fn infer(graph: &Graph, runtime: &Runtime) -> Result<HashMap<String, Inferred>, Fault> {
    let mut told = graph.clone();
    let mut known: HashSet<String> = told.outputs.iter().map(|port| port.name.clone()).collect();
    let results = graph.ops.iter().flat_map(|op| &op.outputs).filter(|name| !name.is_empty());
    // A session tells the types of its outputs only.
    for name in results.filter(|name| known.insert((*name).clone())) {
        told.outputs.push(Port { name: name.clone(), element: None, shape: None, optional: false });
    }
    let builder = runtime.on_cpu().map_err(fault::of_load)?;
    let builder = builder.with_optimization_level(GraphOptimizationLevel::Disable);
    let builder = builder.map_err(|error| fault::of_load(error.into()))?;
    let (session, _weights) = commit(&told, builder, runtime)?;
    let mut values: HashMap<String, Inferred> = graph.constants.iter().map(constant).collect();
    for outlet in session.inputs().iter().chain(session.outputs()) {
        if let ValueType::Tensor { ty, shape, .. } = outlet.dtype()
            && let Some(element) = element((*ty).into())
        {
            let extents = shape.iter().map(|&extent| usize::try_from(extent).ok()).collect();
            values.insert(outlet.name().to_owned(), Inferred { element, extents });
        }
    }
    Ok(values)
}

fn constant((name, tensor): &(String, burst_host::nouns::Tensor)) -> (String, Inferred) {
    let spec = tensor.spec();
    let extents = spec.shape.extents().iter().map(|&extent| Some(extent)).collect();
    (name.clone(), Inferred { element: spec.element, extents })
}
