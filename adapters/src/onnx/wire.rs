//! Measures an ONNX file on the wire, without allocating, so that decoding it can't cost more than the limits say.
//!
//! Two bytes of protobuf can ask for a vertex of several hundred bytes; counting after decoding would be too late.

use super::{
    Limits, OnnxError,
    proto::{AttributeProto, FunctionProto, GraphProto, NodeProto, TensorProto},
};
use prost::encoding::{WireType, decode_key, decode_varint};

/// Counts everything in `file`, one message of `kind`; the first limit exceeded is the error.
pub(super) fn measure(kind: Kind, file: &[u8], limits: &Limits) -> Result<(), OnnxError> {
    OnnxError::limit("bytes of the file", file.len(), limits.file_max_bytes)?;
    Census { limits, ops: 0, constants: 0, bytes: 0 }.walk(kind, file, 0)
}

/// The messages that can hold many others.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    Tensor,
}

impl Kind {
    /// The kind of message in this field; `None` for small messages, text and bytes.
    fn child(self, field: u32) -> Option<Self> {
        match (self, field) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Some(Self::Graph),
            (Self::Model, 25) => Some(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::Node, 5) | (Self::Function, 11) => Some(Self::Attribute),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) => Some(Self::Tensor),
            _ => None,
        }
    }

    /// What one message costs in memory, vectors' spare room included.
    fn cost(self) -> usize {
        2 * match self {
            Self::Model => 0,
            Self::Graph => size_of::<GraphProto>(),
            Self::Function => size_of::<FunctionProto>(),
            Self::Node => size_of::<NodeProto>(),
            Self::Attribute => size_of::<AttributeProto>(),
            Self::Tensor => size_of::<TensorProto>(),
        }
    }

    /// What the bytes of a field without a known message cost. Tensors share them with the file.
    fn leaf_cost(self, field: u32, length: usize) -> usize {
        /// A string, a `Bytes`, or a small message.
        const HANDLE: usize = 128;
        match (self, field) {
            // Where a tensor's contents are is text, which is copied.
            (Self::Tensor, 13) => HANDLE.saturating_add(length.saturating_mul(2)),
            (Self::Tensor, _) | (Self::Attribute, 4 | 9) => HANDLE,
            // Packed varints take a byte each on the wire and eight in memory.
            (Self::Attribute, 7 | 8) => HANDLE.saturating_add(length.saturating_mul(16)),
            // Small messages of dimensions: a dimension takes two bytes on the wire.
            (Self::Graph, 11..=13) => HANDLE.saturating_add(length.saturating_mul(32)),
            _ => HANDLE.saturating_add(length),
        }
    }
}

/// What a number costs: more than it takes, which bounds the time too.
const NUMBER: usize = 128;

struct Census<'a> {
    limits: &'a Limits,
    ops: usize,
    constants: usize,
    bytes: usize,
}

impl Census<'_> {
    /// `depth` counts the graphs around `message`.
    fn walk(&mut self, kind: Kind, mut message: &[u8], depth: usize) -> Result<(), OnnxError> {
        let mut attributes = 0;
        while !message.is_empty() {
            let (field, wire) = decode_key(&mut message).map_err(malformed)?;
            let content = take(wire, &mut message)?;
            if wire != WireType::LengthDelimited {
                self.charge(NUMBER)?;
                continue;
            }
            let Some(child) = kind.child(field) else {
                self.charge(kind.leaf_cost(field, content.len()))?;
                continue;
            };
            self.count(child)?;
            attributes += usize::from(matches!(child, Kind::Attribute));
            OnnxError::limit("attributes of one operator", attributes, self.limits.attributes_max)?;
            let depth = depth + usize::from(matches!(child, Kind::Graph));
            // The model's own graph is no subgraph.
            OnnxError::limit("depth of subgraphs", depth.saturating_sub(1), self.limits.subgraph_depth_max)?;
            self.walk(child, content, depth)?;
        }
        Ok(())
    }

    fn count(&mut self, kind: Kind) -> Result<(), OnnxError> {
        match kind {
            Kind::Node | Kind::Function => self.ops += 1,
            Kind::Tensor => self.constants += 1,
            _ => {}
        }
        OnnxError::limit("operators", self.ops, self.limits.ops_max)?;
        OnnxError::limit("tensors", self.constants, self.limits.constants_max)?;
        self.charge(kind.cost())
    }

    fn charge(&mut self, bytes: usize) -> Result<(), OnnxError> {
        self.bytes = self.bytes.saturating_add(bytes);
        OnnxError::limit("bytes of structure", self.bytes, self.limits.structure_max_bytes)
    }
}

/// Cuts the content of one field off.
fn take<'a>(wire: WireType, message: &mut &'a [u8]) -> Result<&'a [u8], OnnxError> {
    let length = match wire {
        WireType::Varint => {
            decode_varint(message).map_err(malformed)?;
            0
        }
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::LengthDelimited => decode_varint(message).map_err(malformed)?,
        WireType::StartGroup | WireType::EndGroup => return Err(OnnxError::Malformed("it has protobuf groups".into())),
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (content, rest) =
        message.split_at_checked(length).ok_or_else(|| OnnxError::Malformed("it is cut off".into()))?;
    *message = rest;
    Ok(content)
}

fn malformed(error: prost::DecodeError) -> OnnxError {
    OnnxError::Malformed(error.to_string())
}
