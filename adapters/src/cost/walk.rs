//! Goes through a graph as it is computed, and counts what that takes.

use super::{
    Budget, Cost, called, inputs,
    node::{Node, Outcome},
    numbers, table,
    value::Value,
};
use burst_host::nouns::{Fault, Graph, Op, Shape};
use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
};

/// Operators that are gone through, those of a loop's body again for each round that is: beyond them nothing is known.
const STEPS_MAX: usize = 1 << 18;
/// Numbers that are followed, in all operators together.
const FOLLOWED_MAX: u64 = 1 << 20;

/// The walk so far. Inner graphs see the values of those around them.
pub(super) struct Walk<'a> {
    opset: i64,
    unfolds: bool,
    budget: Budget,
    constants: &'a HashMap<String, Value>,
    scopes: Vec<HashMap<&'a str, Value>>,
    pub cost: Cost,
    /// Bytes of the results that are alive.
    held: u64,
    steps: usize,
    followed: Cell<u64>,
}

static UNKNOWN: Value = Value::UNKNOWN;

impl<'a> Walk<'a> {
    pub(super) fn new(graph: &Graph, constants: &'a HashMap<String, Value>, unfolds: bool, budget: &Budget) -> Self {
        let opset = graph.opsets.iter().find(|opset| opset.domain.is_empty()).map_or(0, |opset| opset.version);
        let (cost, scopes, followed) = Default::default();
        Self { opset, unfolds, budget: *budget, constants, scopes, cost, held: 0, steps: 0, followed }
    }

    /// What the model costs, and what its outputs are. Inputs and constants are held by others.
    pub(super) fn graph(mut self, graph: &'a Graph, inputs: Vec<Value>) -> Result<(Cost, Vec<Value>), Fault> {
        let outputs = self.inner(graph, inputs)?;
        Ok((self.cost, outputs))
    }

    /// Counts a graph whose inputs are these: the model's, a branch or a body.
    pub(super) fn inner(&mut self, graph: &'a Graph, inputs: Vec<Value>) -> Result<Vec<Value>, Fault> {
        let named = graph.inputs.iter().map(|port| port.name.as_str()).zip(inputs);
        let mut scope: HashMap<&str, Value> = named.collect();
        if !self.scopes.is_empty() {
            scope.extend(graph.values.iter().map(|port| (port.name.as_str(), Value::of_port(port))));
            scope.extend(graph.constants.iter().map(|(name, tensor)| (name.as_str(), Value::of_tensor(tensor))));
        }
        self.scopes.push(scope);
        let before = self.held;
        let done = self.ops(graph);
        let outputs = graph.outputs.iter().map(|port| self.value(&port.name).clone()).collect();
        self.held = before;
        self.scopes.pop();
        done.map(|()| outputs)
    }

    fn ops(&mut self, graph: &'a Graph) -> Result<(), Fault> {
        let mut ends = last_uses(graph);
        for (op, ends) in graph.ops.iter().zip(&mut ends) {
            let outcome = self.outcome(op)?;
            self.take(op, &outcome)?;
            for (name, value) in op.outputs.iter().zip(outcome.results).filter(|(name, _)| !name.is_empty()) {
                self.held = self.held.saturating_add(value.bytes().unwrap_or(0));
                self.set(name, value);
            }
            for name in ends.drain(..) {
                self.held = self.held.saturating_sub(self.made(name));
            }
        }
        Ok(())
    }

    /// Counts an operator on top of what is held. The one whose cost exceeds the budget is an error.
    fn take(&mut self, op: &Op, outcome: &Outcome) -> Result<(), Fault> {
        let named = || op.outputs.iter().zip(&outcome.results).filter(|(name, _)| !name.is_empty());
        let (mut sum, mut largest) = (0u64, 0);
        for (_, value) in named() {
            possible(op, value)?;
            let bytes = value.bytes();
            self.cost.unknown += usize::from(bytes.is_none());
            sum = sum.saturating_add(bytes.unwrap_or(0));
            largest = largest.max(bytes.unwrap_or(0));
        }
        let scratch = if self.unfolds { outcome.scratch_bytes } else { 0 };
        self.cost.tensor_bytes = self.cost.tensor_bytes.max(largest);
        self.cost.bytes = self.cost.bytes.max(self.held.saturating_add(sum).saturating_add(scratch));
        self.cost.operations = self.cost.operations.saturating_add(outcome.operations.max(1));
        self.within(op)
    }

    /// Fails where an operator exceeds the budget.
    pub(super) fn within(&self, op: &Op) -> Result<(), Fault> {
        self.budget.check(&self.cost, op)
    }

    fn outcome(&mut self, op: &'a Op) -> Result<Outcome, Fault> {
        self.steps += 1;
        let mut outcome = match (op.domain.as_str(), op.kind.as_str()) {
            _ if self.steps > STEPS_MAX => Outcome::default(),
            ("", "If") => self.branches(op)?,
            ("", "Loop") => self.rounds(op)?,
            ("", "Scan") => self.scan(op)?,
            _ => self.simple(op)?,
        };
        outcome.results.resize(op.outputs.len(), Value::UNKNOWN);
        Ok(outcome)
    }

    /// Whether loops may still be gone through round by round.
    pub(super) fn has_steps(&self) -> bool {
        self.steps < STEPS_MAX
    }

    fn simple(&self, op: &Op) -> Result<Outcome, Fault> {
        let node = self.node(op);
        inputs::check(&node)?;
        let Some(mut outcome) = table::rule(op).and_then(|rule| rule(&node)) else { return Ok(unknown(&node)) };
        if let Some(first) = outcome.results.first_mut().filter(|_| self.followed.get() < FOLLOWED_MAX) {
            first.numbers = numbers::followed(&node, first);
            let count = first.numbers.as_ref().map_or(0, |numbers| numbers.len() as u64);
            self.followed.set(self.followed.get().saturating_add(count));
        }
        Ok(outcome)
    }

    pub(super) fn node<'b>(&'b self, op: &'b Op) -> Node<'b> {
        Node { op, inputs: op.inputs.iter().map(|name| self.value(name)).collect(), opset: self.opset }
    }

    pub(super) fn value(&self, name: &str) -> &Value {
        let found = self.scopes.iter().rev().find_map(|scope| scope.get(name));
        found.or_else(|| self.constants.get(name)).unwrap_or(&UNKNOWN)
    }

    fn set(&mut self, name: &'a str, value: Value) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name, value);
        }
    }

    /// Bytes of a result of this graph.
    fn made(&self, name: &str) -> u64 {
        self.scopes.last().and_then(|scope| scope.get(name)?.bytes()).unwrap_or(0)
    }
}

/// Each input is looked at once.
pub(super) fn unknown(node: &Node) -> Outcome {
    let operations = (0..node.inputs.len()).map(|index| node.elements(index)).fold(0, u64::saturating_add);
    Outcome { operations, ..Outcome::default() }
}

/// Fails where a result is larger than any tensor.
fn possible(op: &Op, value: &Value) -> Result<(), Fault> {
    match value.elements().filter(|&elements| elements > Shape::ELEMENTS_MAX as u64) {
        Some(elements) => {
            let most = Shape::ELEMENTS_MAX;
            Err(Fault::TooLarge(format!("{} gives {elements} elements, a tensor has at most {most}", called(op))))
        }
        None => Ok(()),
    }
}

/// The results that are used last by each operator, or by none. Outputs are held to the end.
fn last_uses(graph: &Graph) -> Vec<Vec<&str>> {
    let mut last: HashMap<&str, usize> = HashMap::new();
    let mut read = HashSet::new();
    for (at, op) in graph.ops.iter().enumerate() {
        for name in op.outputs.iter().filter(|name| !name.is_empty()) {
            last.insert(name, at);
        }
        crate::onnx::reads(op, &mut read);
        for name in read.drain() {
            last.entry(name).and_modify(|last| *last = at);
        }
    }
    for port in &graph.outputs {
        last.remove(port.name.as_str());
    }
    let mut ends = vec![Vec::new(); graph.ops.len()];
    last.into_iter().for_each(|(name, at)| ends[at].push(name));
    ends
}
