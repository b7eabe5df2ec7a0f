//! The plans of one run, one after the other: a graph whose shapes depend on numbers that it computes stops there, has
//! them read back, and goes on with a plan for what they say.

use super::{
    draft::Draft,
    inside::{Inside, Path},
    plan::Plan,
    planner::{Halt, Placed, Planner, Value},
    program::{GpuProgram, Key},
    recent::Recent,
    task::Task,
};
use burst_host::nouns::{Fault, Graph, Spec, Tensor};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Trails kept of a model with open extents, and ways on that are kept behind each stop.
pub const RECENT_MAX: usize = 8;

/// A plan and what comes after it.
pub struct Trail {
    pub plan: Plan,
    pub then: Then,
}

pub enum Then {
    End(Vec<Output>),
    /// The plan's first output has to be read; the others are given to the next plan.
    Read(Box<Stop>),
}

/// Where an output of the graph comes from.
pub enum Output {
    Computed(usize),
    /// Follows from the graph and the shapes alone.
    Known(Tensor),
}

/// What the first plan of a trail came to.
pub enum Start {
    Made(Box<Trail>),
    /// The numbers of this input decide over shapes.
    NeedsInput(usize),
}

/// Where a trail stops to read.
pub struct Stop {
    /// What needs the numbers, and all after it.
    rest: Vec<Task>,
    /// Names of the value that is read.
    asked: Vec<(String, Spec)>,
    /// Values that the rest needs: name, spec and which input of the next plan.
    live: Vec<(String, Spec, usize)>,
    inside: StopInside,
    /// Specs of the next plan's inputs.
    inputs: Vec<Spec>,
    known: BTreeMap<String, Tensor>,
    next: Recent<Bytes, Trail>,
}

/// Where the op stood that needs the numbers.
struct StopInside {
    asked: Option<(Path, Spec)>,
    kept: Vec<(Path, Spec, usize)>,
    numbers: BTreeMap<Path, Tensor>,
}

impl Output {
    pub fn of(&self, computed: &[Tensor]) -> Tensor {
        match self {
            Self::Computed(index) => computed[*index].clone(),
            Self::Known(tensor) => tensor.clone(),
        }
    }
}

impl Trail {
    /// Specs of the outputs, as far as they are known before anything runs.
    pub fn specs(&self) -> Vec<Spec> {
        let spec = |output: &Output| match output {
            Output::Computed(index) => self.plan.output(*index).clone(),
            Output::Known(tensor) => tensor.spec().clone(),
        };
        match &self.then {
            Then::End(outputs) => outputs.iter().map(spec).collect(),
            Then::Read(_) => Vec::new(),
        }
    }

    /// The trail behind this one for these numbers, if it was made lately.
    pub fn known(&self, numbers: &Bytes) -> Option<Arc<Self>> {
        if let Then::Read(stop) = &self.then { stop.next.get(numbers) } else { None }
    }

    /// Makes the trail behind this one for these numbers.
    pub async fn next(&self, program: &GpuProgram, numbers: Bytes) -> Result<Arc<Self>, Fault> {
        match &self.then {
            Then::Read(stop) => stop.next(program, numbers).await,
            Then::End(_) => Err(Fault::Invalid("nothing comes after the end of a run".into())),
        }
    }

    /// From the inputs of the graph on.
    pub async fn first(program: &GpuProgram, key: &Key) -> Result<Start, Fault> {
        let graph = &program.graph;
        let mut planner = planner(program);
        for (port, spec) in graph.inputs.iter().zip(&key.specs) {
            let storage = planner.input(spec.clone());
            planner.give(&port.name, spec.clone(), storage);
        }
        for (index, contents) in &key.values {
            planner.known(&graph.inputs[*index].name, host(&key.specs[*index], contents)?);
        }
        match Self::walk(program, planner, graph.inputs.len(), program.tasks.clone(), BTreeMap::new())? {
            // Storage n of a draft is input n.
            Walked::Needs(storage) if storage < graph.inputs.len() => Ok(Start::NeedsInput(storage)),
            walked => Ok(Start::Made(Box::new(walked.finish(program).await?))),
        }
    }

    /// Plans what is to be done, to the end or to where numbers are needed. The first `own` blocks of memory are the
    /// graph's own inputs.
    fn walk(
        program: &GpuProgram,
        mut planner: Planner,
        own: usize,
        mut tasks: Vec<Task>,
        known: BTreeMap<String, Tensor>,
    ) -> Result<Walked, Fault> {
        let graph = &program.graph;
        for (name, tensor) in &known {
            planner.known(name, tensor.clone());
        }
        planner.overrides = known;
        // The next one last.
        tasks.reverse();
        while let Some(task) = tasks.pop() {
            match planner.step(&task) {
                Ok(instead) => {
                    planner.inside = Inside::default();
                    tasks.extend(instead.into_iter().rev());
                }
                Err(Halt::Fault(fault) | Halt::Lacks(fault)) => return Err(fault),
                Err(Halt::Needs(storage)) if storage < own => return Ok(Walked::Needs(storage)),
                Err(Halt::Needs(storage)) => {
                    tasks.push(task);
                    tasks.reverse();
                    return stop(graph, planner, tasks, storage);
                }
            }
        }
        let outputs = graph.outputs.iter().map(|port| output(&mut planner, &port.name)).collect::<Result<_, _>>()?;
        Ok(Walked::Drafted(Box::new(planner.draft), Box::new(Then::End(outputs))))
    }
}

impl Stop {
    async fn next(&self, program: &GpuProgram, contents: Bytes) -> Result<Arc<Trail>, Fault> {
        let mut known = self.known.clone();
        for (name, spec) in &self.asked {
            known.insert(name.clone(), host(spec, &contents)?);
        }
        let mut planner = planner(program);
        let storages: Vec<_> = self.inputs.iter().map(|spec| planner.input(spec.clone())).collect();
        for (name, spec, input) in &self.live {
            planner.give(name, spec.clone(), storages[*input]);
        }
        for (path, spec, input) in &self.inside.kept {
            let placed = Placed { spec: spec.clone(), storage: storages[*input] };
            planner.inside.kept.insert(path.clone(), placed);
        }
        planner.inside.numbers = self.inside.numbers.clone();
        if let Some((path, spec)) = &self.inside.asked {
            planner.inside.numbers.insert(path.clone(), host(spec, &contents)?);
        }
        let trail = Trail::walk(program, planner, 0, self.rest.clone(), known)?.finish(program).await?;
        Ok(self.next.keep(contents, trail))
    }
}

enum Walked {
    Drafted(Box<Draft>, Box<Then>),
    Needs(usize),
}

impl Walked {
    async fn finish(self, program: &GpuProgram) -> Result<Trail, Fault> {
        match self {
            Self::Drafted(draft, then) => {
                let plan = draft.finish(&program.gpu, &program.memory, &program.weights).await?;
                Ok(Trail { plan, then: *then })
            }
            Self::Needs(_) => Err(Fault::Unsupported("a shape that is computed from data, on the GPU".into())),
        }
    }
}

/// A planner that knows the constants.
pub fn planner(program: &GpuProgram) -> Planner {
    let graph = &program.graph;
    let opset = graph.opsets.iter().find(|opset| matches!(opset.domain.as_str(), "" | "ai.onnx"));
    let opset = opset.map_or(1, |opset| opset.version);
    let mut planner = Planner::new(opset, program.gpu.target, program.folds.clone());
    for (name, tensor) in &graph.constants {
        planner.known(name, tensor.clone());
    }
    planner
}

fn host(spec: &Spec, contents: &Bytes) -> Result<Tensor, Fault> {
    Tensor::host(spec.clone(), contents.clone()).map_err(|error| Fault::Invalid(error.to_string()))
}

fn output(planner: &mut Planner, name: &str) -> Result<Output, Fault> {
    match planner.values.get(name) {
        Some(Value::Known(tensor)) => Ok(Output::Known(tensor.clone())),
        Some(Value::Placed(placed)) => {
            planner.draft.outputs.push((placed.spec.clone(), placed.storage));
            Ok(Output::Computed(planner.draft.outputs.len() - 1))
        }
        _ => Err(Fault::Invalid(format!("nothing computes the output `{name}`"))),
    }
}

/// Ends a plan before the rest, or inside of its first op: it needs the numbers of `storage`.
fn stop(graph: &Graph, mut planner: Planner, rest: Vec<Task>, storage: usize) -> Result<Walked, Fault> {
    let needed = needed(graph, &rest);
    let (mut asked, mut live, mut handed) = (Vec::new(), Vec::new(), Handed::default());
    let mut known = std::mem::take(&mut planner.overrides);
    for (name, value) in &planner.values {
        match value {
            Value::Placed(placed) if placed.storage == storage => asked.push((name.clone(), placed.spec.clone())),
            Value::Placed(placed) if needed.contains(name.as_str()) => {
                live.push((name.clone(), placed.spec.clone(), handed.over(placed)));
            }
            Value::Known(tensor) if needed.contains(name.as_str()) => drop(known.insert(name.clone(), tensor.clone())),
            _ => {}
        }
    }
    let Inside { kept, numbers, asked: inside, .. } = planner.inside;
    let kept = kept.into_iter().map(|(path, placed)| (path, placed.spec.clone(), handed.over(&placed))).collect();
    let inside = StopInside { asked: inside, kept, numbers };
    let Some(spec) = asked.first().map(|(_, spec)| spec).or(inside.asked.as_ref().map(|(_, spec)| spec)) else {
        return Err(Fault::Unsupported("a shape that is computed inside of an operator, on the GPU".into()));
    };
    let Handed(outputs) = handed;
    let inputs = outputs.iter().map(|(spec, _)| spec.clone()).collect();
    planner.draft.outputs = [(spec.clone(), storage)].into_iter().chain(outputs).collect();
    let stop = Stop { rest, asked, live, inside, inputs, known, next: Recent::new(RECENT_MAX) };
    Ok(Walked::Drafted(Box::new(planner.draft), Box::new(Then::Read(Box::new(stop)))))
}

/// What one plan hands over to the next, each block once.
#[derive(Default)]
struct Handed(Vec<(Spec, usize)>);

impl Handed {
    /// Which input of the next plan it is.
    fn over(&mut self, placed: &Placed) -> usize {
        let known = self.0.iter().position(|(_, storage)| *storage == placed.storage);
        known.unwrap_or_else(|| {
            self.0.push((placed.spec.clone(), placed.storage));
            self.0.len() - 1
        })
    }
}

/// Names that the rest uses, and outputs.
fn needed<'a>(graph: &'a Graph, rest: &'a [Task]) -> BTreeSet<&'a str> {
    let mut names: BTreeSet<&str> = graph.outputs.iter().map(|port| port.name.as_str()).collect();
    rest.iter().for_each(|task| task.used(&mut names));
    names
}
