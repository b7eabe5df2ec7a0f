//! Tensors of the file to host tensors and back, in every storage form that ONNX has.

use super::{
    Limits, OnnxError, external,
    proto::{DataType, TensorProto},
};
use burst_host::{
    nouns::{Element, Narrow, Spec, Tensor},
    ports::Blobs,
};
use prost::{bytes::Bytes, encoding::decode_varint};

/// What the contents of all tensors may still take, and where those that are not in the file are.
pub(super) struct Budget<'a> {
    inside_bytes: usize,
    beside_bytes: usize,
    limits: &'a Limits,
    blobs: &'a Blobs,
}

impl<'a> Budget<'a> {
    pub(super) fn new(limits: &'a Limits, blobs: &'a Blobs) -> Self {
        Self { inside_bytes: 0, beside_bytes: 0, limits, blobs }
    }

    fn charge(&mut self, bytes: usize) -> Result<(), OnnxError> {
        self.inside_bytes = self.inside_bytes.saturating_add(bytes);
        OnnxError::limit("bytes of constants", self.inside_bytes, self.limits.constants_max_bytes)
    }

    fn charge_beside(&mut self, bytes: usize) -> Result<(), OnnxError> {
        self.beside_bytes = self.beside_bytes.saturating_add(bytes);
        OnnxError::limit("bytes of constants beside the file", self.beside_bytes, self.limits.external_max_bytes)
    }
}

/// The element type with ONNX's number `kind`.
pub(super) fn element(kind: i32) -> Result<Element, OnnxError> {
    let kind = DataType::try_from(kind).map_err(|_| OnnxError::Unsupported(format!("element type {kind}")))?;
    ELEMENTS
        .iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, element)| *element)
        .ok_or_else(|| OnnxError::Unsupported(format!("element type {}", format!("{kind:?}").to_uppercase())))
}

/// ONNX's number of `element`.
pub(super) fn data_type(element: Element) -> i32 {
    let kind = ELEMENTS.iter().find(|(_, known)| *known == element).map(|(kind, _)| *kind);
    kind.unwrap_or(DataType::Undefined) as i32
}

const ELEMENTS: [(DataType, Element); 24] = [
    (DataType::Float, Element::Fp32),
    (DataType::Uint8, Element::U8),
    (DataType::Int8, Element::I8),
    (DataType::Uint16, Element::U16),
    (DataType::Int16, Element::I16),
    (DataType::Int32, Element::I32),
    (DataType::Int64, Element::I64),
    (DataType::String, Element::Bytes),
    (DataType::Bool, Element::Bool),
    (DataType::Float16, Element::Fp16),
    (DataType::Double, Element::Fp64),
    (DataType::Uint32, Element::U32),
    (DataType::Uint64, Element::U64),
    (DataType::Bfloat16, Element::Bf16),
    (DataType::Float8e4m3fn, Element::Narrow(Narrow::F8E4M3Fn)),
    (DataType::Float8e4m3fnuz, Element::Narrow(Narrow::F8E4M3FnUz)),
    (DataType::Float8e5m2, Element::Narrow(Narrow::F8E5M2)),
    (DataType::Float8e5m2fnuz, Element::Narrow(Narrow::F8E5M2FnUz)),
    (DataType::Float8e8m0, Element::Narrow(Narrow::F8E8M0)),
    (DataType::Float4e2m1, Element::Narrow(Narrow::F4E2M1)),
    (DataType::Int4, Element::Narrow(Narrow::I4)),
    (DataType::Uint4, Element::Narrow(Narrow::U4)),
    (DataType::Int2, Element::Narrow(Narrow::I2)),
    (DataType::Uint2, Element::Narrow(Narrow::U2)),
];

/// Reads one tensor; nothing is allocated for contents of another length than its type and extents need.
pub(super) fn decode(proto: TensorProto, budget: &mut Budget<'_>) -> Result<(String, Tensor), OnnxError> {
    let name = proto.name.clone().unwrap_or_default();
    if proto.segment.is_some() {
        return Err(OnnxError::Unsupported(format!("tensor `{name}` in segments")));
    }
    let spec = spec(&name, &proto)?;
    let contents = match external::contents(&proto, budget.blobs)? {
        Some(_) if spec.element == Element::Bytes => {
            return Err(OnnxError::Unsupported(format!("tensor `{name}` of strings in another file")));
        }
        Some(beside) => {
            budget.charge_beside(beside.len())?;
            opened(&name, &spec, beside)?
        }
        None => contents(&name, &spec, proto, budget)?,
    };
    let tensor = Tensor::host(spec, contents).map_err(|error| OnnxError::shape(&name, error))?;
    Ok((name, tensor))
}

fn spec(name: &str, proto: &TensorProto) -> Result<Spec, OnnxError> {
    let element = element(proto.data_type.unwrap_or(0))?;
    let extents: Vec<usize> =
        proto.dims.iter().map(|&extent| usize::try_from(extent)).collect::<Result<_, _>>().map_err(|_| {
            OnnxError::Tensor { tensor: name.into(), reason: "an extent is negative or beyond this machine".into() }
        })?;
    Spec::new(element, extents).map_err(|error| OnnxError::shape(name, error))
}

fn contents(name: &str, spec: &Spec, proto: TensorProto, budget: &mut Budget<'_>) -> Result<Bytes, OnnxError> {
    let wrong = |reason: String| OnnxError::Tensor { tensor: name.into(), reason };
    let Some(bytes) = spec.bytes() else {
        return strings(spec.shape.elements(), &proto.string_data, budget).map_err(|error| match error {
            Length::Wrong => wrong(format!("{} strings for {}", proto.string_data.len(), spec.shape)),
            Length::Limit(error) => error,
        });
    };
    budget.charge(bytes)?;
    if let Some(raw) = proto.raw_data.filter(|raw| !raw.is_empty()) {
        return opened(name, spec, raw);
    }
    let (source, width) = match spec.element {
        Element::Fp32 => (proto.float_data, None),
        Element::Fp64 => (proto.double_data, None),
        Element::I64 => (proto.int64_data, Some(Width::Signed(8))),
        Element::U64 => (proto.uint64_data, Some(Width::Unsigned(8))),
        Element::U32 => (proto.uint64_data, Some(Width::Unsigned(4))),
        Element::I32 => (proto.int32_data, Some(Width::Signed(4))),
        Element::I16 => (proto.int32_data, Some(Width::Signed(2))),
        Element::I8 => (proto.int32_data, Some(Width::Signed(1))),
        Element::U8 | Element::Bool => (proto.int32_data, Some(Width::Unsigned(1))),
        Element::U16 | Element::Fp16 | Element::Bf16 => (proto.int32_data, Some(Width::Unsigned(2))),
        Element::Narrow(narrow) => {
            let bytes = (spec.shape.elements() * narrow.bits()).div_ceil(8);
            let packed = self::narrow(&proto.int32_data.unwrap_or_default(), bytes, Width::Unsigned(1));
            return opened(name, spec, packed.unwrap_or_default());
        }
        Element::Bytes => (None, None),
    };
    let source = source.unwrap_or_default();
    match width {
        None => Ok(source),
        Some(width) => narrow(&source, spec.shape.elements(), width)
            .ok_or_else(|| wrong(format!("its numbers are not {} of {}", spec.shape.elements(), spec.element))),
    }
}

/// Contents as a file has them, those that it packs in a byte each.
fn opened(name: &str, spec: &Spec, contents: Bytes) -> Result<Bytes, OnnxError> {
    let Element::Narrow(narrow) = spec.element else { return Ok(contents) };
    let count = spec.shape.elements();
    narrow.unpacked(&contents, count).map(Bytes::from).ok_or_else(|| OnnxError::Tensor {
        tensor: name.into(),
        reason: format!("its bytes are not {count} of {narrow}"),
    })
}

/// How a varint is kept, in bytes.
#[derive(Clone, Copy)]
enum Width {
    Signed(usize),
    Unsigned(usize),
}

/// Packed varints to little-endian numbers; `None` unless there are exactly `count` that fit.
fn narrow(mut packed: &[u8], count: usize, width: Width) -> Option<Bytes> {
    // A varint takes at least a byte: too few are found out before the allocation.
    if packed.len() < count {
        return None;
    }
    let size = match width {
        Width::Signed(size) | Width::Unsigned(size) => size,
    };
    let mut numbers = Vec::with_capacity(count.checked_mul(size)?);
    for _ in 0..count {
        let number = decode_varint(&mut packed).ok()?;
        let bits = 8 * size as u32;
        let fits = match width {
            Width::Unsigned(_) => bits == 64 || number >> bits == 0,
            Width::Signed(_) => bits == 64 || ((number as i64) << (64 - bits)) >> (64 - bits) == number as i64,
        };
        if !fits {
            return None;
        }
        numbers.extend_from_slice(number.to_le_bytes().get(..size)?);
    }
    packed.is_empty().then(|| numbers.into())
}

enum Length {
    Wrong,
    Limit(OnnxError),
}

/// Each string behind its length, as [`Element::Bytes`] keeps them.
fn strings(count: usize, strings: &[Bytes], budget: &mut Budget<'_>) -> Result<Bytes, Length> {
    if strings.len() != count {
        return Err(Length::Wrong);
    }
    let total = strings.iter().fold(0usize, |sum, string| sum.saturating_add(string.len()).saturating_add(4));
    budget.charge(total).map_err(Length::Limit)?;
    let mut contents = Vec::with_capacity(total);
    for string in strings {
        let length = u32::try_from(string.len()).map_err(|_| Length::Wrong)?;
        contents.extend_from_slice(&length.to_le_bytes());
        contents.extend_from_slice(string);
    }
    Ok(contents.into())
}

/// Writes one tensor: `raw_data`, or `string_data` for byte strings. Shares the contents.
pub(super) fn encode(name: &str, tensor: &Tensor) -> Result<TensorProto, OnnxError> {
    let contents = tensor.contents().ok_or_else(|| OnnxError::OnDevice(name.into()))?;
    let spec = tensor.spec();
    let mut proto = TensorProto {
        name: Some(name.into()),
        dims: spec.shape.extents().iter().map(|&extent| extent as i64).collect(),
        data_type: Some(data_type(spec.element)),
        ..TensorProto::default()
    };
    match spec.element {
        Element::Bytes => proto.string_data = split(contents),
        Element::Narrow(narrow) => proto.raw_data = Some(narrow.packed(contents).into()),
        _ => proto.raw_data = Some(contents.clone()),
    }
    Ok(proto)
}

fn split(contents: &Bytes) -> Vec<Bytes> {
    let mut strings = Vec::new();
    let mut start = 0;
    while let Some(length) = contents.get(start..).and_then(<[u8]>::first_chunk::<4>) {
        let end = start + 4 + u32::from_le_bytes(*length) as usize;
        // Holds by `Tensor::host`, which checked every length.
        if end > contents.len() {
            break;
        }
        strings.push(contents.slice(start + 4..end));
        start = end;
    }
    strings
}
