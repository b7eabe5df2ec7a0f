//! Spells a model's own functions out, for backends that know none.

use super::{Limits, OnnxError, check, versions};
use burst_host::nouns::{Attribute, Function, Graph, Op};
use std::collections::HashMap;

/// The same model without functions: each call is replaced by the function's operators, their values prefixed.
///
/// Fails with `Unsupported` when an operator of a function means something else in the model's operator set.
pub fn inline(graph: &Graph, limits: &Limits) -> Result<Graph, OnnxError> {
    let mut inliner = Inliner { functions: &graph.functions, calls: 0 };
    for function in &graph.functions {
        same_opsets(function, graph)?;
    }
    let mut inlined = Graph { ops: inliner.ops(&graph.ops)?, functions: Vec::new(), ..shell(graph) };
    for opset in graph.functions.iter().flat_map(|function| &function.opsets) {
        if !inlined.opsets.iter().any(|known| known.domain == opset.domain) {
            inlined.opsets.push(opset.clone());
        }
    }
    check::model(&inlined, limits)?;
    Ok(inlined)
}

/// Everything but the ops and functions. Tensors are shared.
fn shell(graph: &Graph) -> Graph {
    Graph {
        name: graph.name.clone(),
        ir_version: graph.ir_version,
        opsets: graph.opsets.clone(),
        inputs: graph.inputs.clone(),
        outputs: graph.outputs.clone(),
        constants: graph.constants.clone(),
        values: graph.values.clone(),
        ..Graph::default()
    }
}

/// Fails where an operator of a function means something else in the model's version of its operator set.
fn same_opsets(function: &Function, graph: &Graph) -> Result<(), OnnxError> {
    for opset in &function.opsets {
        let model = graph.opsets.iter().find(|model| model.domain == opset.domain).map(|model| model.version);
        let Some(model) = model.filter(|&model| model != opset.version) else { continue };
        let (from, to) = (model.min(opset.version), model.max(opset.version));
        if let Some(kind) = changed(&function.ops, &opset.domain, from, to) {
            return Err(OnnxError::Unsupported(format!(
                "`{kind}` of function `{}` in version {} of operator set `{}`, which is not the model's,",
                function.name, opset.version, opset.domain
            )));
        }
    }
    Ok(())
}

/// An operator of this domain that is not the same in two versions.
fn changed<'a>(ops: &'a [Op], domain: &str, from: i64, to: i64) -> Option<&'a str> {
    ops.iter().find_map(|op| {
        let here = op.domain == domain && versions::differ(domain, &op.kind, from, to);
        if here { Some(op.kind.as_str()) } else { op.graphs().find_map(|graph| changed(&graph.ops, domain, from, to)) }
    })
}

struct Inliner<'a> {
    functions: &'a [Function],
    calls: usize,
}

impl<'a> Inliner<'a> {
    fn ops(&mut self, ops: &[Op]) -> Result<Vec<Op>, OnnxError> {
        let mut spelled = Vec::with_capacity(ops.len());
        for op in ops {
            match self.functions.iter().find(|function| function.domain == op.domain && function.name == op.kind) {
                // Terminates: `check` found the calls acyclic.
                Some(function) => {
                    let body = self.call(op, function)?;
                    spelled.extend(self.ops(&body)?);
                }
                None => spelled.push(self.subgraphs(op)?),
            }
        }
        Ok(spelled)
    }

    fn subgraphs(&mut self, op: &Op) -> Result<Op, OnnxError> {
        let attributes = op.attributes.iter().map(|(name, value)| {
            let value = match value {
                Attribute::Graph(graph) => Attribute::Graph(Box::new(self.subgraph(graph)?)),
                Attribute::Graphs(graphs) => {
                    Attribute::Graphs(graphs.iter().map(|graph| self.subgraph(graph)).collect::<Result<_, _>>()?)
                }
                other => other.clone(),
            };
            Ok((name.clone(), value))
        });
        Ok(Op { attributes: attributes.collect::<Result<_, OnnxError>>()?, ..op.clone() })
    }

    fn subgraph(&mut self, graph: &Graph) -> Result<Graph, OnnxError> {
        Ok(Graph { ops: self.ops(&graph.ops)?, ..shell(graph) })
    }

    /// The ops of one call, in the caller's names.
    fn call(&mut self, op: &Op, function: &Function) -> Result<Vec<Op>, OnnxError> {
        if op.inputs.len() > function.inputs.len() || op.outputs.len() > function.outputs.len() {
            return Err(OnnxError::Malformed(format!("a call of `{}` has too many inputs or outputs", function.name)));
        }
        self.calls += 1;
        let mut names = HashMap::new();
        let actual = |index: usize, values: &[String]| values.get(index).cloned().unwrap_or_default();
        for (index, formal) in function.inputs.iter().enumerate() {
            names.insert(formal.as_str(), actual(index, &op.inputs));
        }
        let mut passed = Vec::new();
        for (index, formal) in function.outputs.iter().enumerate() {
            let wanted = actual(index, &op.outputs);
            match names.get(formal.as_str()) {
                _ if wanted.is_empty() => {}
                // An input handed through, or one value given out twice.
                Some(source) => passed.push(Op::identity(source.clone(), wanted)),
                None => {
                    names.insert(formal, wanted);
                }
            }
        }
        let call = Call { names, prefix: format!("{}#{}/", function.name, self.calls), op, function };
        let mut body: Vec<Op> = function.ops.iter().map(|op| call.op(op)).collect();
        body.extend(passed);
        Ok(body)
    }
}

/// One call of a function.
struct Call<'a> {
    names: HashMap<&'a str, String>,
    prefix: String,
    op: &'a Op,
    function: &'a Function,
}

impl Call<'_> {
    fn name(&self, formal: &str) -> String {
        match self.names.get(formal) {
            Some(actual) => actual.clone(),
            None if formal.is_empty() => String::new(),
            None => format!("{}{formal}", self.prefix),
        }
    }

    fn op(&self, op: &Op) -> Op {
        Op {
            // ONNX Runtime refuses a name twice, unless it is empty.
            name: if op.name.is_empty() { String::new() } else { format!("{}{}", self.prefix, op.name) },
            inputs: op.inputs.iter().map(|name| self.name(name)).collect(),
            outputs: op.outputs.iter().map(|name| self.name(name)).collect(),
            attributes: op.attributes.iter().filter_map(|(name, value)| self.attribute(name, value)).collect(),
            kind: op.kind.clone(),
            domain: op.domain.clone(),
        }
    }

    /// A reference to an attribute that the caller leaves out is left out too.
    fn attribute(&self, name: &str, value: &Attribute) -> Option<(String, Attribute)> {
        let value = match value {
            Attribute::Reference { name, .. } => {
                let default = || self.function.defaults.iter().find(|(key, _)| key == name).map(|(_, value)| value);
                self.op.attribute(name).or_else(default)?.clone()
            }
            Attribute::Graph(graph) => Attribute::Graph(Box::new(self.graph(graph))),
            Attribute::Graphs(graphs) => Attribute::Graphs(graphs.iter().map(|graph| self.graph(graph)).collect()),
            other => other.clone(),
        };
        Some((name.into(), value))
    }

    /// A subgraph sees only the function's values, so every name in it is the function's.
    fn graph(&self, graph: &Graph) -> Graph {
        let mut copy = shell(graph);
        for port in copy.inputs.iter_mut().chain(&mut copy.outputs).chain(&mut copy.values) {
            port.name = self.name(&port.name);
        }
        for (name, _) in &mut copy.constants {
            *name = self.name(name);
        }
        copy.ops = graph.ops.iter().map(|op| self.op(op)).collect();
        copy
    }
}
