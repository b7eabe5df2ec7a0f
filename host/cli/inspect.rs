//! `burst inspect`: how each guest of a manifest starts, and from what.

use super::{config::Source, house};
use burst_host::mechanisms::feed::Slot;
use miette::{IntoDiagnostic, Result, WrapErr};
use std::time::Instant;

/// Compile the guests of a manifest and tell how they start
#[derive(clap::Args)]
pub struct Inspect {
    #[command(flatten)]
    source: Source,
}

impl Inspect {
    pub async fn run(self) -> Result<()> {
        let loaded = self.source.load()?;
        let deployer = house::deployer(&loaded).await?;
        for (name, config) in &loaded.manifest.guests {
            let feeds = config.cameras.iter().map(|camera| (camera.clone(), Slot::new().feed())).collect();
            let started = Instant::now();
            let guest = deployer.compile(config, feeds).await;
            let guest = guest.into_diagnostic().wrap_err_with(|| format!("the guest `{name}`"))?;
            let took = started.elapsed();
            let instantiated = Instant::now();
            guest.instantiate().await.into_diagnostic().wrap_err_with(|| format!("the guest `{name}`"))?;
            println!("{name}");
            println!("  component  {} ({})", config.component, guest.digest);
            println!("  exports    {}", exports(guest.responds(), guest.watches()));
            println!("  start      {}", guest.start);
            println!("  compiled   {took:.1?}{}", if guest.cached { ", from the cache" } else { "" });
            println!("  lease      {:.1?}, the first", instantiated.elapsed());
            for (model, program) in &guest.grants().models {
                println!("  model      {model}{} on {}", program.signature(), program.device());
            }
        }
        Ok(())
    }
}

fn exports(responds: bool, watches: bool) -> &'static str {
    match (responds, watches) {
        (true, true) => "responder, watcher",
        (true, false) => "responder",
        (false, true) => "watcher",
        (false, false) => "nothing",
    }
}
