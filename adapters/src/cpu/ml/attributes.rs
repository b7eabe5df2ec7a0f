//! Attributes of an operator, as tract decoded them.

use crate::onnx::forest::Attributes;
use tract_onnx::{
    pb::{AttributeProto, NodeProto, TensorProto},
    tract_hir::internal::*,
};

pub fn given<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

pub fn ints<'a>(node: &'a NodeProto, name: &str) -> &'a [i64] {
    given(node, name).map_or(&[], |attribute| &attribute.ints)
}

pub fn floats<'a>(node: &'a NodeProto, name: &str) -> &'a [f32] {
    given(node, name).map_or(&[], |attribute| &attribute.floats)
}

pub fn int(node: &NodeProto, name: &str, default: i64) -> i64 {
    given(node, name).map_or(default, |attribute| attribute.i)
}

pub fn text(node: &NodeProto, name: &str, default: &str) -> String {
    given(node, name).map_or(default.into(), |attribute| String::from_utf8_lossy(&attribute.s).into_owned())
}

pub fn texts(node: &NodeProto, name: &str) -> Vec<String> {
    let strings = given(node, name).map_or(&[][..], |attribute| &attribute.strings);
    strings.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

/// Numbers of a list, or of a tensor under the same name and `_as_tensor`.
pub fn numbers(node: &NodeProto, name: &str) -> TractResult<Vec<f64>> {
    let list = floats(node, name);
    if !list.is_empty() {
        return Ok(list.iter().map(|&number| number.into()).collect());
    }
    tensor(node, &format!("{name}_as_tensor"))
}

/// Numbers of a tensor; none where it is left out. Graphs come to tract with contents in `raw_data`.
pub fn tensor(node: &NodeProto, name: &str) -> TractResult<Vec<f64>> {
    let Some(tensor) = given(node, name).and_then(|attribute| attribute.t.as_ref()) else { return Ok(Vec::new()) };
    read(tensor).with_context(|| format!("`{name}`"))
}

fn read(tensor: &TensorProto) -> TractResult<Vec<f64>> {
    let bytes: &[u8] = &tensor.raw_data;
    Ok(match tensor.data_type {
        1 => bytes.as_chunks::<4>().0.iter().map(|&number| f32::from_le_bytes(number).into()).collect(),
        2 => bytes.iter().map(|&number| number.into()).collect(),
        10 => bytes.as_chunks::<2>().0.iter().map(|&number| half::f16::from_le_bytes(number).to_f64()).collect(),
        11 => bytes.as_chunks::<8>().0.iter().map(|&number| f64::from_le_bytes(number)).collect(),
        other => bail!("a tensor of type {other}"),
    })
}

/// Why an operator is refused, as tract tells it.
pub fn refused(why: String) -> TractError {
    format_err!("{why}")
}

impl Attributes for NodeProto {
    fn ints(&self, name: &str) -> &[i64] {
        ints(self, name)
    }

    fn texts(&self, name: &str) -> Vec<String> {
        texts(self, name)
    }

    fn numbers(&self, name: &str) -> Result<Vec<f64>, String> {
        numbers(self, name).map_err(|error| format!("{error:#}"))
    }

    fn tensor(&self, name: &str) -> Result<Vec<f64>, String> {
        tensor(self, name).map_err(|error| format!("{error:#}"))
    }
}
