//! Our tensors to tract's and back.

use burst_host::nouns::{Element, Fault, Spec, Tensor};
use bytes::Bytes;
use std::sync::Arc;
use tract_onnx::prelude::{DatumType, IntoArcTensor, TValue, Tensor as TractTensor};

/// tract's type; `None` where it has none.
pub(super) fn datum(element: Element) -> Option<DatumType> {
    Some(match element {
        Element::Fp16 => DatumType::F16,
        Element::Fp32 => DatumType::F32,
        Element::Fp64 => DatumType::F64,
        Element::U8 => DatumType::U8,
        Element::U16 => DatumType::U16,
        Element::U32 => DatumType::U32,
        Element::U64 => DatumType::U64,
        Element::I8 => DatumType::I8,
        Element::I16 => DatumType::I16,
        Element::I32 => DatumType::I32,
        Element::I64 => DatumType::I64,
        Element::Bool => DatumType::Bool,
        Element::Bf16 | Element::Bytes | Element::Narrow(_) => return None,
    })
}

/// What leaves tract as `datum`. Its symbolic extents are ONNX's INT64.
pub(super) fn element(datum: DatumType) -> Option<Element> {
    if datum == DatumType::String {
        return Some(Element::Bytes);
    }
    let plain = if datum == DatumType::TDim { DatumType::I64 } else { datum.unquantized() };
    Element::ALL.into_iter().find(|&element| self::datum(element) == Some(plain))
}

/// The type, or the fault that says there is none.
pub(super) fn supported(element: Element) -> Result<DatumType, Fault> {
    datum(element).ok_or_else(|| Fault::Unsupported(format!("element type {element} on the CPU")))
}

/// Copies a host tensor in.
pub(super) fn to_tract(tensor: &Tensor) -> Result<TValue, Fault> {
    copied(tensor).map(TValue::from)
}

/// The same as a tensor of tract, which wants it aligned.
pub(super) fn copied(tensor: &Tensor) -> Result<TractTensor, Fault> {
    let contents = tensor.contents().ok_or_else(|| Fault::Invalid("the tensor is on another device".into()))?;
    let datum = supported(tensor.spec().element)?;
    // SAFETY: every bit pattern of these types is a value, except BOOL's, which `Tensor::host` holds to 0 and 1;
    // the length is checked inside.
    let copied = unsafe { TractTensor::from_raw_dt(datum, tensor.spec().shape.extents(), contents) };
    copied.map_err(|error| Fault::Invalid(error.to_string()))
}

/// Hands a result out without a copy: the bytes keep tract's tensor alive.
pub(super) fn from_tract(value: TValue) -> Result<Tensor, Fault> {
    let element = element(value.datum_type())
        .ok_or_else(|| Fault::Unsupported(format!("an output of type {:?} on the CPU", value.datum_type())))?;
    let value = match value.datum_type() {
        DatumType::TDim => {
            let cast = value.cast_to::<i64>().map_err(|error| Fault::Unsupported(error.to_string()))?;
            cast.into_owned().into_arc_tensor()
        }
        _ => value.into_arc_tensor(),
    };
    let spec = Spec::new(element, value.shape()).map_err(|error| Fault::TooLarge(error.to_string()))?;
    if element == Element::Bytes {
        return texts(spec, &value);
    }
    Tensor::host(spec, Bytes::from_owner(Owner(value))).map_err(|error| Fault::Unsupported(error.to_string()))
}

/// Labels of classes, which are texts.
fn texts(spec: Spec, value: &TractTensor) -> Result<Tensor, Fault> {
    let unsupported = |error: String| Fault::Unsupported(error);
    let plain = value.try_as_plain_ram().map_err(|error| unsupported(error.to_string()))?;
    let texts = plain.as_slice::<String>().map_err(|error| unsupported(error.to_string()))?;
    let mut contents = Vec::new();
    for text in texts {
        let length = u32::try_from(text.len()).map_err(|error| Fault::TooLarge(error.to_string()))?;
        contents.extend_from_slice(&length.to_le_bytes());
        contents.extend_from_slice(text.as_bytes());
    }
    Tensor::host(spec, contents).map_err(|error| unsupported(error.to_string()))
}

struct Owner(Arc<TractTensor>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
