//! Goes through a graph as it is computed, and counts what that takes.

use super::{
    Cost,
    attributes,
    node::{Node, Outcome},
    numbers, table,
    value::Value,
};
use burst_host::nouns::{Attribute, Fault, Graph, Op, Shape};
use std::collections::HashMap;

/// Operations of rounds that nobody knows the number of are counted once.
const ROUNDS_UNKNOWN: u64 = 1;

/// The walk so far. Inner graphs see the values of those around them.
pub(super) struct Walk<'a> {
    opset: i64,
    /// Whether convolutions write their windows side by side.
    unfolds: bool,
    scopes: Vec<HashMap<&'a str, Value>>,
}

/// Where each value is used last, by its name: an operator's place, or behind all of them.
type LastUses<'a> = HashMap<&'a str, usize>;

impl<'a> Walk<'a> {
    pub(super) fn new(graph: &'a Graph, unfolds: bool) -> Self {
        let opset = graph.opsets.iter().find(|opset| opset.domain.is_empty()).map_or(0, |opset| opset.version);
        Self { opset, unfolds, scopes: Vec::new() }
    }

    /// What a graph costs whose inputs are these, and what its outputs are. Inputs and constants are held by others.
    pub(super) fn graph(&mut self, graph: &'a Graph, inputs: Vec<Value>) -> Result<(Cost, Vec<Value>), Fault> {
        let constants = graph.constants.iter().map(|(name, tensor)| (name.as_str(), Value::of_tensor(tensor)));
        let named = graph.inputs.iter().map(|port| port.name.as_str()).zip(inputs);
        let weights = graph.values.iter().map(|port| (port.name.as_str(), Value::of_port(port)));
        self.scopes.push(weights.chain(constants).chain(named).collect());
        let outcome = self.ops(graph);
        let outputs = graph.outputs.iter().map(|port| self.value(&port.name)).collect();
        self.scopes.pop();
        Ok((outcome?, outputs))
    }

    fn ops(&mut self, graph: &'a Graph) -> Result<Cost, Fault> {
        let last = last_uses(graph);
        let (mut cost, mut held) = (Cost::default(), 0u64);
        let mut sizes: HashMap<&str, u64> = HashMap::new();
        let mut ends: HashMap<usize, Vec<&str>> = HashMap::new();
        last.iter().for_each(|(name, at)| ends.entry(*at).or_default().push(name));
        for (at, op) in graph.ops.iter().enumerate() {
            let (outcome, inner) = self.op(op)?;
            let results: u64 = outcome.results.iter().filter_map(Value::bytes).fold(0, u64::saturating_add);
            let scratch = if self.unfolds { outcome.scratch_bytes } else { 0 };
            let now = [held, results, scratch, inner.bytes].into_iter().fold(0, u64::saturating_add);
            cost.take(&op.kind, now, outcome.operations.saturating_add(inner.operations), inner);
            for (name, value) in op.outputs.iter().zip(outcome.results).filter(|(name, _)| !name.is_empty()) {
                cost.unknown += usize::from(value.bytes().is_none());
                let bytes = value.bytes().unwrap_or(0);
                held = held.saturating_add(bytes);
                sizes.insert(name, bytes);
                self.set(name, value);
            }
            for name in ends.remove(&at).into_iter().flatten() {
                held = held.saturating_sub(sizes.remove(name).unwrap_or(0));
            }
        }
        Ok(cost)
    }

    /// What an operator gives, and what the graphs inside of it cost.
    fn op(&mut self, op: &'a Op) -> Result<(Outcome, Cost), Fault> {
        attributes::check(op)?;
        let (mut outcome, inner) = match (op.domain.as_str(), op.kind.as_str()) {
            ("", "If") => self.branches(op)?,
            ("", "Loop") => self.rounds(op)?,
            ("", "Scan") => self.scan(op)?,
            _ => (self.simple(op), Cost::default()),
        };
        outcome.results.resize(op.outputs.len(), Value::default());
        for (name, value) in op.outputs.iter().zip(&outcome.results) {
            within(op, name, value)?;
        }
        Ok((outcome, inner))
    }

    fn simple(&self, op: &Op) -> Outcome {
        let node = self.node(op);
        let Some(mut outcome) = table::rule(&node).and_then(|rule| rule(&node)) else { return unknown(&node) };
        if let Some(first) = outcome.results.first_mut() {
            first.numbers = numbers::followed(&node, first);
        }
        outcome
    }

    fn node<'b>(&self, op: &'b Op) -> Node<'b> {
        Node { op, inputs: op.inputs.iter().map(|name| self.value(name)).collect(), opset: self.opset }
    }

    fn value(&self, name: &str) -> Value {
        self.scopes.iter().rev().find_map(|scope| scope.get(name)).cloned().unwrap_or_default()
    }

    fn set(&mut self, name: &'a str, value: Value) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name, value);
        }
    }

    /// The branch that is taken, the dearer one where that is not known.
    fn branches(&mut self, op: &'a Op) -> Result<(Outcome, Cost), Fault> {
        let condition = op.inputs.first().map(|name| self.value(name)).and_then(|value| value.numbers);
        let taken = condition.and_then(|numbers| numbers.first().copied());
        let (mut cost, mut results) = (Cost::default(), None::<Vec<Value>>);
        for (name, truth) in [("then_branch", true), ("else_branch", false)] {
            let Some(Attribute::Graph(branch)) = op.attribute(name) else { continue };
            if taken.is_some_and(|taken| (taken != 0.0) != truth) {
                continue;
            }
            let (branch, values) = self.graph(branch, Vec::new())?;
            cost = cost.larger(branch);
            results = Some(match results {
                Some(others) => others.into_iter().zip(values).map(|(a, b)| either(a, b)).collect(),
                None => values,
            });
        }
        Ok((Outcome { results: results.unwrap_or_default(), ..Outcome::default() }, cost))
    }

    /// A body as often as its input says, or once for all that is known. States keep their shapes if they have them after
    /// a round.
    fn rounds(&mut self, op: &'a Op) -> Result<(Outcome, Cost), Fault> {
        let Some(Attribute::Graph(body)) = op.attribute("body") else { return Ok(Default::default()) };
        let count = op.inputs.first().map(|name| self.value(name)).and_then(|value| value.integers());
        let count = count.and_then(|count| u64::try_from(*count.first()?).ok());
        let states: Vec<Value> = op.inputs.iter().skip(2).map(|name| anything(self.value(name))).collect();
        let mut given = vec![Value::default(), Value::default()];
        given.extend(states.iter().cloned());
        let (cost, results) = self.graph(body, given)?;
        let (kept, collected) = results.get(1..).unwrap_or_default().split_at(states.len().min(results.len().saturating_sub(1)));
        let kept = states.iter().zip(kept).map(|(before, after)| steady(before, after));
        let collected = collected.iter().map(|value| stacked(value, count, 0).limited());
        let outcome = Outcome { results: kept.chain(collected).collect(), ..Outcome::default() };
        Ok((outcome, cost.times(count.unwrap_or(ROUNDS_UNKNOWN))))
    }

    /// A body for each element of the scanned axes.
    fn scan(&mut self, op: &'a Op) -> Result<(Outcome, Cost), Fault> {
        let Some(Attribute::Graph(body)) = op.attribute("body") else { return Ok(Default::default()) };
        let node = self.node(op);
        let scanned = usize::try_from(node.int("num_scan_inputs", 1)).unwrap_or(0);
        let states = op.inputs.len().saturating_sub(scanned);
        // The first one has a batch, and lengths before its states.
        if self.opset < 9 {
            return Ok((unknown(&node), Cost::default()));
        }
        let axes = node.ints("scan_input_axes").unwrap_or_default();
        let mut count = None;
        let mut given: Vec<Value> = node.inputs.iter().take(states).cloned().map(anything).collect();
        for (index, input) in node.inputs.iter().skip(states).enumerate() {
            let (length, element) = element_of(input, axes.get(index).copied().unwrap_or(0));
            count = count.or(length);
            given.push(element);
        }
        let before = given[..states.min(given.len())].to_vec();
        let (cost, results) = self.graph(body, given)?;
        let (kept, collected) = results.split_at(states.min(results.len()));
        let places = node.ints("scan_output_axes").unwrap_or_default();
        let collected = collected.iter().enumerate().map(|(index, value)| {
            stacked(value, count, places.get(index).copied().unwrap_or(0))
        });
        let kept = before.iter().zip(kept).map(|(before, after)| steady(before, after));
        let outcome = Outcome { results: kept.chain(collected).collect(), ..Outcome::default() };
        Ok((outcome, cost.times(count.unwrap_or(ROUNDS_UNKNOWN))))
    }
}

/// Each input is looked at once.
fn unknown(node: &Node) -> Outcome {
    let operations = (0..node.inputs.len()).map(|index| node.elements(index)).fold(0, u64::saturating_add);
    Outcome { operations, ..Outcome::default() }
}

/// A state has other numbers in each round.
fn anything(value: Value) -> Value {
    Value { numbers: None, ..value }
}

/// A state, where a round leaves its extents as they are.
fn steady(before: &Value, after: &Value) -> Value {
    if before.extents == after.extents { anything(after.clone()) } else { Value { element: after.element, ..Value::default() } }
}

/// What may be one or the other.
fn either(a: Value, b: Value) -> Value {
    if a.extents == b.extents && a.extents.is_some() {
        return Value { at_most: a.at_most || b.at_most, numbers: None, ..a };
    }
    match (a.elements(), b.elements()) {
        (Some(first), Some(second)) => Value::up_to(a.element.or(b.element), first.max(second)),
        _ => Value { element: a.element.or(b.element), ..Value::default() },
    }
}

/// So many of a value along a new axis.
fn stacked(value: &Value, count: Option<u64>, axis: i64) -> Value {
    let extents = || {
        let mut extents = value.extents.clone()?;
        let axis = super::node::place(axis, extents.len() + 1)?;
        extents.insert(axis, count?);
        Some(extents)
    };
    Value { extents: extents(), numbers: None, elements_max: None, ..value.clone() }
}

/// An axis of a value, and what is left without it.
fn element_of(value: &Value, axis: i64) -> (Option<u64>, Value) {
    let rest = || {
        let mut extents = value.extents.clone()?;
        let axis = super::node::place(axis, extents.len())?;
        Some((extents.remove(axis), extents))
    };
    match rest() {
        Some((length, extents)) => (Some(length), Value { numbers: None, ..value.reshaped(extents) }),
        None => (None, Value { element: value.element, ..Value::default() }),
    }
}

/// Fails where a result is larger than any tensor.
fn within(op: &Op, name: &str, value: &Value) -> Result<(), Fault> {
    match value.elements().filter(|&elements| elements > Shape::ELEMENTS_MAX as u64) {
        Some(elements) => Err(Fault::TooLarge(format!(
            "the result `{name}` of `{}` has {elements} elements, at most {} are allowed",
            op.kind,
            Shape::ELEMENTS_MAX
        ))),
        None => Ok(()),
    }
}

/// Outputs are held to the end, what nobody reads until it is computed.
fn last_uses(graph: &Graph) -> LastUses<'_> {
    let mut last = LastUses::new();
    for (at, op) in graph.ops.iter().enumerate() {
        op.outputs.iter().for_each(|name| _ = last.insert(name, at));
        let mut read = std::collections::HashSet::new();
        crate::onnx::reads(op, &mut read);
        read.into_iter().for_each(|name| _ = last.insert(name, at));
    }
    for port in &graph.outputs {
        last.insert(&port.name, graph.ops.len());
    }
    last
}
