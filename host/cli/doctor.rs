//! `burst doctor`: what this machine has, what would be chosen, and why.

use super::{house, npu::Npu, size::Size};
use burst_adapters::memory::Machine;
use burst_host::{
    mechanisms::{
        address_space::{self, Layout},
        sandbox::Sandbox,
    },
    nouns::{
        Graph, Manifest,
        manifest::{AcceleratorChoice, Limits, NpuConfig},
    },
};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

/// Tell what this machine has, and what would be chosen and why
#[derive(clap::Args)]
pub struct Doctor {
    /// A model (`.onnx`): which accelerators take it, and which of its operators an NPU does
    #[arg(long)]
    model: Option<PathBuf>,
    #[command(flatten)]
    npu: Npu,
}

impl Doctor {
    pub async fn run(self) -> Result<()> {
        let npu = self.npu.config().map_err(|why| miette!("{why}"))?;
        if let Some(model) = &self.model {
            return takers(model, &npu).await;
        }
        section("sandbox");
        row("kernel", kernel());
        row("cores", thread::available_parallelism().map_or_else(|error| error.to_string(), |cores| cores.to_string()));
        let memory = Machine::new(None);
        row("memory", format!("{}, set by {}", Size(memory.limit_bytes), memory.source));
        row("pagemap scan", scan());
        row("address space", reserve());
        row("memory mappings", mappings());
        row("open files", open_files());
        section("accelerators");
        for (name, choice) in CHOICES {
            row(name, device(choice, &npu).await);
            if choice == AcceleratorChoice::Gpu {
                gpus().await;
            }
        }
        row("auto chooses", device(AcceleratorChoice::Auto, &npu).await);
        section("cameras");
        row("decoders", "PNG and JPEG directories, .y4m files, the drawn scene".into());
        Ok(())
    }
}

fn section(name: &str) {
    println!("{name}");
}

fn row(name: &str, value: String) {
    println!("  {name:<16} {value}");
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| "not Linux".into(), |text| text.trim().into())
}

fn scan() -> String {
    if Sandbox::scans_pagemap() {
        "yes: slots keep their pages and only written ones are cleared".into()
    } else {
        "no (needs Linux 6.7): slots keep less, leases cost more".into()
    }
}

/// How many leases there is address space for, and what more would take.
fn reserve() -> String {
    let available = address_space::available_bytes();
    let limit = match address_space::limit_bytes() {
        Some(limit) => format!("`ulimit -v` of {}", Size(limit)),
        None => format!("addresses of {} bits", address_space::user_bytes().ilog2()),
    };
    let usual = Limits::default().memory_max_bytes.get() as u64;
    let room = |reservation| available / Layout::lease_bytes(1, reservation);
    format!(
        "{limit}: {} leases with a memory of 4 GiB reserved, else {} with {} (limits.memory_max_bytes), which check bounds; \
         pool.max of all guests says how many are reserved",
        room(Layout::UNCHECKED_BYTES),
        room(usual),
        Size(usual),
    )
}

/// A lease takes a few mappings, and the kernel has a limit on them.
fn mappings() -> String {
    const PER_LEASE: u64 = 8;
    let limit = fs::read_to_string("/proc/sys/vm/max_map_count").ok().and_then(|text| text.trim().parse::<u64>().ok());
    limit.map_or_else(
        || "unknown".into(),
        |limit| format!("{limit}, enough for about {} leases (sysctl vm.max_map_count)", limit / PER_LEASE),
    )
}

fn open_files() -> String {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(3))
        .map_or_else(|| "unknown".into(), |limit| format!("{limit}; one a connection"))
}

/// What the drivers show, whether it would be chosen or not.
#[cfg(feature = "gpu")]
async fn gpus() {
    for found in burst_adapters::gpu::survey(house::cache().as_ref()).await {
        let taken = if found.hardware { "" } else { "; taken only by its name (device = …)" };
        row("  shown", format!("{}, {}{taken}", found.device, found.kind));
        row("    features", found.features.join(" "));
        let limits: Vec<_> = found.limits.iter().map(|(name, limit)| format!("{name} {limit}")).collect();
        row("    limits", limits.join(", "));
        row("    kernels", found.kernels);
    }
}

#[cfg(not(feature = "gpu"))]
async fn gpus() {}

/// What a manifest can name.
const CHOICES: [(&str, AcceleratorChoice); 4] = [
    ("cpu", AcceleratorChoice::Cpu),
    ("gpu", AcceleratorChoice::Gpu),
    ("onnxruntime", AcceleratorChoice::OnnxRuntime),
    ("npu", AcceleratorChoice::Npu),
];

async fn device(choice: AcceleratorChoice, npu: &NpuConfig) -> String {
    match house::accelerator(&manifest(choice, npu), None).await {
        Ok(accelerator) => accelerator.describe().to_string(),
        Err(error) => error.to_string(),
    }
}

fn manifest(choice: AcceleratorChoice, npu: &NpuConfig) -> Manifest {
    Manifest { accelerator: choice, npu: npu.clone(), ..Manifest::default() }
}

/// Which accelerators of this machine take a model, and which of its operators the NPU does.
async fn takers(model: &Path, npu: &NpuConfig) -> Result<()> {
    let models = house::models(&house::on_cpu()).await?;
    let graph = models.read(&house::below_root(model)?).await;
    let graph = graph.into_diagnostic().wrap_err_with(|| format!("the model `{}`", model.display()))?;
    section(&format!("{} operators: {}", graph.ops.len(), graph.signature()));
    for (name, choice) in CHOICES {
        let told = match house::accelerator(&manifest(choice, npu), None).await {
            Err(error) => error.to_string(),
            Ok(accelerator) => match accelerator.load(&graph).await {
                Ok(program) => format!("takes it ({})", program.device()),
                Err(fault) => format!("refuses it: {fault}"),
            },
        };
        row(name, told);
    }
    if npu.provider.is_some() { operators(&graph, npu).await } else { Ok(()) }
}

#[cfg(feature = "onnxruntime")]
async fn operators(graph: &Graph, npu: &NpuConfig) -> Result<()> {
    let opened = house::opened_npu(&manifest(AcceleratorChoice::Npu, npu), None)?;
    for placed in opened.placement(graph).await.into_diagnostic()? {
        let taken = if placed.is_left() { "left by the NPU" } else { placed.provider.as_str() };
        row(&format!("  {}", placed.operator), format!("{:>5}  {taken}", placed.count));
    }
    Ok(())
}

#[cfg(not(feature = "onnxruntime"))]
async fn operators(_: &Graph, _: &NpuConfig) -> Result<()> {
    Ok(())
}
