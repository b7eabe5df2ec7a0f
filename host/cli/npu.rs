//! Flags that name an NPU, for commands without a manifest.

use burst_host::nouns::manifest::NpuConfig;
use std::{num::NonZeroUsize, path::PathBuf};

/// Which NPU computes with `--accelerator npu`
#[derive(clap::Args)]
pub struct Npu {
    /// The NPU: openvino, qnn or vitisai, and behind a colon the device, if not its NPU: openvino:CPU
    #[arg(long = "npu", value_name = "PROVIDER[:DEVICE]")]
    named: Option<String>,
    /// The plugin library of its provider, where ONNX Runtime's library has it not built in
    #[arg(long)]
    npu_library: Option<PathBuf>,
    /// An option of its provider, as `key=value`; once for each
    #[arg(long, value_parser = option)]
    npu_option: Vec<(String, String)>,
    /// Lengths of an axis that the model leaves open, as `batch=1,8`; once for each
    #[arg(long, value_parser = bucket)]
    bucket: Vec<(String, Lengths)>,
}

/// More than one value for clap, which takes a plain list for a repeated flag.
#[derive(Clone)]
struct Lengths(Vec<NonZeroUsize>);

impl Npu {
    /// As a manifest says it.
    pub fn config(&self) -> Result<NpuConfig, String> {
        let named = self.named.as_deref();
        let (provider, device) = named
            .map(|named| named.split_once(':').map_or((named, None), |(provider, device)| (provider, Some(device))))
            .unzip();
        Ok(NpuConfig {
            provider: provider.map(str::parse).transpose()?,
            device: device.flatten().map(str::to_owned),
            library: self.npu_library.clone(),
            options: self.npu_option.iter().cloned().collect(),
            buckets: self.bucket.iter().map(|(name, Lengths(lengths))| (name.clone(), lengths.clone())).collect(),
            ..NpuConfig::default()
        })
    }
}

fn option(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it is key=value")?;
    Ok((key.into(), value.into()))
}

fn bucket(text: &str) -> Result<(String, Lengths), String> {
    let (name, lengths) = text.split_once('=').ok_or("it is name=length,length")?;
    let lengths = lengths.split(',').map(|length| length.parse().map_err(|_| format!("`{length}` is no length")));
    Ok((name.into(), Lengths(lengths.collect::<Result<_, _>>()?)))
}
