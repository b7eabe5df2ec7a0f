//! A graph inside of an operator, spelled out under names of its own: another round of a loop gives other values.

use super::super::{pattern, planner::Planner, task::Task};
use burst_host::nouns::{Attribute, Graph, Op};
use std::collections::HashMap;

/// What the names of a body stand for outside of it.
#[derive(Clone)]
pub struct Body {
    prefix: String,
    names: HashMap<String, String>,
}

impl Body {
    /// A body whose values are called by a prefix.
    pub fn new(prefix: String, graph: &Graph) -> Self {
        let mut body = Self { prefix, names: HashMap::new() };
        body.define(graph);
        body
    }

    /// An input of the body is the value of this name outside.
    pub fn bind(&mut self, input: &str, outside: &str) {
        self.names.insert(input.into(), outside.into());
    }

    /// The name outside; values of the graphs around have it already.
    pub fn name(&self, inside: &str) -> String {
        self.names.get(inside).cloned().unwrap_or_else(|| inside.into())
    }

    /// The body's operators, and patterns among them; what it holds is known from here on.
    pub fn tasks(&self, planner: &mut Planner, graph: &Graph) -> Vec<Task> {
        for (name, tensor) in &graph.constants {
            planner.known(&self.name(name), tensor.clone());
        }
        let mut own = Graph { outputs: graph.outputs.clone(), ..Graph::default() };
        own.outputs.iter_mut().for_each(|port| port.name = self.name(&port.name));
        own.ops = graph.ops.iter().map(|op| self.op(op)).collect();
        pattern::tasks(&own)
    }

    fn define(&mut self, graph: &Graph) {
        let inputs = graph.inputs.iter().map(|port| &port.name);
        let outputs = graph.ops.iter().flat_map(|op| &op.outputs);
        let constants = graph.constants.iter().map(|(name, _)| name);
        for name in inputs.chain(outputs).chain(constants).filter(|name| !name.is_empty()) {
            self.names.insert(name.clone(), format!("{}{name}", self.prefix));
        }
    }

    fn op(&self, op: &Op) -> Op {
        let named = |names: &[String]| names.iter().map(|name| self.name(name)).collect();
        let attribute = |(name, attribute): &(String, Attribute)| {
            let attribute = match attribute {
                Attribute::Graph(graph) => Attribute::Graph(Box::new(self.graph(graph))),
                Attribute::Graphs(graphs) => Attribute::Graphs(graphs.iter().map(|graph| self.graph(graph)).collect()),
                other => other.clone(),
            };
            (name.clone(), attribute)
        };
        Op {
            inputs: named(&op.inputs),
            outputs: named(&op.outputs),
            attributes: op.attributes.iter().map(attribute).collect(),
            ..op.clone()
        }
    }

    /// A graph inside of the body, which may use the body's names for values of its own.
    fn graph(&self, graph: &Graph) -> Graph {
        let mut inner = self.clone();
        inner.define(graph);
        let mut copy = graph.clone();
        for port in copy.inputs.iter_mut().chain(&mut copy.outputs) {
            port.name = inner.name(&port.name);
        }
        for (name, _) in &mut copy.constants {
            *name = inner.name(name);
        }
        copy.ops = graph.ops.iter().map(|op| inner.op(op)).collect();
        copy
    }
}
