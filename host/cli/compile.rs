//! `burst compile`: a model as a guest. The guest is the same for every model; the model is a section behind its code.

use super::{house, store::Store};
use burst_host::mechanisms::embedded;
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::path::{Path, PathBuf};

/// `guests/graph`, built by `just graph-guest`: whoever compiles a model needs no Rust.
const GUEST: &[u8] = include_bytes!("../../guests/graph/graph.wasm");

/// Make a guest of a model: a component with the graph inside and its weights in blobs beside it
#[derive(clap::Args)]
pub struct Compile {
    /// The model (`.onnx`)
    model: PathBuf,
    /// The component; weights go into `blobs/` beside it
    #[arg(short, long)]
    output: PathBuf,
}

impl Compile {
    pub async fn run(self) -> Result<()> {
        let models = house::models(&house::on_cpu()).await?;
        let graph = models.read(&house::below_root(&self.model)?).await.into_diagnostic();
        let graph = graph.wrap_err_with(|| format!("the model `{}`", self.model.display()))?;
        let directory = self.output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = self.output.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| miette!("`{}` names no file", self.output.display()))?;
        let store = Store::open(directory)?;
        let stored = store.weights(&graph)?;
        let component = component(&stored.model)?;
        store.put(name, &component)?;
        println!("{}: {} bytes, {} blobs", self.output.display(), component.len(), stored.blobs.len());
        println!("  model      {}", graph.signature());
        Ok(())
    }
}

/// A guest that answers with this model.
pub fn component(model: &[u8]) -> Result<Vec<u8>> {
    embedded::embed(GUEST, model).into_diagnostic()
}
