//! Graphs in a few words, for tests.

use burst_host::nouns::{Attribute, Element, Extent, Function, Graph, Op, Opset, Port, Tensor};

/// A graph in the making; lists of names are words in one string, `_` for one left out.
#[derive(Clone)]
pub struct Sketch(Graph);

impl Sketch {
    /// An empty graph of opset 17.
    pub fn new(name: &str) -> Self {
        let opsets = vec![Opset { domain: String::new(), version: 17 }];
        Self(Graph { name: name.into(), ir_version: 8, opsets, ..Graph::default() })
    }

    /// `extents` are numbers, names and `?`.
    pub fn input(mut self, name: &str, element: Element, extents: &str) -> Self {
        let extent = |word: &str| match word.parse() {
            Ok(fixed) => Extent::Fixed(fixed),
            Err(_) if word == "?" => Extent::Any,
            Err(_) => Extent::Named(word.into()),
        };
        let shape = Some(extents.split_whitespace().map(extent).collect());
        self.0.inputs.push(Port { name: name.into(), element: Some(element), shape, optional: false });
        self
    }

    pub fn constant(mut self, name: &str, value: Tensor) -> Self {
        self.0.constants.push((name.into(), value));
        self
    }

    pub fn op(self, kind: &str, inputs: &str, outputs: &str) -> Self {
        self.op_with(kind, inputs, outputs, [])
    }

    pub fn op_with<const N: usize>(
        mut self,
        kind: &str,
        inputs: &str,
        outputs: &str,
        attributes: [(&str, Attribute); N],
    ) -> Self {
        self.0.ops.push(op(kind, inputs, outputs, attributes));
        self
    }

    /// Puts the last op into another domain.
    pub fn in_domain(mut self, domain: &str) -> Self {
        self.0.ops.last_mut().unwrap().domain = domain.into();
        self
    }

    /// An output of unknown type and shape.
    pub fn output(mut self, name: &str) -> Self {
        self.0.outputs.push(Port { name: name.into(), element: None, shape: None, optional: false });
        self
    }

    pub fn function(mut self, function: Function) -> Self {
        self.0.opsets.push(Opset { domain: function.domain.clone(), version: 1 });
        self.0.functions.push(function);
        self
    }

    pub fn graph(self) -> Graph {
        self.0
    }

    /// As a branch or a loop's body.
    pub fn subgraph(self) -> Attribute {
        Attribute::Graph(Box::new(Graph { opsets: Vec::new(), ir_version: 0, ..self.0 }))
    }
}

/// One vertex.
pub fn op<const N: usize>(kind: &str, inputs: &str, outputs: &str, attributes: [(&str, Attribute); N]) -> Op {
    let names = |words: &str| words.split_whitespace().map(|word| word.replace('_', "")).collect();
    Op {
        name: String::new(),
        kind: kind.into(),
        domain: String::new(),
        inputs: names(inputs),
        outputs: names(outputs),
        attributes: attributes.into_iter().map(|(name, value)| (name.into(), value)).collect(),
    }
}
