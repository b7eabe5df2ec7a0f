//! Host tensors as ONNX Runtime's values, and its values as host tensors. Numbers are not copied.

use super::{
    element::{data_type, element},
    fault,
    runtime::check,
};
use burst_host::nouns::{Element, Fault, Narrow, Spec, Tensor};
use bytes::Bytes;
use ort::{AsPointer, memory::MemoryInfo, sys};
use std::{ffi::c_void, ptr, ptr::NonNull, slice, sync::Arc};

/// A tensor of ONNX Runtime's.
pub(super) struct Value {
    pointer: NonNull<sys::OrtValue>,
    /// What a value that was made here reads from.
    borrowed: Bytes,
}

// SAFETY: a value is not tied to a thread, and nothing changes its contents once it is made.
unsafe impl Send for Value {}
// SAFETY: as above.
unsafe impl Sync for Value {}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: it is released once, here.
        unsafe { (ort::api().ReleaseValue)(self.pointer.as_ptr()) };
    }
}

impl Value {
    /// A value that reads a host tensor where it is. Strings, elements of fewer than 8 bits, and what a client sent to an
    /// odd address are copied.
    pub(super) fn of(tensor: &Tensor, host: &MemoryInfo<'_>) -> Result<Self, Fault> {
        let spec = tensor.spec();
        let contents = tensor.contents().ok_or_else(|| Fault::Invalid("the tensor is on another device".into()))?;
        match spec.element {
            Element::Bytes => Self::of_strings(spec, contents),
            Element::Narrow(narrow) if narrow.bits() < 8 => Self::reading(spec, narrow.packed(contents).into(), host),
            element if contents.as_ptr().addr() % element.size().unwrap_or(1) == 0 => {
                Self::reading(spec, contents.clone(), host)
            }
            _ => Self::reading(spec, aligned(contents), host),
        }
    }

    fn reading(spec: &Spec, contents: Bytes, host: &MemoryInfo<'_>) -> Result<Self, Fault> {
        let (extents, mut value) = (extents(spec), ptr::null_mut());
        // SAFETY: the contents have the length and the alignment of the type, and live as long as the value; ONNX Runtime
        // writes into no input.
        let made = unsafe {
            check((ort::api().CreateTensorWithDataAsOrtValue)(
                host.ptr(),
                contents.as_ptr().cast_mut().cast(),
                contents.len(),
                extents.as_ptr(),
                extents.len(),
                data_type(spec.element),
                &mut value,
            ))
        };
        made.map_err(fault::of_call)?;
        Self::owning(value, contents)
    }

    /// Strings are objects of ONNX Runtime's own.
    fn of_strings(spec: &Spec, contents: &Bytes) -> Result<Self, Fault> {
        let (extents, mut value, mut allocator) = (extents(spec), ptr::null_mut(), ptr::null_mut());
        let api = ort::api();
        // SAFETY: the default allocator is static; the shape lives through the call.
        let made = unsafe {
            check((api.GetAllocatorWithDefaultOptions)(&mut allocator)).and_then(|()| {
                let data_type = data_type(Element::Bytes);
                check((api.CreateTensorAsOrtValue)(allocator, extents.as_ptr(), extents.len(), data_type, &mut value))
            })
        };
        made.map_err(fault::of_call)?;
        let value = Self::owning(value, Bytes::new())?;
        let mut rest = &contents[..];
        for index in 0..spec.shape.elements() {
            let text = next_string(&mut rest)?;
            let mut buffer = ptr::null_mut();
            // SAFETY: the index is below the number of elements, and the buffer has room for as many bytes as are asked for.
            unsafe {
                let pointer = value.pointer.as_ptr();
                check((api.GetResizedStringTensorElementBuffer)(pointer, index, text.len(), &mut buffer))
                    .map_err(fault::of_call)?;
                ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast(), text.len());
            }
        }
        Ok(value)
    }

    /// Takes over a value that ONNX Runtime made.
    pub(super) fn owning(pointer: *mut sys::OrtValue, borrowed: Bytes) -> Result<Self, Fault> {
        let pointer = NonNull::new(pointer).ok_or_else(|| Fault::Unsupported("an output that is absent".into()))?;
        Ok(Self { pointer, borrowed })
    }

    pub(super) fn pointer(&self) -> *const sys::OrtValue {
        self.pointer.as_ptr()
    }

    /// The host tensor; it keeps the value alive, and shares the contents of the input that ONNX Runtime gave back. An
    /// output may be a weight of the session: these stay alive, too.
    pub(super) fn into_tensor(self, inputs: &[Self], weights: &Arc<Vec<Self>>) -> Result<Tensor, Fault> {
        let spec = self.spec()?;
        let contents = match spec.element {
            Element::Bytes => self.strings(spec.shape.elements())?,
            Element::Narrow(narrow) if narrow.bits() < 8 => self.unpacked(narrow, spec.shape.elements())?,
            element => self.numbers(element.size().unwrap_or(1) * spec.shape.elements(), inputs, weights)?,
        };
        Tensor::host(spec, contents).map_err(|error| Fault::Unsupported(error.to_string()))
    }

    fn spec(&self) -> Result<Spec, Fault> {
        let api = ort::api();
        let (mut kind, mut info) = (sys::ONNXType::ONNX_TYPE_UNKNOWN, ptr::null_mut());
        // SAFETY: the value is alive.
        unsafe { check((api.GetValueType)(self.pointer(), &mut kind)) }.map_err(fault::of_call)?;
        if kind != sys::ONNXType::ONNX_TYPE_TENSOR {
            return Err(Fault::Unsupported("an output that is no tensor".into()));
        }
        // SAFETY: the value is a tensor; the type is released below.
        unsafe { check((api.GetTensorTypeAndShape)(self.pointer(), &mut info)) }.map_err(fault::of_call)?;
        let spec = spec_of(info);
        // SAFETY: nothing refers to it any more.
        unsafe { (api.ReleaseTensorTypeAndShapeInfo)(info) };
        spec
    }

    fn data(&self) -> Result<*const u8, Fault> {
        let mut data: *mut c_void = ptr::null_mut();
        // SAFETY: the value is a tensor of numbers.
        unsafe { check((ort::api().GetTensorMutableData)(self.pointer.as_ptr(), &mut data)) }
            .map_err(fault::of_call)?;
        Ok(data.cast_const().cast())
    }

    fn numbers(self, length: usize, inputs: &[Self], weights: &Arc<Vec<Self>>) -> Result<Bytes, Fault> {
        let data = self.data()?;
        if length == 0 {
            return Ok(Bytes::new());
        }
        // An output that is an input has the input's memory, which this value does not keep alive.
        let start = data.addr();
        let input = inputs.iter().map(|input| &input.borrowed).find(|input| {
            let first = input.as_ptr().addr();
            first <= start && start + length <= first + input.len()
        });
        Ok(match input {
            Some(input) => {
                let offset = start - input.as_ptr().addr();
                input.slice(offset..offset + length)
            }
            None => Bytes::from_owner(Contents { value: self, length, _weights: weights.clone() }),
        })
    }

    fn unpacked(&self, narrow: Narrow, count: usize) -> Result<Bytes, Fault> {
        let (data, length) = (self.data()?, count.div_ceil(8 / narrow.bits()));
        if count == 0 {
            return Ok(Bytes::new());
        }
        // SAFETY: ONNX Runtime packs elements of fewer than 8 bits as ONNX does, so that they take this many bytes.
        let packed = unsafe { slice::from_raw_parts(data, length) };
        let elements = narrow.unpacked(packed, count);
        elements.map(Bytes::from).ok_or_else(|| Fault::Unsupported(format!("an output of {narrow}")))
    }

    /// Each with its length before it.
    fn strings(&self, count: usize) -> Result<Bytes, Fault> {
        let (api, mut length) = (ort::api(), 0);
        // SAFETY: the value is a tensor of strings.
        unsafe { check((api.GetStringTensorDataLength)(self.pointer(), &mut length)) }.map_err(fault::of_call)?;
        let (mut text, mut offsets) = (vec![0u8; length], vec![0usize; count]);
        if count > 0 {
            // SAFETY: both buffers have the lengths that are told.
            let copied = unsafe {
                let text = text.as_mut_ptr().cast();
                check((api.GetStringTensorContent)(self.pointer(), text, length, offsets.as_mut_ptr(), count))
            };
            copied.map_err(fault::of_call)?;
        }
        let ends = offsets.iter().skip(1).copied().chain([length]);
        let mut contents = Vec::with_capacity(length + 4 * count);
        for (start, end) in offsets.iter().zip(ends) {
            contents.extend(((end - start) as u32).to_le_bytes());
            contents.extend(&text[*start..end]);
        }
        Ok(contents.into())
    }
}

/// The contents of a value that ONNX Runtime made.
struct Contents {
    value: Value,
    length: usize,
    /// What the value may read from, if ONNX Runtime gave a weight as an output.
    _weights: Arc<Vec<Value>>,
}

impl AsRef<[u8]> for Contents {
    fn as_ref(&self) -> &[u8] {
        let data = self.value.data().ok().filter(|data| !data.is_null());
        // SAFETY: a tensor's data is as long as its type and shape say, and never moves.
        data.map_or(&[], |data| unsafe { slice::from_raw_parts(data, self.length) })
    }
}

/// Element and shape of a tensor's type.
fn spec_of(info: *const sys::OrtTensorTypeAndShapeInfo) -> Result<Spec, Fault> {
    let (api, mut count) = (ort::api(), 0);
    let mut found = sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    // SAFETY: the caller's type is alive; the extents have the length that was told.
    let extents = unsafe {
        check((api.GetTensorElementType)(info, &mut found)).map_err(fault::of_call)?;
        check((api.GetDimensionsCount)(info, &mut count)).map_err(fault::of_call)?;
        let mut extents = vec![0i64; count];
        check((api.GetDimensions)(info, extents.as_mut_ptr(), count)).map_err(fault::of_call)?;
        extents
    };
    let element = element(found).ok_or_else(|| Fault::Unsupported("an output of complex numbers".into()))?;
    let extents: Vec<usize> = extents.iter().map(|&extent| usize::try_from(extent).unwrap_or(usize::MAX)).collect();
    Spec::new(element, extents).map_err(|error| Fault::TooLarge(error.to_string()))
}

fn extents(spec: &Spec) -> Vec<i64> {
    spec.shape.extents().iter().map(|&extent| extent as i64).collect()
}

/// Takes the next string off contents whose lengths were checked when the tensor was made.
fn next_string<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Fault> {
    let cut = || Fault::Invalid("a string is cut off".into());
    let (length, tail) = rest.split_first_chunk().ok_or_else(cut)?;
    let (text, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(cut)?;
    *rest = tail;
    Ok(text)
}

/// A copy at an address that suits every type.
fn aligned(contents: &Bytes) -> Bytes {
    struct Aligned(Vec<u64>, usize);
    impl AsRef<[u8]> for Aligned {
        fn as_ref(&self) -> &[u8] {
            &bytemuck::cast_slice(&self.0)[..self.1]
        }
    }
    let mut words = vec![0u64; contents.len().div_ceil(8)];
    bytemuck::cast_slice_mut(&mut words)[..contents.len()].copy_from_slice(contents);
    Bytes::from_owner(Aligned(words, contents.len()))
}
