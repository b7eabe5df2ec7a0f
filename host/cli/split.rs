//! `burst split`: cuts a model into fragments, each a model of its own, and keeps their weights by digest.

use super::{compile, house, promise, size::Size, store::Store};
use burst_adapters::cpu;
use burst_host::{
    loops::models::Models,
    mechanisms::split::{self, Piece, Values, Wanted},
    nouns::{Digest, Fragment, Graph, Plan, Port},
};
use miette::{IntoDiagnostic, Result, WrapErr, bail};
use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

/// Cut a model into fragments that compute, one after the other, what it computes
#[derive(clap::Args)]
pub struct Split {
    /// The model (`.onnx`)
    model: PathBuf,
    /// How many fragments, as equal in memory as the model's cuts allow
    #[arg(long, required_unless_present = "memory_max", conflicts_with = "memory_max")]
    parts: Option<NonZeroUsize>,
    /// What each fragment may hold, weights and activations together: 256MiB, 1GiB; as few fragments as that takes
    #[arg(long)]
    memory_max: Option<Size>,
    /// Where the fragments go; the directory must be empty or not be there
    #[arg(short, long)]
    output: PathBuf,
    /// What extents that the model leaves open are taken for when sizes are compared
    #[arg(long, default_value = "1")]
    open_extent: NonZeroUsize,
    /// Rows of a request that a cluster computes at a time, so that its nodes compute side by side. Say so only of a model
    /// whose rows, along the first axis of all inputs and outputs, don't know of each other
    #[arg(long)]
    micro_batch: Option<NonZeroUsize>,
}

impl Split {
    pub async fn run(self) -> Result<()> {
        let models = house::models(&house::on_cpu()).await?;
        let named = || format!("the model `{}`", self.model.display());
        let graph = read(&models, &self.model).await.wrap_err_with(named)?;
        if self.micro_batch.is_some() {
            promise::rows(&models, &self.model, &graph.signature()).await.wrap_err_with(named)?;
        }
        let pieces = {
            let (graph, open, wanted) = (graph.clone(), self.open_extent.get(), self.wanted()?);
            let cut = tokio::task::spawn_blocking(move || split::split(&graph, &values(&graph, open), wanted));
            cut.await.into_diagnostic()?.into_diagnostic().wrap_err_with(named)?
        };
        let plan = write(&self.output, &graph, &pieces, self.micro_batch)?;
        print(&plan);
        Ok(())
    }

    fn wanted(&self) -> Result<Wanted> {
        match (self.parts, self.memory_max) {
            (Some(parts), _) if parts.get() > Plan::FRAGMENTS_MAX => {
                bail!("a model has at most {} fragments", Plan::FRAGMENTS_MAX)
            }
            (Some(parts), _) => Ok(Wanted::Parts(parts)),
            (None, Some(Size(limit))) => Ok(Wanted::MemoryMax(limit)),
            (None, None) => bail!("how? --parts N or --memory-max 256MiB"),
        }
    }
}

/// Reads a model by its path.
async fn read(models: &Models, path: &Path) -> Result<Graph> {
    models.read(&house::below_root(path)?).await.into_diagnostic()
}

/// What the CPU accelerator knows of the values; where it lacks an operator, what the file says of them.
fn values(graph: &Graph, open: usize) -> Values {
    cpu::infer(graph, open).unwrap_or_else(|fault| {
        tracing::warn!("sizes are those that the model tells, the CPU can't find them out: {fault}");
        cpu::declared(graph, open)
    })
}

/// Writes blobs, fragments, and last the plan: a directory with a plan is whole.
fn write(directory: &Path, graph: &Graph, pieces: &[Piece], micro_batch: Option<NonZeroUsize>) -> Result<Plan> {
    let named = || format!("`{}`", directory.display());
    fs::create_dir_all(directory).into_diagnostic().wrap_err_with(named)?;
    if fs::read_dir(directory).into_diagnostic().wrap_err_with(named)?.next().is_some() {
        bail!("`{}` is not empty", directory.display());
    }
    let store = Store::open(directory)?;
    let fragments = pieces.iter().enumerate().map(|(index, piece)| write_fragment(&store, index, piece));
    let signature = graph.signature();
    let plan = Plan {
        version: Plan::VERSION,
        model: graph.name.clone(),
        inputs: names(signature.inputs),
        outputs: names(signature.outputs),
        micro_batch,
        fragments: fragments.collect::<Result<_>>()?,
    };
    store.put(Plan::FILE, &plan.print().into_diagnostic()?)?;
    Ok(plan)
}

fn write_fragment(store: &Store, index: usize, piece: &Piece) -> Result<Fragment> {
    let stored = store.weights(&piece.graph)?;
    let component = compile::component(&stored.model)?;
    let signature = piece.graph.signature();
    let fragment = Fragment {
        name: format!("fragment-{index}"),
        model: Digest::of(&stored.model),
        component: Digest::of(&component),
        inputs: names(signature.inputs),
        outputs: names(signature.outputs),
        blobs: stored.blobs,
        ops: piece.graph.ops.len(),
        memory: piece.memory,
        received_bytes: piece.received_bytes,
    };
    store.put(&fragment.model_file(), &stored.model)?;
    store.put(&fragment.component_file(), &component)?;
    Ok(fragment)
}

fn names(ports: Vec<Port>) -> Vec<String> {
    ports.into_iter().map(|port| port.name).collect()
}

fn print(plan: &Plan) {
    println!(
        "{:<18} {:>5} {:>11} {:>11} {:>11} {:>11}",
        "fragment", "ops", "weights", "state", "activations", "received"
    );
    for fragment in &plan.fragments {
        let memory = &fragment.memory;
        let sizes = [memory.weight_bytes, memory.state_bytes, memory.activation_bytes, fragment.received_bytes];
        let [weights, state, activations, received] = sizes.map(|bytes| Size(bytes).to_string());
        let Fragment { name, ops, .. } = fragment;
        println!("{name:<18} {ops:>5} {weights:>11} {state:>11} {activations:>11} {received:>11}");
    }
}
