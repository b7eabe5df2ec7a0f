//! NPUs, behind ONNX Runtime: one device of one execution provider computes every operator of a model, or the model is
//! refused. Nothing else stands in for it.

mod blobs;
mod buckets;
mod error;
mod integers;
mod placement;
mod program;
mod provider;
mod refusals;
mod values;

use super::{Options, compat::modern, fault, runtime::Runtime, session::Session};
use crate::{
    cpu::{on_host, view, workers::Workers},
    onnx,
};
use blobs::Blobs;
use buckets::{Buckets, Lengths};
use burst_host::{
    mechanisms::cache::Cache,
    nouns::{
        Account, Attribute, Digest, Fault, Frame, Graph, Op, Signature, Tensor, View, manifest::NpuConfig,
        manifest::NpuProvider,
    },
    ports::{Accelerator, Device, Program},
};
pub use error::NpuError;
use futures::future::BoxFuture;
pub use placement::Placed;
use program::{Compiled, NpuProgram, Shapes};
use provider::Provider;
use refusals::Refusals;
use std::{fs, path::Path, sync::Arc};

/// One device of one execution provider.
#[derive(Clone)]
pub struct NpuAccelerator {
    device: Arc<Device>,
    workers: Arc<Workers>,
    compiler: Arc<Compiler>,
}

/// What makes sessions of graphs.
struct Compiler {
    runtime: Arc<Runtime>,
    provider: Provider,
    buckets: Arc<Buckets>,
    blobs: Option<Blobs>,
}

impl NpuAccelerator {
    /// Loads ONNX Runtime and the provider, and lets its device compute something. What it compiles is kept in the cache.
    pub fn open(options: &Options, config: &NpuConfig, cache: Option<&Cache>) -> Result<Self, NpuError> {
        let runtime = Runtime::start(options).map_err(NpuError::Library)?;
        let provider = Provider::open(config, &runtime)?;
        let workers = Workers::start(options.threads);
        let workers = workers.map_err(|fault| NpuError::Library(super::LibraryError::NotStarted(fault.to_string())))?;
        let subject = format!("{} {} {} {:?}", runtime.version, provider.name, provider.device, config.options);
        let blobs = cache.map(|cache| Blobs::new(cache, subject));
        let device = Arc::new(provider.describe(&runtime));
        let compiler = Compiler { runtime, provider, buckets: Arc::new(Buckets::new(config)), blobs };
        Ok(Self { device, workers: Arc::new(workers), compiler: Arc::new(compiler) })
    }

    /// Which operators of a model the NPU takes, at the first of the model's shapes. `Unsupported` for a model that is
    /// refused before that.
    pub async fn placement(&self, graph: &Graph) -> Result<Vec<Placed>, Fault> {
        let (graph, compiler) = (graph.clone(), self.compiler.clone());
        self.workers.run(None, move || compiler.placement(&graph)).await
    }
}

impl Accelerator for NpuAccelerator {
    fn describe(&self) -> &Device {
        &self.device
    }

    fn for_account(&self, _: &Account) -> Arc<dyn Accelerator> {
        Arc::new(self.clone())
    }

    /// Host memory is where sessions read best.
    fn upload(&self, tensor: Tensor) -> BoxFuture<'_, Result<Tensor, Fault>> {
        Box::pin(async move {
            on_host(&tensor)?;
            Ok(tensor)
        })
    }

    fn download<'a>(&'a self, tensor: &'a Tensor) -> BoxFuture<'a, Result<Tensor, Fault>> {
        Box::pin(async move {
            on_host(tensor)?;
            Ok(tensor.clone())
        })
    }

    fn view<'a>(&'a self, frame: &'a Frame, view: &'a View) -> BoxFuture<'a, Result<Tensor, Fault>> {
        Box::pin(async move {
            let (frame, view) = (frame.clone(), *view);
            self.workers.run(None, move || view::view(&frame, &view)).await
        })
    }

    fn load<'a>(&'a self, graph: &'a Graph) -> BoxFuture<'a, Result<Arc<dyn Program>, Fault>> {
        Box::pin(async move {
            let (graph, compiler) = (graph.clone(), self.compiler.clone());
            let (signature, shapes) = self.workers.run(None, move || compiler.compile(&graph)).await?;
            let (device, workers) = (self.device.clone(), self.workers.clone());
            Ok(Arc::new(NpuProgram { signature, device, workers, shapes: Arc::new(shapes) }) as Arc<dyn Program>)
        })
    }
}

impl Compiler {
    /// A session for each shape.
    fn compile(&self, graph: &Graph) -> Result<(Signature, Shapes), Fault> {
        let graph = prepared(graph)?;
        let combinations = self.buckets.combinations(&graph.signature())?;
        let compiled = combinations.into_iter().map(|lengths| self.compile_at(&graph, lengths));
        let compiled = compiled.collect::<Result<Vec<_>, _>>()?;
        // What the graph declares, with elements that are inferred where it does not.
        let mut signature = graph.signature();
        for (index, port) in signature.outputs.iter_mut().enumerate() {
            port.element = compiled.first().and_then(|compiled| compiled.session.signature.outputs[index].element);
        }
        Ok((signature, Shapes { buckets: self.buckets.clone(), compiled }))
    }

    fn compile_at(&self, graph: &Graph, lengths: Lengths) -> Result<Compiled, Fault> {
        let graph = buckets::fixed(graph, &lengths);
        let refusals = Refusals::of(&graph, &values::infer(&graph, &self.runtime)?)?;
        let session = match &self.blobs {
            None => self.session(&graph, &[], &[]),
            Some(blobs) => {
                let kept = blobs.with(&digest(&graph)?, |directory| self.session_kept_in(directory, &graph));
                kept.unwrap_or_else(|error| {
                    tracing::warn!(%error, "a model compiled for the NPU is not cached");
                    self.session(&graph, &[], &[])
                })
            }
        };
        Ok(Compiled { lengths, session: session?, refusals })
    }

    /// A session of what the directory has of the graph; what it lacks is compiled, and written there.
    fn session_kept_in(&self, directory: &Path, graph: &Graph) -> Result<Session, Fault> {
        if self.provider.name == NpuProvider::OpenVino {
            // It can't open the contexts that it writes for its CPU device.
            return self.session(graph, &[("cache_dir", &directory.to_string_lossy())], &[]);
        }
        let file = directory.join("context.onnx");
        if let Ok(context) = fs::read(&file) {
            match self.session_of(&context, graph) {
                Ok(session) => return Ok(session),
                // Another driver, most likely.
                Err(reason) => tracing::warn!(%reason, "a model compiled for the NPU is compiled again"),
            }
        }
        let path = file.to_string_lossy();
        let entries = [("ep.context_enable", "1"), ("ep.context_embed_mode", "1"), ("ep.context_file_path", &*path)];
        // It is not written over.
        let _ = fs::remove_file(&file);
        self.session(graph, &[], &entries)
    }

    fn session(&self, graph: &Graph, options: &[(&str, &str)], entries: &[(&str, &str)]) -> Result<Session, Fault> {
        let mut builder = self.provider.only(options, &self.runtime).map_err(fault::of_load)?;
        for (key, value) in entries {
            builder = builder.with_config_entry(key, value).map_err(|error| fault::of_load(error.into()))?;
        }
        Session::with_options(graph, builder, &self.runtime).map_err(|fault| match fault {
            Fault::Unsupported(reason) if reason.contains("assigned to the default CPU EP") => self.left(graph, reason),
            fault => fault,
        })
    }

    /// A session of what the provider compiled of a graph.
    fn session_of(&self, context: &[u8], graph: &Graph) -> Result<Session, Fault> {
        let builder = self.provider.only(&[], &self.runtime).map_err(fault::of_load)?;
        Session::of_context(context, graph, builder, &self.runtime)
    }

    /// The operators that the NPU does not take, by name.
    fn left(&self, graph: &Graph, reason: String) -> Fault {
        let Ok(placed) = placement::placement(graph, &self.provider, &self.runtime) else {
            return Fault::Unsupported(reason);
        };
        let left = placed.iter().filter(|placed| placed.is_left());
        let left: Vec<_> = left.map(|placed| format!("{} ({})", placed.operator, placed.count)).collect();
        let device = format!("{} {}", self.provider.name, self.provider.device);
        Fault::Unsupported(format!("operators that {device} does not take: {}", left.join(", ")))
    }

    fn placement(&self, graph: &Graph) -> Result<Vec<Placed>, Fault> {
        let graph = prepared(graph)?;
        let combinations = self.buckets.combinations(&graph.signature())?;
        let graph = buckets::fixed(&graph, &combinations[0]);
        placement::placement(&graph, &self.provider, &self.runtime)
    }
}

/// The graph as it is checked and compiled: without functions, with constants in one place and a name for each open axis.
fn prepared(graph: &Graph) -> Result<Graph, Fault> {
    const TARGET: onnx::Target = onnx::Target { name: "NPU", native: |_, _| true };
    let mut graph = buckets::named(&onnx::plain(&modern(graph)?, &onnx::Limits::default(), &TARGET)?)?;
    for op in std::mem::take(&mut graph.ops) {
        match constant(&op)? {
            Some(tensor) => graph.constants.push((op.outputs[0].clone(), tensor)),
            None => graph.ops.push(op),
        }
    }
    Ok(graph)
}

/// The tensor that a `Constant` gives.
fn constant(op: &Op) -> Result<Option<Tensor>, Fault> {
    use burst_host::nouns::Element::{Fp32, I64};
    if op.kind != "Constant" || !op.domain.is_empty() || op.outputs.len() != 1 {
        return Ok(None);
    }
    let tensor = match op.attributes.first() {
        Some((name, Attribute::Tensor(tensor))) if name == "value" => Ok(tensor.clone()),
        Some((_, Attribute::Int(number))) => Tensor::from_slice(I64, [], &[*number]),
        Some((_, Attribute::Ints(numbers))) => Tensor::from_slice(I64, [numbers.len()], numbers),
        Some((_, Attribute::Float(number))) => Tensor::from_slice(Fp32, [], &[*number]),
        Some((_, Attribute::Floats(numbers))) => Tensor::from_slice(Fp32, [numbers.len()], numbers),
        _ => return Ok(None),
    };
    tensor.map(Some).map_err(|error| Fault::Invalid(error.to_string()))
}

/// Of the model with its weights.
fn digest(graph: &Graph) -> Result<Digest, Fault> {
    let mut digester = burst_host::nouns::Digester::default();
    let model = onnx::encode_apart(graph, |name, contents| {
        digester.update(contents);
        Ok::<_, onnx::OnnxError>(name.to_owned())
    })?;
    digester.update(&model);
    Ok(digester.digest())
}
