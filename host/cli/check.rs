//! `burst check`: is this manifest right?

use super::config::Source;
use burst_host::nouns::Manifest;
use miette::{IntoDiagnostic, Result};
use std::io::Write as _;

/// Check a manifest, or print its JSON schema
#[derive(clap::Args)]
pub struct Check {
    #[command(flatten)]
    source: Source,
    /// Print the JSON schema of manifests instead
    #[arg(long)]
    schema: bool,
    /// Print the manifest with everything filled in
    #[arg(long, conflicts_with = "schema")]
    print: bool,
}

impl Check {
    pub fn run(self) -> Result<()> {
        if self.schema {
            let schema = schemars::schema_for!(Manifest);
            let text = serde_json::to_string_pretty(&schema).into_diagnostic()? + "\n";
            // A reader may have had enough.
            return std::io::stdout().write_all(text.as_bytes()).into_diagnostic();
        }
        let manifest = self.source.load()?.manifest;
        if self.print {
            println!("{}", toml::to_string_pretty(&manifest).into_diagnostic()?);
        } else {
            println!("{} guests, {} cameras: the manifest is right", manifest.guests.len(), manifest.cameras.len());
        }
        Ok(())
    }
}
