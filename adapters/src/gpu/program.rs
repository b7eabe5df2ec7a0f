//! A model loaded on the GPU: its weights once, a trail of plans for each set of shapes.

use super::{
    device::Gpu,
    elements,
    fold::Folds,
    lower,
    memory::{Block, Memory},
    pattern,
    planning::{Planning, off_reactor},
    recent::Recent,
    task::Task,
    trail::{RECENT_MAX, Start, Then, Trail},
    transfer,
    weights::Weights,
};
use burst_host::nouns::{Extent, Fault, Graph, Ledger, Op, Port, Signature, Spec, Tensor};
use bytes::Bytes;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Times that a run may stop to read numbers back.
const STOPS_MAX: usize = 256;

/// A graph loaded on one device.
pub struct GpuProgram {
    pub(super) gpu: Arc<Gpu>,
    /// For weights and plans.
    pub(super) memory: Memory,
    pub(super) graph: Arc<Graph>,
    /// All that it does.
    pub(super) tasks: Vec<Task>,
    pub(super) weights: Weights,
    pub(super) folds: Arc<Folds>,
    pub(super) signature: Signature,
    /// Inputs whose numbers decide over shapes; learned from the first plan.
    by_value: Mutex<BTreeSet<usize>>,
    trails: Recent<Key, Trail>,
    planning: Planning,
}

/// What a trail was made for.
#[derive(PartialEq, Eq, Clone)]
pub(super) struct Key {
    pub specs: Vec<Spec>,
    /// Contents of the inputs that decide over shapes.
    pub values: Vec<(usize, Bytes)>,
}

impl GpuProgram {
    /// Checks that every operator is known here, for its elements too, and makes the plan of a graph whose extents are.
    pub async fn load(gpu: Arc<Gpu>, memory: Memory, graph: Arc<Graph>) -> Result<Arc<Self>, Fault> {
        supported(&graph.ops)?;
        off_reactor(move || async move { Self::prepared(gpu, memory, graph).await.map(Arc::new) }).await
    }

    async fn prepared(gpu: Arc<Gpu>, memory: Memory, graph: Arc<Graph>) -> Result<Self, Fault> {
        let folds = Arc::new(Folds::new(gpu.binding_max(), &graph));
        let mut program = Self {
            gpu,
            memory,
            signature: graph.signature(),
            tasks: pattern::tasks(&graph),
            graph,
            weights: Weights::default(),
            folds,
            by_value: Mutex::default(),
            trails: Recent::new(RECENT_MAX),
            planning: Planning::default(),
        };
        let whole = match fixed(&program.graph.inputs) {
            Some(specs) => program.prepare(specs).await?,
            None => false,
        };
        if !whole {
            let found = elements::check(&program)?;
            doubt(&mut program.signature.outputs, &found);
        }
        Ok(program)
    }

    /// Says whether all that it does is planned.
    async fn prepare(&mut self, specs: Vec<Spec>) -> Result<bool, Fault> {
        let key = Key { specs, values: Vec::new() };
        match Trail::first(self, &key).await? {
            Start::Made(trail) => {
                for (port, spec) in self.signature.outputs.iter_mut().zip(trail.specs()) {
                    port.element = Some(spec.element);
                    port.shape = Some(spec.shape.extents().iter().map(|&extent| Extent::Fixed(extent)).collect());
                }
                let trail = self.trails.keep(key, *trail);
                Ok(matches!(trail.then, Then::End(_)))
            }
            Start::NeedsInput(index) => {
                self.needs(index);
                Ok(false)
            }
        }
    }

    fn needs(&self, input: usize) -> bool {
        self.by_value.lock().unwrap_or_else(PoisonError::into_inner).insert(input)
    }

    async fn trail(self: &Arc<Self>, inputs: &[Tensor], deadline: Instant) -> Result<Arc<Trail>, Fault> {
        loop {
            let wanted = self.by_value.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let key = self.key(inputs, &wanted).await?;
            let (program, own) = (self.clone(), key.clone());
            let begin = move || async move { program.begin(own).await };
            if let Some(trail) = self.planning.plan(deadline, || self.trails.get(&key).map(Some), begin).await? {
                return Ok(trail);
            }
        }
    }

    /// Makes a trail; `None` where an input turns out to decide over shapes.
    async fn begin(&self, key: Key) -> Result<Option<Arc<Trail>>, Fault> {
        match Trail::first(self, &key).await? {
            Start::Made(trail) => Ok(Some(self.trails.keep(key, *trail))),
            Start::NeedsInput(index) => {
                self.needs(index);
                Ok(None)
            }
        }
    }

    /// The trail that goes on behind a stop with these numbers.
    async fn further(
        self: &Arc<Self>,
        trail: &Arc<Trail>,
        numbers: Tensor,
        deadline: Instant,
    ) -> Result<Arc<Trail>, Fault> {
        let contents = numbers.contents().cloned().unwrap_or_default();
        let (program, behind, own) = (self.clone(), trail.clone(), contents.clone());
        let next = move || async move { behind.next(&program, own).await };
        self.planning.plan(deadline, || trail.known(&contents), next).await
    }

    async fn key(&self, inputs: &[Tensor], wanted: &BTreeSet<usize>) -> Result<Key, Fault> {
        let mut values = Vec::new();
        for &index in wanted {
            let host = transfer::download(&self.gpu, &inputs[index]).await?;
            values.push((index, host.contents().cloned().unwrap_or_default()));
        }
        Ok(Key { specs: inputs.iter().map(|input| input.spec().clone()).collect(), values })
    }

    async fn blocks(&self, tensors: &[Tensor], memory: &Memory) -> Result<Vec<Arc<Block>>, Fault> {
        let mut blocks = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            blocks.push(transfer::place(&self.gpu, memory, tensor).await?);
        }
        Ok(blocks)
    }
}

/// Keeps what the outputs are declared to be as far as it was found as well. What was not found may have any shape.
fn doubt(outputs: &mut [Port], found: &[Option<Spec>]) {
    for (port, found) in outputs.iter_mut().zip(found) {
        let Some(spec) = found else {
            port.shape = None;
            continue;
        };
        port.element = port.element.or(Some(spec.element));
        port.doubt(&spec.shape.extents().iter().copied().map(Some).collect::<Vec<_>>());
    }
}

/// The specs of inputs that are all fixed.
fn fixed(ports: &[Port]) -> Option<Vec<Spec>> {
    let extent = |extent: &Extent| if let Extent::Fixed(extent) = extent { Some(*extent) } else { None };
    let spec = |port: &Port| {
        let extents: Option<Vec<usize>> = port.shape.as_ref()?.iter().map(extent).collect();
        Spec::new(port.element?, extents?).ok()
    };
    ports.iter().map(spec).collect()
}

/// `Unsupported` with the first operator that is not known here.
fn supported(ops: &[Op]) -> Result<(), Fault> {
    for op in ops {
        lower::known(op)?;
        for graph in op.graphs() {
            supported(&graph.ops)?;
        }
    }
    Ok(())
}

impl GpuProgram {
    /// Computes every output, into `memory`; counts as one of `runs` until the device has done it.
    pub async fn run(
        self: &Arc<Self>,
        inputs: &[Tensor],
        deadline: Instant,
        memory: &Memory,
        runs: &Ledger,
    ) -> Result<Vec<Tensor>, Fault> {
        self.signature.fits(inputs)?;
        in_time(deadline)?;
        let mut trail = self.trail(inputs, deadline).await?;
        let mut given = self.blocks(inputs, memory).await?;
        for _ in 0..STOPS_MAX {
            in_time(deadline)?;
            let flight = self.gpu.admit(runs, deadline).await?;
            let computed = trail.plan.run(&self.gpu, memory, &given).await?;
            self.gpu.launch(flight);
            match &trail.then {
                Then::End(outputs) => return Ok(outputs.iter().map(|output| output.of(&computed)).collect()),
                Then::Read(_) => {
                    let numbers = transfer::download(&self.gpu, &computed[0]).await?;
                    given = self.blocks(&computed[1..], memory).await?;
                    trail = self.further(&trail, numbers, deadline).await?;
                }
            }
        }
        Err(Fault::Unsupported(format!("more than {STOPS_MAX} shapes that are computed from data, on the GPU")))
    }
}

fn in_time(deadline: Instant) -> Result<(), Fault> {
    if Instant::now() < deadline { Ok(()) } else { Err(Fault::TimedOut) }
}
