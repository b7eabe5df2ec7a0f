//! Typed, shaped blocks of numbers, in host memory or on a device.

use super::{Fault, Narrow};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{any::Any, fmt, sync::Arc};

/// The type of one element. Multi-byte elements are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Element {
    Fp16,
    Fp32,
    Fp64,
    Bf16,
    #[serde(rename = "UINT8")]
    U8,
    #[serde(rename = "UINT16")]
    U16,
    #[serde(rename = "UINT32")]
    U32,
    #[serde(rename = "UINT64")]
    U64,
    #[serde(rename = "INT8")]
    I8,
    #[serde(rename = "INT16")]
    I16,
    #[serde(rename = "INT32")]
    I32,
    #[serde(rename = "INT64")]
    I64,
    Bool,
    /// Byte strings, each a u32 length and then that many bytes.
    Bytes,
    /// Inside of models alone: guests, clients and manifests have no name for it.
    #[serde(skip)]
    Narrow(Narrow),
}

impl Element {
    /// Every element type that guests and clients name, in the order of the WIT enum.
    pub const ALL: [Self; 14] = [
        Self::Fp16,
        Self::Fp32,
        Self::Fp64,
        Self::Bf16,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::Bool,
        Self::Bytes,
    ];

    /// Size of one element in bytes; `None` for byte strings.
    pub const fn size(self) -> Option<usize> {
        Some(match self {
            Self::U8 | Self::I8 | Self::Bool | Self::Narrow(_) => 1,
            Self::Fp16 | Self::Bf16 | Self::U16 | Self::I16 => 2,
            Self::Fp32 | Self::U32 | Self::I32 => 4,
            Self::Fp64 | Self::U64 | Self::I64 => 8,
            Self::Bytes => return None,
        })
    }

    /// The spelling of the Open Inference Protocol: `FP32`, `INT64`, …; that of ONNX where the protocol has none.
    pub const fn oip(self) -> &'static str {
        match self {
            Self::Fp16 => "FP16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bf16 => "BF16",
            Self::U8 => "UINT8",
            Self::U16 => "UINT16",
            Self::U32 => "UINT32",
            Self::U64 => "UINT64",
            Self::I8 => "INT8",
            Self::I16 => "INT16",
            Self::I32 => "INT32",
            Self::I64 => "INT64",
            Self::Bool => "BOOL",
            Self::Bytes => "BYTES",
            Self::Narrow(narrow) => narrow.name(),
        }
    }

    /// `Unsupported` for what only models know.
    pub fn held_by_guests(self) -> Result<(), Fault> {
        match self {
            Self::Narrow(narrow) => {
                Err(Fault::Unsupported(format!("a tensor of {narrow}, an element that stays in models")))
            }
            _ => Ok(()),
        }
    }

    /// The element that the Open Inference Protocol calls `name`.
    pub fn from_oip(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|element| element.oip() == name)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.oip())
    }
}

/// Why a shape or its contents were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    #[error("{0} axes, at most {max} are allowed", max = Shape::RANK_MAX)]
    Rank(usize),
    #[error("more than {max} elements", max = Shape::ELEMENTS_MAX)]
    Elements,
    #[error("{expected} bytes are needed for this type and shape, {found} were given")]
    Length { expected: usize, found: usize },
    #[error("byte strings: {0}")]
    Strings(&'static str),
    #[error("a BOOL element is neither 0 nor 1")]
    Bool,
    #[error("an element is no {0}")]
    Narrow(Narrow),
}

/// Extents, outermost first. Holds at most [`Shape::RANK_MAX`] axes and [`Shape::ELEMENTS_MAX`] elements, so that no
/// size computed from it overflows.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// The most axes.
    pub const RANK_MAX: usize = 8;
    /// The most elements: 2^28, 1 GiB of FP32.
    pub const ELEMENTS_MAX: usize = 1 << 28;

    /// Checks the limits.
    pub fn new(extents: impl Into<Vec<usize>>) -> Result<Self, ShapeError> {
        let extents = extents.into();
        if extents.len() > Self::RANK_MAX {
            return Err(ShapeError::Rank(extents.len()));
        }
        // Zero extents do not excuse the others: a later reshape may drop the zero.
        extents
            .iter()
            .filter(|&&extent| extent != 0)
            .try_fold(1usize, |product, &extent| product.checked_mul(extent))
            .filter(|&product| product <= Self::ELEMENTS_MAX)
            .ok_or(ShapeError::Elements)?;
        Ok(Self(extents))
    }

    /// Extents, outermost first.
    pub fn extents(&self) -> &[usize] {
        &self.0
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.0.iter().product()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a tensor is, without its contents.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    pub element: Element,
    pub shape: Shape,
}

impl Spec {
    /// Checks the limits of [`Shape`].
    pub fn new(element: Element, extents: impl Into<Vec<usize>>) -> Result<Self, ShapeError> {
        Ok(Self { element, shape: Shape::new(extents)? })
    }

    /// Length of the contents in bytes; `None` for byte strings.
    pub fn bytes(&self) -> Option<usize> {
        // Cannot overflow: at most 2^28 elements of 8 bytes.
        self.element.size().map(|size| size * self.shape.elements())
    }

    fn check(&self, contents: &[u8]) -> Result<(), ShapeError> {
        match self.bytes() {
            Some(expected) if expected != contents.len() => Err(ShapeError::Length { expected, found: contents.len() }),
            Some(_) => check_bytes(self.element, contents),
            None => check_strings(self.shape.elements(), contents),
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.element, self.shape)
    }
}

fn check_bytes(element: Element, contents: &[u8]) -> Result<(), ShapeError> {
    match element {
        Element::Bool if contents.iter().any(|&byte| byte > 1) => Err(ShapeError::Bool),
        Element::Narrow(narrow) if !contents.iter().all(|&byte| narrow.holds(byte)) => Err(ShapeError::Narrow(narrow)),
        _ => Ok(()),
    }
}

fn check_strings(count: usize, mut contents: &[u8]) -> Result<(), ShapeError> {
    for _ in 0..count {
        let (length, rest) = contents.split_first_chunk().ok_or(ShapeError::Strings("a length is cut off"))?;
        let length = u32::from_le_bytes(*length) as usize;
        contents = rest.get(length..).ok_or(ShapeError::Strings("a string is cut off"))?;
    }
    if contents.is_empty() { Ok(()) } else { Err(ShapeError::Strings("bytes are left over")) }
}

/// Contents that live on a device; its accelerator knows the type behind it.
pub trait Resident: Any + Send + Sync {}

/// An immutable tensor. Cloning shares the contents.
#[derive(Clone)]
pub struct Tensor {
    spec: Spec,
    storage: Storage,
}

#[derive(Clone)]
enum Storage {
    Host(Bytes),
    Device(Arc<dyn Resident>),
}

impl Tensor {
    /// A tensor in host memory: row-major, no padding. Checks that the contents fit the spec.
    pub fn host(spec: Spec, contents: impl Into<Bytes>) -> Result<Self, ShapeError> {
        let contents = contents.into();
        spec.check(&contents)?;
        Ok(Self { spec, storage: Storage::Host(contents) })
    }

    /// A host tensor of plain numbers.
    pub fn from_slice<T: bytemuck::NoUninit>(
        element: Element,
        extents: impl Into<Vec<usize>>,
        values: &[T],
    ) -> Result<Self, ShapeError> {
        let contents = Bytes::copy_from_slice(bytemuck::cast_slice(values));
        Self::host(Spec::new(element, extents)?, contents)
    }

    /// A tensor on a device.
    pub fn device(spec: Spec, resident: Arc<dyn Resident>) -> Self {
        Self { spec, storage: Storage::Device(resident) }
    }

    /// Element type and shape.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The contents, when they are in host memory. Not aligned.
    pub fn contents(&self) -> Option<&Bytes> {
        match &self.storage {
            Storage::Host(contents) => Some(contents),
            Storage::Device(_) => None,
        }
    }

    /// What holds the contents, when they are on a device.
    pub fn resident(&self) -> Option<&Arc<dyn Resident>> {
        match &self.storage {
            Storage::Host(_) => None,
            Storage::Device(resident) => Some(resident),
        }
    }

    /// Copies plain numbers out of host memory. `None` when on a device or when `T` does not divide the contents.
    pub fn to_vec<T: bytemuck::AnyBitPattern>(&self) -> Option<Vec<T>> {
        let contents = self.contents()?;
        let size = size_of::<T>();
        (size != 0 && contents.len() % size == 0)
            .then(|| contents.chunks_exact(size).map(bytemuck::pod_read_unaligned).collect())
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({})", self.spec)
    }
}
