//! What tract knows of the values inside a model: their types and sizes.

use super::{
    plans::shapes,
    translate::{concrete, outputs, symbolic, translate, without_weights},
    workers::guarded,
};
use crate::onnx::Limits;
use burst_host::{
    mechanisms::split::{Known, Values, used_values},
    nouns::{Element, Extent, Fault, Graph, Port, Tensor},
};
use std::collections::HashMap;
use tract_onnx::prelude::InferenceModel;

/// The values that operators of `graph` use, exact where the extents of its inputs are fixed. Sizes are told with
/// `open` in the place of open extents.
///
/// Takes milliseconds to seconds. Fails with `Unsupported` where the CPU lacks an operator.
pub fn infer(graph: &Graph, open: usize) -> Result<Values, Fault> {
    let unknown = |name| Port { name, element: None, shape: None, optional: false };
    let asked = Graph { outputs: used_values(graph).into_iter().map(unknown).collect(), ..graph.clone() };
    // Sizes seldom follow from weights: a second copy of them, only where they do.
    match values(&asked, open, without_weights(&asked, &Limits::default(), is_float).map(|(model, _)| model)) {
        Ok(values) if values.len() == asked.outputs.len() => Ok(values),
        _ => values(&asked, open, translate(&asked, &Limits::default())),
    }
}

fn is_float(tensor: &Tensor) -> bool {
    matches!(tensor.spec().element, Element::Fp16 | Element::Fp32 | Element::Fp64)
}

fn values(asked: &Graph, open: usize, model: Result<InferenceModel, Fault>) -> Result<Values, Fault> {
    let (graph, model) = (asked, model?);
    let ranks = || Fault::Unsupported("an input without a number of axes: export the model with one".into());
    let probe = shapes(&graph.inputs, Some(open)).ok_or_else(ranks)?;
    let sized = outputs(&concrete(&model, &graph.inputs, &probe)?, &asked.outputs, &HashMap::new());
    let ports = if shapes(&graph.inputs, None).is_some() {
        sized.clone()
    } else {
        match guarded(|| symbolic(&model, &graph.inputs)) {
            Ok(symbolic) => symbolic.outputs(&asked.outputs),
            Err(_) => compared(asked, &model, &sized, open)?,
        }
    };
    let known = ports.into_iter().zip(&sized).filter_map(|(port, sized)| {
        let bytes = bytes(sized)?;
        Some((port.name.clone(), Known { port, bytes }))
    });
    Ok(known.collect())
}

/// Where symbols can't follow: extents are those that are the same for other extents of the inputs.
fn compared(asked: &Graph, model: &InferenceModel, sized: &[Port], open: usize) -> Result<Vec<Port>, Fault> {
    let other = |open: usize| {
        let shapes = shapes(&asked.inputs, Some(open)).unwrap_or_default();
        guarded(|| Ok(outputs(&concrete(model, &asked.inputs, &shapes)?, &asked.outputs, &HashMap::new())))
    };
    let others = other(2 * open).or_else(|_| other(open + 1))?;
    let same = |(port, other): (&Port, &Port)| match (&port.shape, &other.shape) {
        (Some(shape), Some(others)) if shape.len() == others.len() => {
            let extents = shape.iter().zip(others);
            let shape = extents.map(|(a, b)| if a == b { a.clone() } else { Extent::Any }).collect();
            Port { shape: Some(shape), ..port.clone() }
        }
        _ => Port { shape: None, ..port.clone() },
    };
    Ok(sized.iter().zip(&others).map(same).collect())
}

/// What the model itself tells of its values, with `open` in the place of open extents.
pub fn declared(graph: &Graph, open: usize) -> Values {
    let told = graph.values.iter().chain(&graph.outputs);
    let known = told.filter_map(|port| {
        let shape = shapes(std::slice::from_ref(port), Some(open))?.pop()?;
        let fixed = shape.extents().iter().map(|&extent| Extent::Fixed(extent)).collect();
        let bytes = bytes(&Port { shape: Some(fixed), ..port.clone() })?;
        Some((port.name.clone(), Known { port: port.clone(), bytes }))
    });
    known.collect()
}

/// `None` where something is open.
fn bytes(port: &Port) -> Option<u64> {
    let size = port.element.and_then(Element::size)? as u64;
    port.shape.as_ref()?.iter().try_fold(size, |bytes, extent| match extent {
        Extent::Fixed(fixed) => bytes.checked_mul(*fixed as u64),
        Extent::Named(_) | Extent::Any => None,
    })
}
