//! ONNX files to graphs and back.
//!
//! A file is a stranger's: it is measured on the wire before anything is decoded (`wire`), every tensor's length is
//! checked before it is copied (`tensor`), and every name must be defined once and before its use (`check`).
//! Weights in `raw_data` share the file's buffer, those in files beside it share theirs.

mod build;
mod check;
mod contrib;
mod decode;
mod encode;
mod error;
mod external;
mod facts;
mod format;
mod inline;
mod learned;
mod names;
mod plain;
pub mod proto;
mod sort;
mod tensor;
#[cfg(test)]
mod tests;
mod upgrade;
mod versions;
mod wire;

pub use decode::{decode, decode_tensor, decode_with};
pub use encode::{encode, encode_apart};
pub use error::OnnxError;
pub use external::locations;
pub use format::Onnx;
pub use inline::inline;
pub(crate) use learned::forest;
pub(crate) use plain::Constants;
pub use plain::{Target, plain};
pub use sort::reads;
pub use versions::differ;

/// The element type of this number in `TensorProto.DataType`; the error names what has none here.
pub fn element(number: i64) -> Result<burst_host::nouns::Element, String> {
    let number = i32::try_from(number).unwrap_or_default();
    tensor::element(number).map_err(|error| error.to_string())
}

/// The most that a model may ask for. What a file exceeds is refused before it is allocated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of the file.
    pub file_max_bytes: usize,
    /// What decoding may allocate beside the contents of tensors: names, attributes, vertices.
    pub structure_max_bytes: usize,
    /// Contents of all tensors inside the file together.
    pub constants_max_bytes: usize,
    /// Contents of all tensors beside it together; several may share theirs.
    pub external_max_bytes: usize,
    /// Operators in the graph, its subgraphs and its functions, and again once the functions are inlined.
    pub ops_max: usize,
    /// Tensors in the graph, its subgraphs and its functions.
    pub constants_max: usize,
    /// Attributes of one operator.
    pub attributes_max: usize,
    /// Graphs inside attributes of operators of graphs.
    pub subgraph_depth_max: usize,
    /// Functions that call functions.
    pub function_depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_max_bytes: 512 << 20,
            structure_max_bytes: 128 << 20,
            constants_max_bytes: 512 << 20,
            external_max_bytes: 4 << 30,
            ops_max: 20_000,
            constants_max: 20_000,
            attributes_max: 64,
            subgraph_depth_max: 8,
            function_depth_max: 16,
        }
    }
}
