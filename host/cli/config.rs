//! Reads a manifest, and points into it when something is wrong.

use burst_host::nouns::{
    Manifest, NodeName,
    manifest::{AcceleratorChoice, Fallback, MixedChoice},
};
use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use miette::{Diagnostic, IntoDiagnostic, LabeledSpan, NamedSource, Result, SourceSpan, WrapErr};
use std::{
    fs,
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
};

/// The manifest that `burst` looks for when none is named.
pub const DEFAULT: &str = "burst.toml";

/// Where the manifest is, and what overrides it.
#[derive(clap::Args)]
pub struct Source {
    /// The manifest
    #[arg(default_value = DEFAULT, env = "BURST_MANIFEST")]
    pub manifest: PathBuf,
    /// Address for the Open Inference Protocol and events
    #[arg(long)]
    http: Option<SocketAddr>,
    /// Address for Prometheus
    #[arg(long)]
    metrics: Option<SocketAddr>,
    /// What computes graphs: auto, cpu, gpu, onnxruntime or npu
    #[arg(long, value_parser = accelerator)]
    accelerator: Option<AcceleratorChoice>,
    /// A part of the name of the GPU
    #[arg(long)]
    device: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// This node's place in its cluster, over what a manifest says.
#[derive(clap::Args, Default)]
pub struct Place {
    /// A node of the cluster to join, as it listens: quic/10.0.0.8:7447; once for each
    #[arg(long)]
    join: Vec<String>,
    /// This node in its cluster, as in its certificate: press-3.hall-a
    #[arg(long)]
    node: Option<NodeName>,
    /// Where other nodes of the cluster reach this one; once for each
    #[arg(long)]
    listen: Vec<String>,
}

impl Place {
    /// Whether any of it is said.
    pub fn is_said(&self) -> bool {
        self.node.is_some() || !self.join.is_empty() || !self.listen.is_empty()
    }

    /// Puts it over what was read.
    pub fn over(&self, mut figment: Figment) -> Figment {
        if let Some(node) = &self.node {
            figment = figment.merge(Serialized::default("cluster.node", node));
        }
        for (key, endpoints) in [("cluster.join", &self.join), ("cluster.listen", &self.listen)] {
            if !endpoints.is_empty() {
                figment = figment.merge(Serialized::default(key, endpoints));
            }
        }
        figment
    }
}

/// A manifest and the directory that its paths start from.
pub struct Loaded {
    pub manifest: Manifest,
    pub base: PathBuf,
}

/// What is wrong with a manifest, and where.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("the manifest is wrong: {reason}")]
#[diagnostic(help("`burst check --schema` prints everything that a manifest may hold"))]
struct Wrong {
    reason: String,
    #[source_code]
    text: NamedSource<String>,
    #[label(collection)]
    labels: Vec<LabeledSpan>,
}

/// Reads the word of a flag.
pub fn accelerator(word: &str) -> Result<AcceleratorChoice, String> {
    serde_json::from_value(word.into()).map_err(|_| "one of auto, cpu, gpu, onnxruntime, npu".into())
}

/// Reads the word of a flag.
pub fn mixed(word: &str) -> Result<MixedChoice, String> {
    serde_json::from_value(word.into()).map_err(|_| "gpu, onnxruntime, cpu or npu".into())
}

/// Reads the word of a flag.
pub fn fallback(word: &str) -> Result<Fallback, String> {
    serde_json::from_value(word.into()).map_err(|_| "onnxruntime or cpu".into())
}

impl Source {
    /// A manifest that no flag overrides.
    pub fn at(manifest: PathBuf) -> Self {
        let (http, metrics, accelerator, device) = (None, None, None, None);
        Self { manifest, http, metrics, accelerator, device, place: Place::default() }
    }

    /// Reads, merges and checks.
    pub fn load(&self) -> Result<Loaded> {
        let path = &self.manifest;
        let text = fs::read_to_string(path).into_diagnostic().wrap_err_with(|| {
            format!("can't read the manifest `{}`; name one, or see guests/demo.toml for an example", path.display())
        })?;
        let base = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut manifest = self.merge(&text).map_err(|wrong| wrong.into_report(path, text))?;
        // Paths start from the manifest's directory.
        for library in [&mut manifest.onnxruntime.library, &mut manifest.npu.library] {
            *library = library.take().map(|library| base.join(library));
        }
        Ok(Loaded { manifest, base: base.into() })
    }

    fn merge(&self, text: &str) -> Result<Manifest, Fault> {
        // figment parses the text again, but loses where things stand.
        toml::de::DeTable::parse(text)
            .map_err(|error| Fault { reason: error.message().into(), at: At::Span(error.span()) })?;
        let mut figment = Figment::new().merge(Toml::string(text)).merge(Env::prefixed("BURST__").split("__"));
        if let Some(http) = self.http {
            figment = figment.merge(Serialized::default("server.http", http));
        }
        if let Some(metrics) = self.metrics {
            figment = figment.merge(Serialized::default("server.metrics", metrics));
        }
        if let Some(accelerator) = self.accelerator {
            figment = figment.merge(Serialized::default("accelerator", accelerator));
        }
        if let Some(device) = &self.device {
            figment = figment.merge(Serialized::default("device", device));
        }
        let manifest: Manifest = self.place.over(figment).extract()?;
        manifest.check().map_err(|error| Fault { reason: error.reason, at: At::Path(error.path) })?;
        Ok(manifest)
    }
}

struct Fault {
    reason: String,
    at: At,
}

enum At {
    Span(Option<Range<usize>>),
    /// Keys from the root; the last ones may be missing in the text.
    Path(Vec<String>),
}

impl From<figment::Error> for Fault {
    fn from(error: figment::Error) -> Self {
        let mut path = error.path.clone();
        if let figment::error::Kind::UnknownField(field, _) = &error.kind {
            path.push(field.clone());
        }
        Self { reason: error.kind.to_string(), at: At::Path(path) }
    }
}

impl Fault {
    fn into_report(self, path: &Path, text: String) -> miette::Report {
        let (span, name) = match self.at {
            At::Span(span) => (span, "here".to_owned()),
            At::Path(path) => (locate(&text, &path), path.join(".")),
        };
        let reason = if span.is_none() && !name.is_empty() { format!("{name}: {}", self.reason) } else { self.reason };
        let labels = span.map(|span| LabeledSpan::new_with_span(Some(name), SourceSpan::from(span)));
        let text = NamedSource::new(path.to_string_lossy(), text);
        Wrong { reason, text, labels: labels.into_iter().collect() }.into()
    }
}

/// Where the deepest part of a path that the text has stands in it.
fn locate(text: &str, path: &[String]) -> Option<Range<usize>> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut found = None;
    for key in path {
        let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref() == key.as_str()) else { break };
        let inner = value.get_ref().as_table();
        found = Some(if inner.is_some() { name.span() } else { value.span() });
        let Some(inner) = inner else { break };
        table = inner;
    }
    found
}
