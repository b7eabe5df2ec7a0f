//! Finds in a graph what exporters write as several operators and one kernel computes. Whether the kernel takes it shows
//! only once shapes are known: until then the operators stay at hand.

mod attention;
mod norm;
mod softmax;

use super::{
    planner::{Halt, Placed, Planner, Value},
    task::{self, Task},
};
use attention::Attention;
use burst_host::nouns::{Attribute, Element, Fault, Graph, Op};
use half::{bf16, f16};
use norm::Norm;
use softmax::Softmax;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// Operators that come to one, between whose first and last nothing else reads what they hand on.
pub struct Pattern {
    pub ops: Vec<Op>,
    whole: Whole,
}

enum Whole {
    Attention(Attention),
    Norm(Norm),
    Softmax(Softmax),
}

/// A pattern and the places of its operators in the graph.
type Found = (Vec<usize>, Whole);

/// All that a graph does, patterns as one task each.
pub fn tasks(graph: &Graph) -> Vec<Task> {
    let wiring = Wiring::of(graph);
    let mut taken = vec![false; graph.ops.len()];
    let mut ends: HashMap<usize, Task> = HashMap::new();
    for at in 0..graph.ops.len() {
        let Some((mut places, whole)) = wiring.pattern(at).filter(|(places, _)| !places.iter().any(|&at| taken[at]))
        else {
            continue;
        };
        places.sort_unstable();
        places.iter().for_each(|&at| taken[at] = true);
        let ops = places.iter().map(|&at| graph.ops[at].clone()).collect();
        ends.extend(places.last().map(|&end| (end, Task::Pattern(Arc::new(Pattern { ops, whole })))));
    }
    let task = |(at, op): (usize, &Op)| ends.remove(&at).or_else(|| (!taken[at]).then(|| Task::Op(op.clone())));
    graph.ops.iter().enumerate().filter_map(task).collect()
}

impl Pattern {
    /// Names of values that it reads in the place of what operators before it made of them.
    pub fn reads(&self) -> Vec<&str> {
        match &self.whole {
            Whole::Attention(attention) => attention.reads(),
            Whole::Norm(_) | Whole::Softmax(_) => Vec::new(),
        }
    }

    /// Lowers it as one, or says what is to be done in its place.
    pub fn next(&self, planner: &mut Planner) -> Result<Vec<Task>, Halt> {
        let lowered = match &self.whole {
            Whole::Attention(attention) => attention.lower(planner),
            Whole::Norm(norm) => norm.lower(planner),
            Whole::Softmax(softmax) => softmax.lower(planner),
        };
        match (lowered, self.ops.last().and_then(|op| op.outputs.first())) {
            (Ok(Some(value)), Some(name)) => {
                planner.bind(name, value);
                Ok(Vec::new())
            }
            // Too large for one kernel, perhaps not for several.
            (Ok(_) | Err(Halt::Lacks(_) | Halt::Fault(Fault::Unsupported(_) | Fault::TooLarge(_))), _) => {
                Ok(self.ops.iter().cloned().map(Task::Op).collect())
            }
            (Err(halt), _) => Err(halt),
        }
    }
}

/// Who makes and who reads each value of a graph.
struct Wiring<'a> {
    graph: &'a Graph,
    makers: HashMap<&'a str, usize>,
    /// Places of operators; outputs of the graph are read by one that never comes.
    readers: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Wiring<'a> {
    fn of(graph: &'a Graph) -> Self {
        let (mut makers, mut readers) = (HashMap::new(), HashMap::<_, Vec<_>>::new());
        for (at, op) in graph.ops.iter().enumerate() {
            makers.extend(op.outputs.iter().map(|name| (name.as_str(), at)));
            let mut names = BTreeSet::new();
            task::used(std::slice::from_ref(op), &mut names);
            names.into_iter().for_each(|name| readers.entry(name).or_default().push(at));
        }
        graph.outputs.iter().for_each(|port| readers.entry(&port.name).or_default().push(usize::MAX));
        Self { graph, makers, readers }
    }

    fn pattern(&self, at: usize) -> Option<Found> {
        match self.kind(at)? {
            "Softmax" => attention::find(self, at),
            "Sqrt" => norm::find(self, at),
            "Exp" => softmax::find(self, at),
            _ => None,
        }
    }

    fn op(&self, at: usize) -> Option<&'a Op> {
        self.graph.ops.get(at)
    }

    /// What an operator of ONNX's own is, if it has one output.
    fn kind(&self, at: usize) -> Option<&'a str> {
        let op = self.op(at)?;
        let own = matches!(op.domain.as_str(), "" | "ai.onnx") && op.outputs.len() == 1;
        own.then_some(op.kind.as_str())
    }

    /// The operator of this kind that makes a value.
    fn made(&self, name: &str, kind: &str) -> Option<usize> {
        self.makers.get(name).copied().filter(|&at| self.kind(at) == Some(kind))
    }

    /// Whether nothing but these read what an operator makes.
    fn only(&self, at: usize, readers: &[usize]) -> bool {
        let read = self.op(at).and_then(|op| self.readers.get(op.outputs.first()?.as_str()));
        read.is_some_and(|read| read.iter().all(|at| readers.contains(at)))
    }

    /// The operator of this kind that alone reads what another makes.
    fn then(&self, at: usize, kind: &str) -> Option<usize> {
        let read = self.readers.get(self.output(at)?)?;
        let &[next] = read.as_slice() else { return None };
        (self.kind(next) == Some(kind)).then_some(next)
    }

    fn input(&self, at: usize, index: usize) -> Option<&'a str> {
        self.op(at)?.inputs.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    fn output(&self, at: usize) -> Option<&'a str> {
        self.op(at)?.outputs.first().map(String::as_str)
    }

    /// Both inputs of an operator, in either order.
    fn sides(&self, at: usize) -> Option<[[&'a str; 2]; 2]> {
        let (a, b) = (self.input(at, 0)?, self.input(at, 1)?);
        Some([[a, b], [b, a]])
    }
}

/// The number that a value is known to be.
fn number(planner: &Planner, name: &str) -> Option<f32> {
    let Some(Value::Known(tensor)) = planner.values.get(name) else { return None };
    match tensor.spec().element {
        _ if tensor.spec().shape.elements() != 1 => None,
        Element::Fp32 => tensor.to_vec::<f32>()?.first().copied(),
        Element::Fp16 => tensor.to_vec::<f16>()?.first().map(|number| number.to_f32()),
        Element::Bf16 => tensor.to_vec::<bf16>()?.first().map(|number| number.to_f32()),
        _ => None,
    }
}

/// A value of floats on the device, if it is one.
fn floats(planner: &mut Planner, name: &str) -> Result<Option<Placed>, Halt> {
    let value = planner.value(name)?;
    let element = value.spec().map(|spec| spec.element);
    match element {
        Some(Element::Fp32 | Element::Fp16 | Element::Bf16) => planner.place(&value).map(Some),
        _ => Ok(None),
    }
}

/// The axes of a reduction that keeps them, as far as they are known; the last `rank` counts from the end.
fn axes(planner: &Planner, op: &Op, rank: usize) -> Option<Vec<usize>> {
    let kept = matches!(op.attribute("keepdims"), None | Some(Attribute::Int(1)));
    let axes = match (op.attribute("axes"), op.inputs.get(1).and_then(|name| planner.values.get(name))) {
        (Some(Attribute::Ints(axes)), None) => axes.clone(),
        (None, Some(Value::Known(tensor))) => tensor.to_vec::<i64>()?,
        _ => return None,
    };
    let wrapped = |axis: i64| usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok();
    let mut axes: Vec<usize> = axes.into_iter().map(wrapped).collect::<Option<_>>()?;
    axes.sort_unstable();
    (kept && axes.iter().all(|&axis| axis < rank)).then_some(axes)
}

/// The first of the axes that end a shape, if these are they.
fn trailing(axes: &[usize], rank: usize) -> Option<usize> {
    let first = rank.checked_sub(axes.len()).filter(|_| !axes.is_empty())?;
    axes.iter().copied().eq(first..rank).then_some(first)
}
