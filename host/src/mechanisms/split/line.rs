//! The operators of a model in line: who yields and who uses what.

use crate::nouns::{Graph, Op, Port, Tensor};
use std::collections::{HashMap, HashSet};

/// A model as something that can be cut.
pub(super) struct Line<'a> {
    pub graph: &'a Graph,
    /// What is computed once, in order. What no output needs is not here.
    pub steps: Vec<Step<'a>>,
    /// The step that yields a value.
    pub maker: HashMap<&'a str, usize>,
    /// The last step that uses a value or an input of the model.
    pub last_use: HashMap<&'a str, usize>,
    pub constants: HashMap<&'a str, &'a Tensor>,
    pub inputs: HashMap<&'a str, &'a Port>,
    /// What the outputs need that no step yields: it goes into the last fragment.
    pub rest: Step<'a>,
    outputs: HashSet<&'a str>,
}

/// One operator with what it needs, its free operators' needs included.
#[derive(Default)]
pub(super) struct Step<'a> {
    /// Its place in the graph.
    pub op: usize,
    /// Values of earlier steps, and inputs of the model.
    pub uses: Vec<&'a str>,
    pub constants: Vec<&'a str>,
    /// Operators that follow from constants and from shapes of inputs: whoever needs them computes them.
    pub free: Vec<usize>,
}

impl<'a> Line<'a> {
    pub fn of(graph: &'a Graph) -> Self {
        let mut line = Self {
            graph,
            steps: Vec::new(),
            maker: HashMap::new(),
            last_use: HashMap::new(),
            constants: graph.constants.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect(),
            inputs: graph.inputs.iter().map(|port| (port.name.as_str(), port)).collect(),
            rest: Step::default(),
            outputs: graph.outputs.iter().map(|port| port.name.as_str()).collect(),
        };
        let free = line.free();
        for index in line.needed() {
            if graph.ops[index].outputs.iter().any(|output| free.contains_key(output.as_str())) {
                continue;
            }
            let step = Step { op: index, ..line.resolve(names(&graph.ops[index]), &free) };
            let place = line.steps.len();
            step.uses.iter().for_each(|name| _ = line.last_use.insert(name, place));
            graph.ops[index].outputs.iter().for_each(|name| _ = line.maker.insert(name, place));
            line.steps.push(step);
        }
        let outputs = graph.outputs.iter().map(|port| port.name.as_str());
        let unmade = |name: &&str| free.contains_key(name) || line.constants.contains_key(name);
        line.rest = line.resolve(outputs.filter(unmade).collect(), &free);
        line
    }

    /// Whether the model yields this value.
    pub fn is_output(&self, name: &str) -> bool {
        self.outputs.contains(name)
    }

    /// The values that a step yields.
    pub fn yields(&self, step: usize) -> impl Iterator<Item = &'a str> + use<'a> {
        let graph = self.graph;
        graph.ops[self.steps[step].op].outputs.iter().map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The ops that follow from constants, and from the shapes of the model's inputs, by what they yield.
    fn free(&self) -> HashMap<&'a str, usize> {
        let mut free: HashMap<&str, usize> = HashMap::new();
        for (index, op) in self.graph.ops.iter().enumerate() {
            let shape = op.kind == "Shape" && op.domain.is_empty();
            let known = |name: &&str| {
                free.contains_key(name) || self.constants.contains_key(name) || shape && self.inputs.contains_key(name)
            };
            if is_repeatable(op) && names(op).iter().all(known) {
                free.extend(op.outputs.iter().filter(|name| !name.is_empty()).map(|name| (name.as_str(), index)));
            }
        }
        free
    }

    /// The ops that the outputs need, in order.
    fn needed(&self) -> Vec<usize> {
        let mut wanted = self.outputs.clone();
        let mut needed = Vec::new();
        for (index, op) in self.graph.ops.iter().enumerate().rev() {
            if op.outputs.iter().any(|output| wanted.contains(output.as_str())) {
                wanted.extend(names(op));
                needed.push(index);
            }
        }
        needed.reverse();
        needed
    }

    /// Sorts what is needed by where it comes from, through free ops.
    fn resolve(&self, names_needed: Vec<&'a str>, free: &HashMap<&'a str, usize>) -> Step<'a> {
        let mut step = Step::default();
        let (mut left, mut seen, mut computed) = (names_needed, HashSet::new(), HashSet::new());
        while let Some(name) = left.pop() {
            if !seen.insert(name) {
                continue;
            }
            if self.constants.contains_key(name) {
                step.constants.push(name);
            } else if let Some(&op) = free.get(name) {
                if computed.insert(op) {
                    step.free.push(op);
                    left.extend(names(&self.graph.ops[op]));
                }
            } else if self.maker.contains_key(name) || self.inputs.contains_key(name) {
                step.uses.push(name);
            }
            // Anything else is a name inside a subgraph.
        }
        step
    }
}

/// Whether computing it twice gives the same, and costs little beside a run.
fn is_repeatable(op: &Op) -> bool {
    let random = op.kind.starts_with("Random") || ["Bernoulli", "Dropout", "Multinomial"].contains(&op.kind.as_str());
    op.domain.is_empty() && !random && op.graphs().next().is_none()
}

/// What an op uses, in its subgraphs too. Names that the subgraphs define themselves are among them.
fn names(op: &Op) -> Vec<&str> {
    let mut found = Vec::new();
    let mut left = vec![op];
    while let Some(op) = left.pop() {
        found.extend(op.inputs.iter().map(String::as_str).filter(|name| !name.is_empty()));
        for graph in op.graphs() {
            left.extend(&graph.ops);
            found.extend(graph.outputs.iter().map(|port| port.name.as_str()));
        }
    }
    found
}
