//! A graph to ONNX bytes.

use super::{
    OnnxError,
    external::EXTERNAL,
    proto::{
        AttributeProto, AttributeType, Dimension, DimensionValue, FunctionProto, GraphProto, ModelProto, NodeProto,
        OperatorSetIdProto, StringStringEntryProto, TensorProto, TensorShapeProto, TensorType, TypeProto, TypeValue,
        ValueInfoProto,
    },
    tensor,
};
use burst_host::nouns::{Attribute, Extent, Function, Graph, Op, Opset, Port, Tensor};
use prost::{Message, bytes::Bytes};

/// Smaller weights stay in the model: a file of its own would cost each more than it holds.
const APART_MIN_BYTES: usize = 1024;
/// Before this IR version every constant had to be an input too.
const CONSTANTS_ALONE: i64 = 4;

/// Writes a model. Equal graphs give equal bytes; reading them again gives an equal graph.
pub fn encode(graph: &Graph) -> Result<Vec<u8>, OnnxError> {
    Ok(model(graph, graph_proto(graph)?)?.encode_to_vec())
}

/// Writes a model with its larger weights beside it: `keep` takes the name and the contents of each, in the order of the
/// graph, and says where it keeps them, as a path from the model's directory.
pub fn encode_apart<E: From<OnnxError>>(
    graph: &Graph,
    mut keep: impl FnMut(&str, &Bytes) -> Result<String, E>,
) -> Result<Vec<u8>, E> {
    let mut main = graph_proto(graph)?;
    for tensor in &mut main.initializer {
        if let Some(contents) = tensor.raw_data.take_if(|contents| contents.len() >= APART_MIN_BYTES) {
            let entry = |key: &str, value| StringStringEntryProto { key: Some(key.into()), value: Some(value) };
            tensor.external_data = vec![
                entry("location", keep(tensor.name.as_deref().unwrap_or_default(), &contents)?),
                entry("length", contents.len().to_string()),
            ];
            tensor.data_location = Some(EXTERNAL);
        }
    }
    Ok(model(graph, main)?.encode_to_vec())
}

fn model(graph: &Graph, mut main: GraphProto) -> Result<ModelProto, OnnxError> {
    if graph.ir_version < CONSTANTS_ALONE {
        main.input.extend(graph.constants.iter().map(|(name, tensor)| constant_port(name, tensor)));
    }
    Ok(ModelProto {
        ir_version: Some(graph.ir_version),
        producer_name: Some("silent-burst".into()),
        graph: Some(main),
        opset_import: opsets(&graph.opsets),
        functions: graph.functions.iter().map(function).collect::<Result<_, _>>()?,
    })
}

fn graph_proto(graph: &Graph) -> Result<GraphProto, OnnxError> {
    let initializer = graph.constants.iter().map(|(name, tensor)| tensor::encode(name, tensor));
    Ok(GraphProto {
        node: ops(&graph.ops)?,
        // ONNX wants a name that is not empty.
        name: Some(if graph.name.is_empty() { "graph".into() } else { graph.name.clone() }),
        initializer: initializer.collect::<Result<_, _>>()?,
        input: graph.inputs.iter().map(value_info).collect(),
        output: graph.outputs.iter().map(value_info).collect(),
        value_info: graph.values.iter().map(value_info).collect(),
        sparse_initializer: Vec::new(),
    })
}

fn ops(ops: &[Op]) -> Result<Vec<NodeProto>, OnnxError> {
    ops.iter()
        .map(|op| {
            Ok(NodeProto {
                input: op.inputs.clone(),
                output: op.outputs.clone(),
                name: text(&op.name),
                op_type: Some(op.kind.clone()),
                attribute: attributes(&op.attributes)?,
                domain: text(&op.domain),
                overload: None,
            })
        })
        .collect()
}

fn attributes(attributes: &[(String, Attribute)]) -> Result<Vec<AttributeProto>, OnnxError> {
    attributes.iter().map(|(name, value)| attribute(name, value)).collect()
}

fn attribute(name: &str, value: &Attribute) -> Result<AttributeProto, OnnxError> {
    let mut proto = AttributeProto { name: Some(name.into()), ..AttributeProto::default() };
    let kind = match value {
        Attribute::Int(int) => {
            proto.i = Some(*int);
            AttributeType::Int
        }
        Attribute::Float(float) => {
            proto.f = Some(*float);
            AttributeType::Float
        }
        Attribute::Text(text) => {
            proto.s = Some(text.clone().into());
            AttributeType::String
        }
        Attribute::Tensor(tensor) => {
            proto.t = Some(Box::new(nameless(tensor)?));
            AttributeType::Tensor
        }
        Attribute::Graph(graph) => {
            proto.g = Some(Box::new(graph_proto(graph)?));
            AttributeType::Graph
        }
        Attribute::Ints(ints) => {
            proto.ints.clone_from(ints);
            AttributeType::Ints
        }
        Attribute::Floats(floats) => {
            proto.floats.clone_from(floats);
            AttributeType::Floats
        }
        Attribute::Texts(texts) => {
            proto.strings = texts.iter().map(|text| text.clone().into()).collect();
            AttributeType::Strings
        }
        Attribute::Tensors(tensors) => {
            proto.tensors = tensors.iter().map(nameless).collect::<Result<_, _>>()?;
            AttributeType::Tensors
        }
        Attribute::Graphs(graphs) => {
            proto.graphs = graphs.iter().map(graph_proto).collect::<Result<_, _>>()?;
            AttributeType::Graphs
        }
        Attribute::Reference { name, kind } => {
            proto.ref_attr_name = Some(name.clone());
            proto.r#type = Some(*kind);
            return Ok(proto);
        }
    };
    proto.r#type = Some(kind as i32);
    Ok(proto)
}

fn nameless(tensor: &Tensor) -> Result<TensorProto, OnnxError> {
    Ok(TensorProto { name: None, ..tensor::encode("attribute", tensor)? })
}

fn function(function: &Function) -> Result<FunctionProto, OnnxError> {
    Ok(FunctionProto {
        name: Some(function.name.clone()),
        input: function.inputs.clone(),
        output: function.outputs.clone(),
        attribute: function.attributes.clone(),
        node: ops(&function.ops)?,
        opset_import: opsets(&function.opsets),
        domain: text(&function.domain),
        attribute_proto: attributes(&function.defaults)?,
        overload: None,
    })
}

fn opsets(opsets: &[Opset]) -> Vec<OperatorSetIdProto> {
    let opset = |opset: &Opset| OperatorSetIdProto { domain: Some(opset.domain.clone()), version: Some(opset.version) };
    opsets.iter().map(opset).collect()
}

fn value_info(port: &Port) -> ValueInfoProto {
    let tensor = TensorType {
        elem_type: Some(port.element.map_or(0, tensor::data_type)),
        shape: port.shape.as_ref().map(|shape| TensorShapeProto { dim: shape.iter().map(dimension).collect() }),
    };
    let known = port.element.is_some() || port.shape.is_some();
    let value = TypeProto { value: Some(TypeValue::Tensor(tensor)) };
    ValueInfoProto { name: Some(port.name.clone()), r#type: known.then_some(value) }
}

fn dimension(extent: &Extent) -> Dimension {
    Dimension {
        value: match extent {
            Extent::Fixed(extent) => Some(DimensionValue::Value(*extent as i64)),
            Extent::Named(name) => Some(DimensionValue::Param(name.clone())),
            Extent::Any => None,
        },
    }
}

fn constant_port(name: &str, tensor: &Tensor) -> ValueInfoProto {
    value_info(&Port::exactly(name, tensor.spec()))
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.into())
}
