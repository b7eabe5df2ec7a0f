//! `burst profile`: how long each fragment of a cut model takes here.

use super::{
    config,
    house::{self, below_root},
    npy,
    run::pair,
};
use burst_host::{
    mechanisms::measure::measure,
    nouns::{Digest, Manifest, Measured, Plan, Profile, manifest::AcceleratorChoice},
};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::{
    collections::HashMap,
    fs,
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

/// Measure how long each fragment of a cut model takes on this machine
#[derive(clap::Args)]
pub struct Measure {
    /// The directory of the cut model
    model: PathBuf,
    /// Where the measurements go
    #[arg(short, long)]
    output: PathBuf,
    /// An input, as `name=file.npy`; zeros for those that are not given
    #[arg(long, value_parser = pair)]
    input: Vec<(String, PathBuf)>,
    /// The most runs of each fragment
    #[arg(long, default_value = "50")]
    runs: NonZeroUsize,
    /// How long each fragment is measured at most, after its first run
    #[arg(long, default_value = "2000")]
    fragment_ms: NonZeroU64,
    /// What computes graphs: auto, cpu, gpu, onnxruntime or npu
    #[arg(long, default_value = "auto", value_parser = config::accelerator)]
    accelerator: AcceleratorChoice,
    /// A part of the name of the GPU
    #[arg(long)]
    device: Option<String>,
}

impl Measure {
    pub async fn run(self) -> Result<()> {
        let models = house::models(&self.house()).await?;
        let directory = below_root(&self.model)?;
        let named = || format!("the cut model `{}`", self.model.display());
        let (digest, plan) = models.plan(&directory).await.into_diagnostic().wrap_err_with(named)?;
        let mut values = HashMap::new();
        for (name, path) in &self.input {
            values.insert(name.clone(), npy::read(path)?);
        }
        let mut measured = Vec::new();
        for fragment in &plan.fragments {
            let program = models
                .fragment(&directory, fragment, &*models.accelerator)
                .await
                .into_diagnostic()
                .wrap_err_with(named)?;
            let mut inputs = Vec::new();
            for port in &program.signature().inputs {
                let value = values.get(&port.name).cloned().map_or_else(|| port.zeros(|_| 1), Ok);
                let help = || format!("give it with --input {}=file.npy", port.name);
                let value = value.map_err(|fault| miette!(help = help(), "{fault}"))?;
                inputs.push(models.accelerator.upload(value).await.into_diagnostic()?);
            }
            let window = Duration::from_millis(self.fragment_ms.get());
            let timed = measure(&*program, &*models.accelerator, inputs, self.runs, window).await;
            let (times, outputs) = timed.into_diagnostic().wrap_err_with(|| fragment.name.clone())?;
            println!("{:<18} {:>10.1} µs, {} runs", fragment.name, times.compute_us, times.runs);
            measured.push(times);
            let names = program.signature().outputs.iter().map(|port| port.name.clone());
            values.extend(names.zip(outputs));
        }
        self.write(digest, &plan, models.accelerator.describe().to_string(), measured)
    }

    /// A manifest without guests.
    fn house(&self) -> Manifest {
        Manifest { accelerator: self.accelerator, device: self.device.clone(), ..Manifest::default() }
    }

    fn write(&self, plan: Digest, whole: &Plan, device: String, fragments: Vec<Measured>) -> Result<()> {
        let total: f64 = fragments.iter().map(|measured| measured.compute_us).sum();
        let profile = Profile { version: Profile::VERSION, plan, device, fragments };
        let json = serde_json::to_string_pretty(&profile).into_diagnostic()? + "\n";
        let named = || format!("can't write `{}`", self.output.display());
        fs::write(&self.output, json).into_diagnostic().wrap_err_with(named)?;
        println!("{}: {total:.1} µs on {} -> {}", whole.model, profile.device, self.output.display());
        Ok(())
    }
}
