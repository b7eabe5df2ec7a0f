//! Element types: ours and ONNX Runtime's.

use burst_host::nouns::{Element, Narrow};
use ort::sys::ONNXTensorElementDataType as DataType;

/// Every element type and what ONNX Runtime calls it.
const ELEMENTS: [(Element, DataType); 24] = [
    (Element::Fp16, DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16),
    (Element::Fp32, DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT),
    (Element::Fp64, DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE),
    (Element::Bf16, DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16),
    (Element::U8, DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8),
    (Element::U16, DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16),
    (Element::U32, DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32),
    (Element::U64, DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64),
    (Element::I8, DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8),
    (Element::I16, DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16),
    (Element::I32, DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32),
    (Element::I64, DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64),
    (Element::Bool, DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL),
    (Element::Bytes, DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING),
    (Element::Narrow(Narrow::F8E4M3Fn), DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FN),
    (Element::Narrow(Narrow::F8E4M3FnUz), DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FNUZ),
    (Element::Narrow(Narrow::F8E5M2), DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2),
    (Element::Narrow(Narrow::F8E5M2FnUz), DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2FNUZ),
    (Element::Narrow(Narrow::F8E8M0), DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E8M0),
    (Element::Narrow(Narrow::F4E2M1), DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT4E2M1),
    (Element::Narrow(Narrow::I4), DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT4),
    (Element::Narrow(Narrow::U4), DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT4),
    (Element::Narrow(Narrow::I2), DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT2),
    (Element::Narrow(Narrow::U2), DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT2),
];

/// ONNX Runtime's type of an element.
pub(super) fn data_type(element: Element) -> DataType {
    let found = ELEMENTS.iter().find(|(ours, _)| *ours == element);
    found.map_or(DataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, |(_, theirs)| *theirs)
}

/// The element of ONNX Runtime's type; `None` for complex numbers and what is no number.
pub(super) fn element(data_type: DataType) -> Option<Element> {
    ELEMENTS.iter().find(|(_, theirs)| *theirs == data_type).map(|(ours, _)| *ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_a_type() {
        let elements = Element::ALL.into_iter().chain(Narrow::ALL.map(Element::Narrow));
        for ours in elements {
            assert_eq!(element(data_type(ours)), Some(ours), "{ours}");
        }
    }
}
