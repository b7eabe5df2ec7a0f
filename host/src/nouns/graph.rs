//! A model as ONNX means it: operators, constants, inputs and outputs.
//!
//! Keeps what ONNX says, so that encoding it again gives an equal model. Source of the semantics: the ONNX IR
//! specification, <https://onnx.ai/onnx/repo-docs/IR.html>.

use super::{Port, Signature, Tensor};
use std::slice;

/// The version of an operator set that a graph is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opset {
    /// Empty for ONNX's own operators.
    pub domain: String,
    pub version: i64,
}

/// A model. `ops` are in topological order.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub name: String,
    /// The ONNX IR version. 0 in a subgraph: the model's holds.
    pub ir_version: i64,
    /// Empty in a subgraph: the model's hold.
    pub opsets: Vec<Opset>,
    /// Those that have no constant of the same name. An element or a shape may be unknown in a subgraph.
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    /// Weights, in the order of the file.
    pub constants: Vec<(String, Tensor)>,
    pub ops: Vec<Op>,
    /// What is known of the values in between.
    pub values: Vec<Port>,
    /// Operators that the model defines itself.
    pub functions: Vec<Function>,
}

/// One vertex.
#[derive(Clone, Debug)]
pub struct Op {
    /// For messages; may be empty.
    pub name: String,
    /// ONNX's operator: `Conv`, `MatMul`, …
    pub kind: String,
    /// Empty for ONNX's own operators.
    pub domain: String,
    /// Names of values; an empty one is an optional input left out.
    pub inputs: Vec<String>,
    /// Names of values; an empty one is an optional output not wanted.
    pub outputs: Vec<String>,
    pub attributes: Vec<(String, Attribute)>,
}

/// The value of an attribute.
#[derive(Clone, Debug)]
pub enum Attribute {
    Int(i64),
    Float(f32),
    Text(Vec<u8>),
    Tensor(Tensor),
    Graph(Box<Graph>),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<Vec<u8>>),
    Tensors(Vec<Tensor>),
    Graphs(Vec<Graph>),
    /// Inside a function: the attribute of the calling op with this name.
    Reference {
        name: String,
        kind: i32,
    },
}

/// An operator that a model defines out of others.
#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    pub domain: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    /// Attributes without a default.
    pub attributes: Vec<String>,
    /// Attributes with one.
    pub defaults: Vec<(String, Attribute)>,
    pub opsets: Vec<Opset>,
    pub ops: Vec<Op>,
}

impl Graph {
    /// Named inputs and outputs.
    pub fn signature(&self) -> Signature {
        Signature { inputs: self.inputs.clone(), outputs: self.outputs.clone() }
    }
}

impl Attribute {
    /// The graphs in it.
    pub fn graphs(&self) -> &[Graph] {
        match self {
            Self::Graph(graph) => slice::from_ref(graph),
            Self::Graphs(graphs) => graphs,
            _ => &[],
        }
    }

    /// The graphs in it, to be changed.
    pub fn graphs_mut(&mut self) -> &mut [Graph] {
        match self {
            Self::Graph(graph) => slice::from_mut(graph),
            Self::Graphs(graphs) => graphs,
            _ => &mut [],
        }
    }
}

impl Op {
    /// Gives the value `from` the name `to`.
    pub fn identity(from: String, to: String) -> Self {
        Self {
            name: String::new(),
            kind: "Identity".into(),
            domain: String::new(),
            inputs: vec![from],
            outputs: vec![to],
            attributes: Vec::new(),
        }
    }

    /// The graphs in its attributes: branches and bodies.
    pub fn graphs(&self) -> impl Iterator<Item = &Graph> {
        self.attributes.iter().flat_map(|(_, attribute)| attribute.graphs())
    }

    /// The graphs in its attributes, to be changed.
    pub fn graphs_mut(&mut self) -> impl Iterator<Item = &mut Graph> {
        self.attributes.iter_mut().flat_map(|(_, attribute)| attribute.graphs_mut())
    }

    /// The attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}
