//! Branches and loops: graphs inside of operators.

use super::{
    node::{Outcome, place},
    value::Value,
    walk::{Walk, unknown},
};
use burst_host::nouns::{Attribute, Element, Fault, Graph, Op};

/// Rounds that are gone through one by one while states grow: what doubles in each is larger than any tensor by then.
const ROUNDS_MAX: u64 = 32;
/// More rounds than these are no number but a way to say that a condition ends them.
const COUNTED_MAX: u64 = 1 << 20;

impl<'a> Walk<'a> {
    /// The branch that is taken, the dearer one where that is not known.
    pub(super) fn branches(&mut self, op: &'a Op) -> Result<Outcome, Fault> {
        let condition = op.inputs.first().and_then(|name| self.value(name).numbers.as_ref()?.first().copied());
        let before = self.cost.operations;
        let (mut most, mut results) = (before, None::<Vec<Value>>);
        for (name, truth) in [("then_branch", true), ("else_branch", false)] {
            let Some(Attribute::Graph(branch)) = op.attribute(name) else { continue };
            if condition.is_some_and(|condition| (condition != 0.0) != truth) {
                continue;
            }
            self.cost.operations = before;
            let values = self.inner(branch, Vec::new())?;
            most = most.max(self.cost.operations);
            results = Some(match results {
                Some(others) => others.into_iter().zip(values).map(|(a, b)| either(a, b)).collect(),
                None => values,
            });
        }
        self.cost.operations = most;
        Ok(Outcome { results: results.unwrap_or_default(), ..Outcome::default() })
    }

    /// A body as often as its input says, once where nobody knows how often.
    pub(super) fn rounds(&mut self, op: &'a Op) -> Result<Outcome, Fault> {
        let Some(Attribute::Graph(body)) = op.attribute("body") else { return Ok(Outcome::default()) };
        let count = op.inputs.first().and_then(|name| self.value(name).integers());
        let count = count.and_then(|count| u64::try_from(*count.first()?).ok());
        let truth = Value { numbers: Some([1.0].into()), ..Value::new(Some(Element::Bool), Vec::new()) };
        let given = vec![Value::new(Some(Element::I64), Vec::new()), truth];
        let states = op.inputs.iter().skip(2).map(|name| any_numbers(self.value(name).clone())).collect();
        let rounds = self.repeat(op, body, given, states, Vec::new(), count)?;
        let collected = rounds.collected.iter().map(|value| {
            let stack = stacked(value, rounds.count, 0);
            Value { at_most: stack.at_most || rounds.may_end, ..stack }
        });
        Ok(Outcome { results: rounds.states.into_iter().chain(collected).collect(), ..Outcome::default() })
    }

    /// A body for each element of the scanned axes.
    pub(super) fn scan(&mut self, op: &'a Op) -> Result<Outcome, Fault> {
        let Some(Attribute::Graph(body)) = op.attribute("body") else { return Ok(Outcome::default()) };
        let node = self.node(op);
        // The first one has a batch, and lengths before its states.
        if node.opset < 9 {
            return Ok(unknown(&node));
        }
        let scanned = usize::try_from(node.int("num_scan_inputs", 1)).unwrap_or(0);
        let states = op.inputs.len().saturating_sub(scanned);
        let axes = node.ints("scan_input_axes").unwrap_or_default();
        let (mut count, mut elements) = (None, Vec::new());
        for (index, input) in node.inputs.iter().skip(states).enumerate() {
            let (length, element) = element_of(input, axes.get(index).copied().unwrap_or(0));
            count = count.or(length);
            elements.push(element);
        }
        let places: Vec<i64> = node.ints("scan_output_axes").unwrap_or_default().to_vec();
        let states = node.inputs.iter().take(states).map(|&state| any_numbers(state.clone())).collect();
        let rounds = self.repeat(op, body, Vec::new(), states, elements, count)?;
        let collected = rounds.collected.iter().enumerate();
        let collected = collected.map(|(at, value)| stacked(value, count, places.get(at).copied().unwrap_or(0)));
        Ok(Outcome { results: rounds.states.into_iter().chain(collected).collect(), ..Outcome::default() })
    }

    /// Counts all rounds of a body. While its states grow, rounds are gone through one by one; what grows then goes on
    /// growing by as much. `first` are the inputs before the states: where there are some, a condition is the first
    /// result.
    fn repeat(
        &mut self,
        op: &Op,
        body: &'a Graph,
        first: Vec<Value>,
        mut states: Vec<Value>,
        last: Vec<Value>,
        mut count: Option<u64>,
    ) -> Result<Rounds, Fault> {
        let mut done = 0;
        loop {
            let before = self.cost.operations;
            let given = first.iter().chain(&states).chain(&last).cloned().collect();
            let mut results = self.inner(body, given)?;
            let each = self.cost.operations.saturating_sub(before);
            done += 1;
            let condition = if first.is_empty() || results.is_empty() { None } else { Some(results.remove(0)) };
            let may_end = condition.is_some_and(|condition| condition.numbers.as_deref() != Some(&[1.0]));
            count = count.filter(|&count| !may_end || count <= COUNTED_MAX);
            let collected = results.split_off(states.len().min(results.len()));
            let kept: Vec<Value> = results.into_iter().map(any_numbers).collect();
            let grows = kept.iter().zip(&states).any(|(after, before)| after.extents != before.extents);
            let known = kept.iter().all(|state| state.extents.is_some());
            let left = count.map(|count| count.saturating_sub(done));
            if !grows || !known || left == Some(0) || done == ROUNDS_MAX || !self.has_steps() {
                self.cost.operations = self.cost.operations.saturating_add(each.saturating_mul(left.unwrap_or(0)));
                self.within(op)?;
                let after = |(before, after)| grown(before, after, left, may_end);
                let states = states.iter().zip(&kept).map(after).collect();
                return Ok(Rounds { states, collected, count, may_end });
            }
            states = kept;
        }
    }
}

/// What all rounds of a body come to.
struct Rounds {
    /// After the last one.
    states: Vec<Value>,
    /// Of one round.
    collected: Vec<Value>,
    count: Option<u64>,
    /// Whether a condition may end them before.
    may_end: bool,
}

/// A state has other numbers in each round.
fn any_numbers(value: Value) -> Value {
    Value { numbers: None, ..value }
}

/// A state after the rounds that are left, before and after one of them.
fn grown(before: &Value, after: &Value, left: Option<u64>, may_end: bool) -> Value {
    if before.extents == after.extents {
        return after.clone();
    }
    let extents = || {
        let (from, to, left) = (before.extents.as_ref()?, after.extents.as_ref()?, left?);
        let more = |(from, to): (&u64, &u64)| to.saturating_add(to.saturating_sub(*from).saturating_mul(left));
        (from.len() == to.len()).then(|| from.iter().zip(to).map(more).collect())
    };
    Value { extents: extents(), elements_max: None, at_most: after.at_most || may_end, ..after.clone() }
}

/// What may be one or the other.
fn either(a: Value, b: Value) -> Value {
    let element = a.element.or(b.element);
    if a.extents == b.extents && a.extents.is_some() {
        return Value { at_most: a.at_most || b.at_most, numbers: None, ..a };
    }
    match (a.elements(), b.elements()) {
        (Some(first), Some(second)) => Value::up_to(element, first.max(second)),
        _ => Value { element, ..Value::UNKNOWN },
    }
}

/// So many of a value along a new axis.
fn stacked(value: &Value, count: Option<u64>, axis: i64) -> Value {
    let extents = || {
        let mut extents = value.extents.clone()?;
        let axis = place(axis, extents.len() + 1)?;
        extents.insert(axis, count?);
        Some(extents)
    };
    Value { extents: extents(), numbers: None, elements_max: None, ..value.clone() }
}

/// An axis of a value, and what is left without it.
fn element_of(value: &Value, axis: i64) -> (Option<u64>, Value) {
    let rest = || {
        let mut extents = value.extents.clone()?;
        let axis = place(axis, extents.len())?;
        Some((extents.remove(axis), extents))
    };
    match rest() {
        Some((length, extents)) => (Some(length), Value { numbers: None, ..value.reshaped(extents) }),
        None => (None, Value { element: value.element, ..Value::UNKNOWN }),
    }
}
