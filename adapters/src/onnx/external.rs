//! Weights in files beside the model.
//!
//! Source: <https://github.com/onnx/onnx/blob/main/docs/ExternalData.md>.

use super::{
    Limits, OnnxError,
    proto::{GraphProto, ModelProto, NodeProto, TensorProto},
    wire,
};
use burst_host::ports::Blobs;
use prost::{Message, bytes::Bytes};
use std::collections::BTreeSet;

/// `TensorProto.DataLocation.EXTERNAL`.
pub(super) const EXTERNAL: i32 = 1;

/// The files beside a model that its tensors name, each once. Nobody has checked the names.
pub fn locations(file: &Bytes, limits: &Limits) -> Result<Vec<String>, OnnxError> {
    wire::measure(wire::Kind::Model, file, limits)?;
    let model = ModelProto::decode(file.clone()).map_err(|error| OnnxError::Malformed(error.to_string()))?;
    let mut found = BTreeSet::new();
    model.graph.iter().try_for_each(|graph| graph_locations(graph, &mut found))?;
    model.functions.iter().flat_map(|function| &function.node).try_for_each(|node| node_locations(node, &mut found))?;
    Ok(found.into_iter().collect())
}

/// Terminates: `measure` bounded the depth.
fn graph_locations(graph: &GraphProto, found: &mut BTreeSet<String>) -> Result<(), OnnxError> {
    graph.initializer.iter().try_for_each(|tensor| tensor_location(tensor, found))?;
    graph.node.iter().try_for_each(|node| node_locations(node, found))
}

fn node_locations(node: &NodeProto, found: &mut BTreeSet<String>) -> Result<(), OnnxError> {
    for attribute in &node.attribute {
        attribute.t.iter().try_for_each(|tensor| tensor_location(tensor, found))?;
        attribute.tensors.iter().try_for_each(|tensor| tensor_location(tensor, found))?;
        attribute.g.iter().try_for_each(|graph| graph_locations(graph, found))?;
        attribute.graphs.iter().try_for_each(|graph| graph_locations(graph, found))?;
    }
    Ok(())
}

fn tensor_location(tensor: &TensorProto, found: &mut BTreeSet<String>) -> Result<(), OnnxError> {
    if let Some(place) = Place::of(tensor)? {
        found.insert(place.location);
    }
    Ok(())
}

/// Where the contents of one tensor are.
struct Place {
    location: String,
    offset: usize,
    /// To the end of the file when it is not told.
    length: Option<usize>,
}

impl Place {
    /// `None` for a tensor with its contents inside.
    fn of(tensor: &TensorProto) -> Result<Option<Self>, OnnxError> {
        if tensor.data_location.unwrap_or(0) == 0 && tensor.external_data.is_empty() {
            return Ok(None);
        }
        let name = tensor.name.clone().unwrap_or_default();
        let wrong = |reason: &str| OnnxError::Tensor { tensor: name.clone(), reason: reason.into() };
        let find = |key: &str| {
            let entry = tensor.external_data.iter().find(|entry| entry.key.as_deref() == Some(key));
            entry.map(|entry| entry.value.as_deref().unwrap_or(""))
        };
        let number = |key: &str| {
            let number = find(key).map(str::parse::<usize>).transpose();
            number.map_err(|_| wrong("where its contents are is not told in numbers"))
        };
        let location = find("location").filter(|location| !location.is_empty());
        let location = location.ok_or_else(|| OnnxError::External { tensor: name.clone() })?;
        if tensor.data_location != Some(EXTERNAL) {
            return Err(wrong("its contents are both here and in another file"));
        }
        Ok(Some(Self { location: location.into(), offset: number("offset")?.unwrap_or(0), length: number("length")? }))
    }
}

/// The contents of a tensor that keeps them beside the model, sharing the blob; `None` when they are inside.
pub(super) fn contents(tensor: &TensorProto, blobs: &Blobs) -> Result<Option<Bytes>, OnnxError> {
    let Some(place) = Place::of(tensor)? else { return Ok(None) };
    let name = || tensor.name.clone().unwrap_or_default();
    let blob = blobs.get(&place.location).ok_or_else(|| OnnxError::External { tensor: name() })?;
    let end = place.length.map_or(Some(blob.len()), |length| place.offset.checked_add(length));
    match end.filter(|&end| place.offset <= end && end <= blob.len()) {
        Some(end) => Ok(Some(blob.slice(place.offset..end))),
        None => Err(OnnxError::Tensor { tensor: name(), reason: format!("`{}` is too short", place.location) }),
    }
}
