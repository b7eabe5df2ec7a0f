//! `burst run`: a model or a guest, once, from `.npy` files to `.npy` files.

use super::{
    cluster::Joining,
    config::{self, Loaded},
    decode::Decode,
    house::{self, below_root},
    npu::Npu,
    npy,
    size::Size,
};
use burst_host::{
    loops::{
        models::{LoadError, Models},
        serve::{Answer, Request, Service},
    },
    nouns::{
        Manifest, Tensor,
        manifest::{AcceleratorChoice, Fallback, Fallbacks, Guest, MixedChoice, PoolConfig},
    },
    ports::Program,
};
use miette::{IntoDiagnostic, Result, WrapErr, bail, miette};
use std::{
    collections::BTreeMap,
    fs,
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Run a model or a guest once, from .npy files to .npy files
#[derive(clap::Args)]
pub struct Run {
    /// A model (`.onnx`), the directory of a cut model, or a guest (`.wasm`)
    file: PathBuf,
    /// An input, as `name=file.npy`; once for each
    #[arg(long, value_parser = pair)]
    input: Vec<(String, PathBuf)>,
    /// A model that the guest opens, as `name=file.onnx` or `name=directory`; once for each
    #[arg(long, value_parser = pair)]
    model: Vec<(String, PathBuf)>,
    /// Where the outputs go, as `<name>.npy`
    #[arg(long, default_value = ".")]
    output_dir: PathBuf,
    /// What computes graphs: auto, cpu, gpu, onnxruntime or npu
    #[arg(long, default_value = "auto", value_parser = config::accelerator)]
    accelerator: AcceleratorChoice,
    /// A part of the name of the GPU
    #[arg(long)]
    device: Option<String>,
    /// What computes a model that the accelerator lacks an operator of: onnxruntime, cpu or both, the first one first
    #[arg(long, value_parser = config::fallback, value_delimiter = ',')]
    fallback: Vec<Fallback>,
    /// What else may compute fragments of a cut model, where it is quicker: gpu, onnxruntime, cpu, npu or several
    #[arg(long, value_parser = config::mixed, value_delimiter = ',')]
    mixed: Vec<MixedChoice>,
    /// What it may hold in memory: 256MiB, 1GiB; of a larger cut model, fragments are read from disk for each run
    #[arg(long)]
    memory_max: Option<Size>,
    /// How long it may take; with --tokens, each step
    #[arg(long, default_value = "60000")]
    deadline_ms: NonZeroU64,
    #[command(flatten)]
    npu: Npu,
    #[command(flatten)]
    decode: Decode,
    #[command(flatten)]
    joining: Joining,
}

impl Run {
    pub async fn run(self) -> Result<()> {
        let inputs = self.inputs()?;
        if !self.file.is_dir() && self.joining.cluster()?.is_some() {
            bail!(help = "`burst split` cuts a model", "a cluster runs cut models only, which are directories");
        }
        self.may_be_mixed()?;
        let answer = match self.file.extension().and_then(|extension| extension.to_str()) {
            Some("onnx") => self.model(inputs).await?,
            Some("wasm") if self.decode.tokens.is_some() => bail!("--tokens goes on with a model, not with a guest"),
            Some("wasm") => self.guest(inputs).await?,
            _ if self.file.is_dir() => self.model(inputs).await?,
            _ => bail!("`{}` is neither a model (.onnx or a directory) nor a guest (.wasm)", self.file.display()),
        };
        fs::create_dir_all(&self.output_dir).into_diagnostic().wrap_err("the output directory")?;
        for (name, tensor) in &answer.outputs {
            let path = self.output_dir.join(format!("{}.npy", file_name(name)));
            npy::write(&path, tensor)?;
            println!("{name}: {} -> {}", tensor.spec(), path.display());
        }
        match answer.device {
            Some(device) => println!("computed by {device}"),
            None => println!("computed by the guest alone"),
        }
        Ok(())
    }

    /// A flag that would change nothing is refused.
    fn may_be_mixed(&self) -> Result<()> {
        let whole = self.file.extension().is_some_and(|extension| extension == "onnx") && !self.file.is_dir();
        if !self.mixed.is_empty() && whole {
            bail!(help = "`burst split` cuts a model", "--mixed is for cut models, which are directories");
        }
        if !self.mixed.is_empty() && self.joining.cluster()?.is_some() {
            bail!("--mixed is for this box, but the nodes of a cluster compute the fragments");
        }
        Ok(())
    }

    fn inputs(&self) -> Result<Vec<(String, Tensor)>> {
        self.input.iter().map(|(name, path)| Ok((name.clone(), npy::read(path)?))).collect()
    }

    async fn model(&self, inputs: Vec<(String, Tensor)>) -> Result<Answer> {
        let deadline = Duration::from_millis(self.deadline_ms.get());
        // In a cluster as long as it takes this node's rounds go on.
        let (models, program, _rounds) = self.load(deadline).await?;
        if let Some(count) = self.decode.tokens {
            let (tokens, device) = self.decode.run(count, program, &*models.accelerator, inputs, deadline).await?;
            return Ok(Answer { outputs: vec![("tokens".into(), tokens)], device: Some(device), step: None });
        }
        let signature = program.signature();
        let specs = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.spec()));
        signature.admits(specs).map_err(|why| miette!(help = format!("the model is {signature}"), "{why}"))?;
        let find = |name: &String| inputs.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor.clone());
        let ordered = signature.inputs.iter().filter_map(|port| find(&port.name)).collect();
        let (tensors, device) = program.run_told(ordered, Instant::now() + deadline).await.into_diagnostic()?;
        let mut outputs = Vec::new();
        for (port, tensor) in signature.outputs.iter().zip(&tensors) {
            outputs.push((port.name.clone(), models.accelerator.download(tensor).await.into_diagnostic()?));
        }
        Ok(Answer { outputs, device: Some(device), step: None })
    }

    /// The model on this machine, or over the cluster that flags name.
    async fn load(&self, deadline: Duration) -> Result<(Models, Arc<dyn Program>, JoinSet<()>)> {
        let file = below_root(&self.file)?;
        let (models, rounds) = match self.joining.cluster()? {
            None => (house::models(&self.house()?).await?, JoinSet::new()),
            Some((cluster, base)) => house::models_over(&self.house()?, &cluster, &base).await?,
        };
        let load = async {
            let (digest, program) = models.load(&file, &models.accelerator).await?;
            program.ready().await;
            Ok::<_, LoadError>((digest, program))
        };
        let loaded = match rounds.is_empty() {
            true => load.await.into_diagnostic(),
            false => match tokio::time::timeout(deadline, load).await {
                Ok(loaded) => loaded.into_diagnostic(),
                Err(_) => Err(miette!("the nodes of the cluster don't hold all of it after {deadline:?}")),
            },
        };
        let (_, program) = loaded.wrap_err_with(|| format!("the model `{}`", self.file.display()))?;
        program.parts().iter().for_each(|part| println!("{part}"));
        Ok((models, program, rounds))
    }

    async fn guest(&self, inputs: Vec<(String, Tensor)>) -> Result<Answer> {
        let loaded = self.manifest()?;
        let deployer = house::deployer(&loaded).await?;
        let config = &loaded.manifest.guests[GUEST];
        let deployment = deployer.deploy(GUEST, config, BTreeMap::new()).await.into_diagnostic()?;
        let service = Service::default();
        service.insert(Arc::new(deployment));
        service
            .answer(Request { guest: GUEST.into(), inputs, sequence: None, timeout: None, id: None })
            .await
            .into_diagnostic()
    }

    /// A manifest without guests.
    fn house(&self) -> Result<Manifest> {
        Ok(Manifest {
            accelerator: self.accelerator,
            npu: self.npu.config().map_err(|why| miette!("{why}"))?,
            device: self.device.clone(),
            fallback: Fallbacks(self.fallback.clone()),
            mixed: self.mixed.clone(),
            memory_max_bytes: self.memory_max.and_then(|Size(bytes)| NonZeroU64::new(bytes)),
            ..Manifest::default()
        })
    }

    /// The smallest manifest around one guest; paths start at the root, because a guest and its models may lie anywhere.
    fn manifest(&self) -> Result<Loaded> {
        let models = self.model.iter().map(|(name, path)| Ok((name.clone(), below_root(path)?)));
        let mut guest: Guest = serde_json::from_value(serde_json::json!({ "component": below_root(&self.file)? }))
            .into_diagnostic()
            .wrap_err("the guest")?;
        guest.models = models.collect::<Result<_>>()?;
        guest.pool = PoolConfig { ready: 0, max: NonZeroUsize::MIN, ..PoolConfig::default() };
        guest.limits.deadline_ms = self.deadline_ms;
        let mut manifest = self.house()?;
        manifest.guests.insert(GUEST.into(), guest);
        Ok(Loaded { manifest, base: "/".into() })
    }
}

/// What the one guest is called.
const GUEST: &str = "guest";

/// Reads the words of `--input`.
pub fn pair(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("it is name=file")?;
    Ok((name.into(), path.into()))
}

/// An output's name may hold slashes; a file's may not.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    name.chars().map(plain).collect::<String>().trim_start_matches('.').to_owned()
}
