//! Tensors from numbers and back.

use crate::{Element, Fault, Spec, Tensor};
use bytemuck::{AnyBitPattern, NoUninit};

// Guests and tensors are both little-endian.
const _: () = assert!(cfg!(target_endian = "little"));

macro_rules! conversions {
    ($($number:ident = $element:ident, $from:ident, $to:ident, $name:literal;)*) => {
        impl Tensor {$(
            #[doc = concat!("Uploads an ", $name, " tensor: row-major, extents outermost first.")]
            ///
            /// Fails with `invalid` when the number of values is not that of the shape, with `too-large` over
            /// `tensor_max_bytes`.
            pub fn $from(values: &[$number], shape: impl Into<Vec<u32>>) -> Result<Self, Fault> {
                pack(Element::$element, values, shape.into())
            }

            #[doc = concat!("Downloads the values of an ", $name, " tensor, row-major.")]
            ///
            /// Waits for the device that computes them. Fails with `invalid` for another element type.
            pub fn $to(&self) -> Result<Vec<$number>, Fault> {
                unpack(self, Element::$element)
            }
        )*}
    };
}

conversions! {
    f32 = Fp32, from_f32, to_f32, "FP32";
    f64 = Fp64, from_f64, to_f64, "FP64";
    i32 = I32, from_i32, to_i32, "INT32";
    i64 = I64, from_i64, to_i64, "INT64";
    u8 = U8, from_u8, to_u8, "UINT8";
}

impl Tensor {
    /// Extents, outermost first.
    pub fn shape(&self) -> Vec<u32> {
        self.spec().shape
    }

    /// The type of one element.
    pub fn element(&self) -> Element {
        self.spec().element
    }
}

fn pack<T: NoUninit>(element: Element, values: &[T], shape: Vec<u32>) -> Result<Tensor, Fault> {
    Tensor::upload(&Spec { element, shape }, bytemuck::cast_slice(values))
}

fn unpack<T: NoUninit + AnyBitPattern>(tensor: &Tensor, expected: Element) -> Result<Vec<T>, Fault> {
    let found = tensor.element();
    if found != expected {
        return Err(Fault::Invalid(format!("{} is needed, {} was given", name(expected), name(found))));
    }
    Ok(bytemuck::allocation::pod_collect_to_vec(&tensor.download()?))
}

/// The spelling of the Open Inference Protocol.
fn name(element: Element) -> &'static str {
    match element {
        Element::Fp16 => "FP16",
        Element::Fp32 => "FP32",
        Element::Fp64 => "FP64",
        Element::Bf16 => "BF16",
        Element::U8 => "UINT8",
        Element::U16 => "UINT16",
        Element::U32 => "UINT32",
        Element::U64 => "UINT64",
        Element::I8 => "INT8",
        Element::I16 => "INT16",
        Element::I32 => "INT32",
        Element::I64 => "INT64",
        Element::Bool => "BOOL",
        Element::Bytes => "BYTES",
    }
}
