//! Loops, one round after the other: what is carried from one to the next, cut from inputs, and collected.

use super::{
    super::{
        planner::{Halt, Node, Planner, SPELLED_MAX, Value, axis},
        task::Task,
    },
    body::Body,
    control::{graph, prefix},
    movement::part,
};
use burst_host::nouns::{Attribute, Element, Extent, Fault, Graph, Op, Port, Spec, Tensor};

/// A loop before its next round.
#[derive(Clone)]
pub struct Round {
    op: Op,
    /// Rounds that are done, and how many there are at most.
    done: usize,
    rounds: usize,
    /// The value that says whether to go on; empty where none does.
    condition: String,
    carried: Vec<String>,
    cut: Vec<Cut>,
    collected: Vec<Collected>,
}

/// An input of which each round sees a slice.
#[derive(Clone)]
struct Cut {
    name: String,
    axis: usize,
    backwards: bool,
}

/// What each round gave, to be stacked.
#[derive(Clone)]
struct Collected {
    names: Vec<String>,
    axis: i64,
    backwards: bool,
}

/// `Loop`: so many rounds, or as long as a condition holds.
pub fn repeat(_: &mut Planner, node: &Node<'_>) -> Result<Vec<Task>, Halt> {
    let body = graph(node, "body")?;
    let rounds = match node.has(0) {
        true => node.numbers(0)?.first().map_or(0, |&rounds| usize::try_from(rounds).unwrap_or(0)),
        false => usize::MAX,
    };
    let carried = node.op.inputs.get(2..).unwrap_or_default().to_vec();
    let condition = node.op.inputs.get(1).cloned().unwrap_or_default();
    if body.inputs.len() != carried.len() + 2 || body.outputs.len() <= carried.len() {
        return Err(node.invalid("a body that does not fit"));
    }
    let collects = body.outputs.len() - 1 - carried.len();
    let collected = vec![Collected { names: Vec::new(), axis: 0, backwards: false }; collects];
    let op = node.op.clone();
    Ok(vec![Round { op, done: 0, rounds, condition, carried, cut: Vec::new(), collected }.task()])
}

/// `Scan`: a round for each slice.
pub fn scan(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Task>, Halt> {
    if node.opset >= 9 { Ok(vec![sequence(node)?.task()]) } else { batches(planner, node) }
}

fn sequence(node: &Node<'_>) -> Result<Round, Halt> {
    let body = graph(node, "body")?;
    let scanned = usize::try_from(node.int("num_scan_inputs", 0)).unwrap_or(0);
    let states = node.inputs.len().checked_sub(scanned).ok_or_else(|| node.invalid("fewer inputs than slices"))?;
    if scanned == 0 || body.inputs.len() != node.inputs.len() || body.outputs.len() < states {
        return Err(node.invalid("a body that does not fit"));
    }
    let at = |name: &str, index: usize| node.ints(name).and_then(|list| list.get(index).copied()).unwrap_or(0);
    let (mut cut, mut extents) = (Vec::new(), Vec::new());
    for index in 0..scanned {
        let spec = node.spec(states + index)?;
        let axis = axis(node, at("scan_input_axes", index), spec.shape.extents().len())?;
        extents.push(spec.shape.extents().get(axis).copied().ok_or_else(|| node.invalid("a slice of a scalar"))?);
        let backwards = at("scan_input_directions", index) == 1;
        cut.push(Cut { name: node.op.inputs[states + index].clone(), axis, backwards });
    }
    if extents.iter().any(|extent| *extent != extents[0]) {
        return Err(node.invalid("sequences of several lengths"));
    }
    let collected = |index| Collected {
        names: Vec::new(),
        axis: at("scan_output_axes", index),
        backwards: at("scan_output_directions", index) == 1,
    };
    let collected = (0..body.outputs.len() - states).map(collected).collect();
    let (op, carried) = (node.op.clone(), node.op.inputs[..states].to_vec());
    Ok(Round { op, done: 0, rounds: extents[0], condition: String::new(), carried, cut, collected })
}

/// Opset 8 had a first axis of batches, each a scan of its own.
fn batches(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Task>, Halt> {
    if node.has(0) {
        return Err(node.unsupported("sequences of several lengths"));
    }
    let count = node.spec(1)?.shape.extents().first().copied().ok_or_else(|| node.invalid("no axis of batches"))?;
    if count > SPELLED_MAX {
        return Err(node.unsupported(&format!("{count} batches")));
    }
    let mut tasks = Vec::new();
    let directions = ("scan_input_directions".into(), Attribute::Ints(node.ints("directions").unwrap_or_default()));
    let mut parts = vec![Vec::new(); node.op.outputs.len()];
    for batch in 0..count {
        let prefix = prefix(node.op, format!("batch {batch}"));
        let mut op = Op { inputs: Vec::new(), ..node.op.clone() };
        op.attributes.push(directions.clone());
        let mut inputs = Vec::new();
        for (index, value) in node.inputs.iter().enumerate().skip(1) {
            let name = format!("{prefix}{index}");
            let slice = slice(planner, node, value, 0, batch)?;
            planner.bind(&name, slice.clone());
            op.inputs.push(name);
            inputs.push(slice);
        }
        op.outputs = node.op.outputs.iter().map(|name| format!("{prefix}{name}")).collect();
        parts.iter_mut().zip(&op.outputs).for_each(|(names, name)| names.push(name.clone()));
        tasks.push(sequence(&Node { op: &op, opset: 9, inputs })?.task());
    }
    for (names, output) in parts.into_iter().zip(&node.op.outputs) {
        tasks.extend(joined(names, output));
    }
    Ok(tasks)
}

/// Stacks values on a new first axis.
fn joined(names: Vec<String>, output: &str) -> Vec<Task> {
    let op = |kind: &str, inputs, output, attribute| {
        Task::Op(Op { kind: kind.into(), inputs, attributes: vec![attribute], ..Op::identity(String::new(), output) })
    };
    let rows: Vec<String> = names.iter().map(|name| format!("{name}/row")).collect();
    let axes = ("axes".to_owned(), Attribute::Ints(vec![0]));
    let each = names.into_iter().zip(&rows).map(|(name, row)| op("Unsqueeze", vec![name], row.clone(), axes.clone()));
    let mut tasks: Vec<Task> = each.collect();
    tasks.push(op("Concat", rows.clone(), output.into(), ("axis".into(), Attribute::Int(0))));
    tasks
}

impl Round {
    fn task(self) -> Task {
        Task::Round(Box::new(self))
    }

    pub fn op(&self) -> &Op {
        &self.op
    }

    /// Values outside of the body that further rounds, or their end, need.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let collected = self.collected.iter().flat_map(|collected| &collected.names);
        let cut = self.cut.iter().map(|cut| &cut.name);
        self.carried.iter().chain(cut).chain(collected).chain([&self.condition]).map(String::as_str)
    }

    /// The operators of a round and the loop after it; nothing once it has ended.
    pub fn next(&self, planner: &mut Planner) -> Result<Vec<Task>, Halt> {
        let condition = planner.value(&self.condition)?;
        let node = Node { op: &self.op, opset: planner.opset(), inputs: vec![condition] };
        let body = graph(&node, "body")?;
        let stopped = node.has(0) && node.numbers(0)?.first() == Some(&0);
        if stopped || self.done >= self.rounds {
            self.end(planner, &node, body)?;
            return Ok(Vec::new());
        }
        let mut names = Body::new(prefix(&self.op, self.done), body);
        self.give(planner, &node, body, &mut names)?;
        let mut tasks = names.tasks(planner, body);
        let mut next = Self { done: self.done + 1, ..self.clone() };
        let mut outputs = body.outputs.iter().map(|port| names.name(&port.name));
        if self.cut.is_empty() {
            next.condition = outputs.next().unwrap_or_default();
        }
        next.carried = outputs.by_ref().take(self.carried.len()).collect();
        next.collected.iter_mut().zip(outputs).for_each(|(collected, name)| collected.names.push(name));
        tasks.push(next.task());
        Ok(tasks)
    }

    /// What the body's inputs are in this round.
    fn give(&self, planner: &mut Planner, node: &Node<'_>, body: &Graph, names: &mut Body) -> Result<(), Halt> {
        let mut inputs = body.inputs.iter().map(|port| port.name.as_str());
        if self.cut.is_empty() {
            let known = |tensor: Result<Tensor, _>| tensor.map_err(|_| node.invalid("a body without its counters"));
            let count = known(Tensor::from_slice(Element::I64, [], &[self.done as i64]))?;
            let goes_on = known(Tensor::from_slice(Element::Bool, [], &[1u8]))?;
            for (name, tensor) in inputs.by_ref().take(2).zip([count, goes_on]) {
                planner.known(&names.name(name), tensor);
            }
        }
        for (name, carried) in inputs.by_ref().take(self.carried.len()).zip(&self.carried) {
            names.bind(name, carried);
        }
        for (name, cut) in inputs.zip(&self.cut) {
            let whole = planner.value(&cut.name)?;
            let at = if cut.backwards { self.rounds - 1 - self.done } else { self.done };
            let slice = slice(planner, node, &whole, cut.axis, at)?;
            planner.bind(&names.name(name), slice);
        }
        Ok(())
    }

    fn end(&self, planner: &mut Planner, node: &Node<'_>, body: &Graph) -> Result<(), Halt> {
        let mut outputs = self.op.outputs.iter();
        for (carried, output) in self.carried.iter().zip(outputs.by_ref()) {
            let value = planner.value(carried)?;
            planner.bind(output, value);
        }
        let collects = body.outputs.len() - self.collected.len();
        for ((collected, port), output) in self.collected.iter().zip(&body.outputs[collects..]).zip(outputs) {
            let stacked = collected.stacked(planner, node, port)?;
            planner.bind(output, stacked);
        }
        Ok(())
    }
}

impl Collected {
    fn stacked(&self, planner: &mut Planner, node: &Node<'_>, port: &Port) -> Result<Value, Halt> {
        let mut rows = Vec::new();
        for name in &self.names {
            rows.push(planner.value(name)?);
        }
        if self.backwards {
            rows.reverse();
        }
        let Some(rank) = rows.first().and_then(Value::spec).map(|spec| spec.shape.extents().len()) else {
            return nothing(node, port, self.axis);
        };
        let at = axis(node, self.axis, rank + 1)?;
        let row = |value: Value| {
            let spec = value.spec().ok_or_else(|| node.invalid("a round gives nothing"))?;
            let mut extents = spec.shape.extents().to_vec();
            extents.insert(at.min(extents.len()), 1);
            reshaped(node, value, extents)
        };
        let rows = rows.into_iter().map(row).collect::<Result<_, _>>()?;
        planner.apply("Concat", vec![("axis".into(), Attribute::Int(at as i64))], rows)
    }
}

/// What no round gives, as far as the body says what a round would.
fn nothing(node: &Node<'_>, port: &Port, along: i64) -> Result<Value, Halt> {
    let fixed = |extent: &Extent| if let Extent::Fixed(extent) = extent { Some(*extent) } else { None };
    let extents = port.shape.as_ref().and_then(|shape| shape.iter().map(fixed).collect::<Option<Vec<_>>>());
    let (Some(element), Some(mut extents)) = (port.element, extents) else {
        return Err(node.unsupported("no round, and a result whose shape is open"));
    };
    extents.insert(axis(node, along, extents.len() + 1)?, 0);
    let spec = Spec { element, shape: node.shape(extents)? };
    host(spec, bytes::Bytes::new())
}

/// One slice, without its axis.
fn slice(planner: &mut Planner, node: &Node<'_>, value: &Value, at: usize, index: usize) -> Result<Value, Halt> {
    if let Value::Known(_) = value {
        let index = Tensor::from_slice(Element::I64, [], &[index as i64]);
        let index = Value::Known(index.map_err(|error| node.invalid(&error.to_string()))?);
        return planner.apply("Gather", vec![("axis".into(), Attribute::Int(at as i64))], vec![value.clone(), index]);
    }
    let whole = planner.place(value)?;
    if whole.extents().get(at).is_none_or(|&extent| index >= extent) {
        return Err(node.invalid(&format!("{} has no slice {index} along axis {at}", whole.spec)));
    }
    let slice = part(planner, node, &whole, at, index, 1)?;
    let mut extents = slice.extents().to_vec();
    extents.remove(at);
    Ok(slice.reshaped(node.shape(extents)?).into())
}

fn reshaped(node: &Node<'_>, value: Value, extents: Vec<usize>) -> Result<Value, Halt> {
    let shape = node.shape(extents)?;
    match value {
        Value::Known(tensor) => {
            let spec = Spec { element: tensor.spec().element, shape };
            host(spec, tensor.contents().cloned().unwrap_or_default())
        }
        Value::Placed(placed) => Ok(placed.reshaped(shape).into()),
        Value::Absent => Err(node.invalid("a value was left out")),
    }
}

fn host(spec: Spec, contents: bytes::Bytes) -> Result<Value, Halt> {
    Tensor::host(spec, contents).map(Value::Known).map_err(|error| Fault::Invalid(error.to_string()).into())
}
