//! ONNX bytes to a graph.

use super::{
    Limits, OnnxError, check,
    proto::{
        AttributeProto, AttributeType, DataType, DimensionValue, FunctionProto, GraphProto, ModelProto, NodeProto,
        OperatorSetIdProto, TensorProto, TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
    },
    sort::sort,
    tensor::{self, Budget},
    wire,
};
use burst_host::{
    nouns::{Attribute, Extent, Function, Graph, Op, Opset, Port, Shape, Tensor},
    ports::Blobs,
};
use prost::{Message, bytes::Bytes};
use std::collections::HashSet;

/// The newest IR and the newest operator set that are known here: those of ONNX 1.23.
const IR_MAX: i64 = 14;
const OPSET_MAX: i64 = 28;

/// Reads a model that is one file. Weights in `raw_data` share it, so it stays in memory as long as they do.
pub fn decode(file: &Bytes, limits: &Limits) -> Result<Graph, OnnxError> {
    decode_with(file, &Blobs::new(), limits)
}

/// Reads a model whose weights may be in files beside it; they share those.
pub fn decode_with(file: &Bytes, blobs: &Blobs, limits: &Limits) -> Result<Graph, OnnxError> {
    wire::measure(wire::Kind::Model, file, limits)?;
    let model = ModelProto::decode(file.clone()).map_err(|error| OnnxError::Malformed(error.to_string()))?;
    let mut graph = Reader { budget: Budget::new(limits, blobs) }.model(model)?;
    sort(&mut graph.ops);
    graph.functions.iter_mut().for_each(|function| sort(&mut function.ops));
    check::model(&graph, limits)?;
    Ok(graph)
}

/// Fails for versions that may mean something else than what is known here.
fn versions(graph: &Graph) -> Result<(), OnnxError> {
    if graph.ir_version > IR_MAX {
        return Err(OnnxError::Unsupported(format!("version {} of ONNX's IR, beyond {IR_MAX},", graph.ir_version)));
    }
    let sets = graph.opsets.iter().chain(graph.functions.iter().flat_map(|function| &function.opsets));
    match sets.into_iter().find(|opset| opset.domain.is_empty() && opset.version > OPSET_MAX) {
        Some(opset) => Err(OnnxError::Unsupported(format!("operator set {}, beyond {OPSET_MAX},", opset.version))),
        None => Ok(()),
    }
}

/// A map of class and probability is no tensor: what `ZipMap` made it of is given under its name.
fn unzip(graph: &mut GraphProto) {
    for node in &mut graph.node {
        if node.domain.as_deref() != Some("ai.onnx.ml") || node.op_type.as_deref() != Some("ZipMap") {
            continue;
        }
        let output = node.output.first().cloned();
        for port in graph.output.iter_mut().filter(|port| port.name == output) {
            let tensor = TensorType { elem_type: Some(DataType::Float as i32), shape: None };
            port.r#type = Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) });
        }
        node.attribute.clear();
        (node.domain, node.op_type) = (None, Some("Identity".into()));
    }
}

/// Reads a tensor that is a file of its own, a `TensorProto`. Its `raw_data` shares `file`.
pub fn decode_tensor(file: &Bytes, limits: &Limits) -> Result<Tensor, OnnxError> {
    wire::measure(wire::Kind::Tensor, file, limits)?;
    let proto = TensorProto::decode(file.clone()).map_err(|error| OnnxError::Malformed(error.to_string()))?;
    tensor::decode(proto, &mut Budget::new(limits, &Blobs::new())).map(|(_, tensor)| tensor)
}

struct Reader<'a> {
    budget: Budget<'a>,
}

impl Reader<'_> {
    fn model(&mut self, model: ModelProto) -> Result<Graph, OnnxError> {
        let mut graph = model.graph.ok_or_else(|| OnnxError::Malformed("it holds no graph".into()))?;
        unzip(&mut graph);
        let ir_version = model.ir_version.filter(|&version| version > 0);
        let functions =
            model.functions.into_iter().map(|function| self.function(function)).collect::<Result<_, _>>()?;
        let graph = Graph {
            ir_version: ir_version.ok_or_else(|| OnnxError::Malformed("it has no IR version".into()))?,
            opsets: opsets(model.opset_import),
            functions,
            ..self.graph(graph)?
        };
        versions(&graph)?;
        Ok(graph)
    }

    fn graph(&mut self, graph: GraphProto) -> Result<Graph, OnnxError> {
        if !graph.sparse_initializer.is_empty() {
            return Err(OnnxError::Unsupported("a sparse initializer".into()));
        }
        let constants = self.tensors(graph.initializer)?;
        let named: HashSet<&str> = constants.iter().map(|(name, _)| name.as_str()).collect();
        let mut inputs = ports(graph.input)?;
        // Before IR 4 a default was listed among the inputs too.
        inputs.retain(|input| !named.contains(input.name.as_str()));
        Ok(Graph {
            name: graph.name.unwrap_or_default(),
            inputs,
            outputs: ports(graph.output)?,
            ops: self.ops(graph.node)?,
            values: graph
                .value_info
                .into_iter()
                .filter_map(|value| known(value).transpose())
                .collect::<Result<_, _>>()?,
            constants,
            ..Graph::default()
        })
    }

    fn tensors(&mut self, tensors: Vec<TensorProto>) -> Result<Vec<(String, Tensor)>, OnnxError> {
        tensors.into_iter().map(|tensor| tensor::decode(tensor, &mut self.budget)).collect()
    }

    fn ops(&mut self, nodes: Vec<NodeProto>) -> Result<Vec<Op>, OnnxError> {
        nodes.into_iter().map(|node| self.op(node)).collect()
    }

    fn op(&mut self, node: NodeProto) -> Result<Op, OnnxError> {
        let kind = node.op_type.unwrap_or_default();
        if node.overload.is_some_and(|overload| !overload.is_empty()) {
            return Err(OnnxError::Unsupported(format!("an overload of `{kind}`")));
        }
        Ok(Op {
            name: node.name.unwrap_or_default(),
            domain: domain(node.domain),
            inputs: node.input,
            outputs: node.output,
            attributes: self.attributes(node.attribute)?,
            kind,
        })
    }

    fn attributes(&mut self, attributes: Vec<AttributeProto>) -> Result<Vec<(String, Attribute)>, OnnxError> {
        attributes.into_iter().map(|attribute| self.attribute(attribute)).collect()
    }

    fn attribute(&mut self, proto: AttributeProto) -> Result<(String, Attribute), OnnxError> {
        let name = proto.name.clone().unwrap_or_default();
        if let Some(reference) = proto.ref_attr_name.clone().filter(|reference| !reference.is_empty()) {
            return Ok((name, Attribute::Reference { name: reference, kind: proto.r#type.unwrap_or(0) }));
        }
        let absent = || OnnxError::Malformed(format!("attribute `{name}` has no value"));
        let value = match kind(&proto)? {
            AttributeType::Float => Attribute::Float(proto.f.unwrap_or(0.0)),
            AttributeType::Int => Attribute::Int(proto.i.unwrap_or(0)),
            AttributeType::String => Attribute::Text(proto.s.unwrap_or_default().into()),
            AttributeType::Tensor => {
                Attribute::Tensor(tensor::decode(*proto.t.ok_or_else(absent)?, &mut self.budget)?.1)
            }
            AttributeType::Graph => Attribute::Graph(Box::new(self.graph(*proto.g.ok_or_else(absent)?)?)),
            AttributeType::Floats => Attribute::Floats(proto.floats),
            AttributeType::Ints => Attribute::Ints(proto.ints),
            AttributeType::Strings => Attribute::Texts(proto.strings.into_iter().map(Into::into).collect()),
            AttributeType::Tensors => {
                Attribute::Tensors(self.tensors(proto.tensors)?.into_iter().map(|(_, tensor)| tensor).collect())
            }
            AttributeType::Graphs => {
                Attribute::Graphs(proto.graphs.into_iter().map(|graph| self.graph(graph)).collect::<Result<_, _>>()?)
            }
            other => return Err(OnnxError::Unsupported(format!("attribute `{name}` of type {other:?}"))),
        };
        Ok((name, value))
    }

    fn function(&mut self, function: FunctionProto) -> Result<Function, OnnxError> {
        let name = function.name.unwrap_or_default();
        if function.overload.is_some_and(|overload| !overload.is_empty()) {
            return Err(OnnxError::Unsupported(format!("an overload of function `{name}`")));
        }
        Ok(Function {
            name,
            domain: domain(function.domain),
            inputs: function.input,
            outputs: function.output,
            attributes: function.attribute,
            defaults: self.attributes(function.attribute_proto)?,
            opsets: opsets(function.opset_import),
            ops: self.ops(function.node)?,
        })
    }
}

/// What an attribute holds. IR version 1 did not say; then it is told by the field that is set.
fn kind(proto: &AttributeProto) -> Result<AttributeType, OnnxError> {
    let number = proto.r#type.unwrap_or(0);
    let declared = AttributeType::try_from(number)
        .map_err(|_| OnnxError::Unsupported(format!("an attribute of type {number}")))?;
    if declared != AttributeType::Undefined {
        return Ok(declared);
    }
    [
        (proto.f.is_some(), AttributeType::Float),
        (proto.i.is_some(), AttributeType::Int),
        (proto.s.is_some(), AttributeType::String),
        (proto.t.is_some(), AttributeType::Tensor),
        (proto.g.is_some(), AttributeType::Graph),
        (!proto.floats.is_empty(), AttributeType::Floats),
        (!proto.ints.is_empty(), AttributeType::Ints),
        (!proto.strings.is_empty(), AttributeType::Strings),
        (!proto.tensors.is_empty(), AttributeType::Tensors),
        (!proto.graphs.is_empty(), AttributeType::Graphs),
    ]
    .into_iter()
    .find_map(|(set, kind)| set.then_some(kind))
    .ok_or_else(|| OnnxError::Malformed(format!("attribute `{}` has no type", proto.name.as_deref().unwrap_or(""))))
}

/// ONNX's own domain has two spellings.
fn domain(domain: Option<String>) -> String {
    domain.filter(|domain| domain != "ai.onnx").unwrap_or_default()
}

fn opsets(opsets: Vec<OperatorSetIdProto>) -> Vec<Opset> {
    let opset = |opset: OperatorSetIdProto| Opset { domain: domain(opset.domain), version: opset.version.unwrap_or(0) };
    opsets.into_iter().map(opset).collect()
}

fn ports(values: Vec<ValueInfoProto>) -> Result<Vec<Port>, OnnxError> {
    values
        .into_iter()
        .map(|value| {
            let name = value.name.clone().unwrap_or_default();
            known(value)?.ok_or_else(|| OnnxError::Unsupported(format!("`{name}`, which is no tensor,")))
        })
        .collect()
}

/// What is known of a value; `None` when it is no tensor.
fn known(value: ValueInfoProto) -> Result<Option<Port>, OnnxError> {
    let name = value.name.unwrap_or_default();
    let (element, shape) = match value.r#type {
        None | Some(TypeProto { value: None }) => (None, None),
        Some(TypeProto { value: Some(TypeValue::Tensor(tensor)) }) => {
            let element = tensor.elem_type.filter(|&kind| kind != 0).map(tensor::element).transpose()?;
            (element, tensor.shape.map(|shape| extents(&name, shape)).transpose()?)
        }
        Some(_) => return Ok(None),
    };
    Ok(Some(Port { name, element, shape, optional: false }))
}

/// An extent of this name, if that tells extents apart: exporters write `?`, `-1` or Python's `None` for what they don't
/// know.
pub(super) fn named(name: String) -> Extent {
    let told = !matches!(name.as_str(), "-1" | "None") && name.contains(char::is_alphanumeric);
    if told { Extent::Named(name) } else { Extent::Any }
}

fn extents(name: &str, shape: TensorShapeProto) -> Result<Vec<Extent>, OnnxError> {
    OnnxError::limit("axes of a tensor", shape.dim.len(), Shape::RANK_MAX)?;
    let extents: Vec<Extent> = shape
        .dim
        .into_iter()
        .map(|dimension| match dimension.value {
            Some(DimensionValue::Value(extent)) => match usize::try_from(extent) {
                Ok(extent) => Extent::Fixed(extent),
                // Exporters write -1 for "any".
                Err(_) => Extent::Any,
            },
            Some(DimensionValue::Param(name)) => named(name),
            None => Extent::Any,
        })
        .collect();
    let fixed = extents.iter().filter_map(|extent| match extent {
        Extent::Fixed(extent) => Some(*extent),
        _ => None,
    });
    Shape::new(fixed.collect::<Vec<_>>()).map_err(|error| OnnxError::shape(name, error))?;
    Ok(extents)
}
