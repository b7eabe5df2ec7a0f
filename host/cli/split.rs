//! `burst split`: cuts a model into fragments, each a model of its own, and keeps their weights by digest.

use super::{house, size::Size};
use burst_adapters::{cpu, onnx};
use burst_host::{
    loops::models::Models,
    mechanisms::split::{self, Piece, Values, Wanted},
    nouns::{Digest, Fragment, Graph, Plan},
};
use miette::{IntoDiagnostic, Report, Result, WrapErr, bail, miette};
use std::{
    collections::BTreeSet,
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

/// The largest blob: what registries take as one layer.
const BLOB_MAX_BYTES: usize = 1 << 30;

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
}

impl Split {
    pub async fn run(self) -> Result<()> {
        let models = house::models(&house::on_cpu()).await?;
        let named = || format!("the model `{}`", self.model.display());
        let graph = read(&models, &self.model).await.wrap_err_with(named)?;
        let pieces = {
            let (graph, open, wanted) = (graph.clone(), self.open_extent.get(), self.wanted()?);
            let cut = tokio::task::spawn_blocking(move || split::split(&graph, &values(&graph, open), wanted));
            cut.await.into_diagnostic()?.into_diagnostic().wrap_err_with(named)?
        };
        let plan = write(&self.output, &graph, &pieces)?;
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
fn write(directory: &Path, graph: &Graph, pieces: &[Piece]) -> Result<Plan> {
    let named = |path: &Path| format!("`{}`", path.display());
    let blobs = directory.join(Fragment::blob_directory());
    fs::create_dir_all(directory).into_diagnostic().wrap_err_with(|| named(directory))?;
    if fs::read_dir(directory).into_diagnostic().wrap_err_with(|| named(directory))?.next().is_some() {
        bail!("`{}` is not empty", directory.display());
    }
    fs::create_dir_all(&blobs).into_diagnostic().wrap_err_with(|| named(&blobs))?;
    let mut fragments = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        fragments.push(write_fragment(directory, index, piece)?);
    }
    let names = |ports: &[burst_host::nouns::Port]| ports.iter().map(|port| port.name.clone()).collect();
    let plan = Plan {
        version: Plan::VERSION,
        model: graph.name.clone(),
        inputs: names(&graph.inputs),
        outputs: names(&graph.outputs),
        fragments,
    };
    put(&directory.join(Plan::FILE), &plan.print().into_diagnostic()?)?;
    Ok(plan)
}

fn write_fragment(directory: &Path, index: usize, piece: &Piece) -> Result<Fragment> {
    let mut blobs = BTreeSet::new();
    let model = onnx::encode_apart(&piece.graph, |contents| {
        if contents.len() > BLOB_MAX_BYTES {
            return Err(Wrong(miette!("a tensor has {} bytes, a blob at most {BLOB_MAX_BYTES}", contents.len())));
        }
        let digest = Digest::of(contents);
        let location = Fragment::blob(&digest);
        // Several fragments, and several tensors of one, may share it.
        if blobs.insert(digest) && !directory.join(&location).exists() {
            put(&directory.join(&location), contents).map_err(Wrong)?;
        }
        Ok(location)
    });
    let model = model.map_err(|Wrong(report)| report)?;
    let file = format!("fragment-{index}.onnx");
    put(&directory.join(&file), &model)?;
    let signature = piece.graph.signature();
    Ok(Fragment {
        file,
        digest: Digest::of(&model),
        inputs: signature.inputs.into_iter().map(|port| port.name).collect(),
        outputs: signature.outputs.into_iter().map(|port| port.name).collect(),
        blobs: blobs.into_iter().collect(),
        ops: piece.graph.ops.len(),
        memory: piece.memory,
        received_bytes: piece.received_bytes,
    })
}

struct Wrong(Report);

impl From<onnx::OnnxError> for Wrong {
    fn from(error: onnx::OnnxError) -> Self {
        Self(miette!("{error}"))
    }
}

/// Whole or not there: what is found under a digest is what the digest says.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let half = path.with_extension("part");
    let written = fs::write(&half, bytes).and_then(|()| fs::rename(&half, path));
    written.into_diagnostic().wrap_err_with(|| format!("can't write `{}`", path.display()))
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
        let Fragment { file, ops, .. } = fragment;
        println!("{file:<18} {ops:>5} {weights:>11} {state:>11} {activations:>11} {received:>11}");
    }
}
