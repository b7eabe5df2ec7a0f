//! What the drivers of this machine show, for those who ask which device to name.

use super::{
    device::{Wanted, adapters, describe, fits},
    tuning::{self, Choice},
};
use burst_host::{mechanisms::cache::Cache, ports::Device};
use wgpu::{DeviceType, Features, Limits};

/// One adapter, not opened.
pub struct Survey {
    pub device: Device,
    /// `discrete`, `integrated`, `virtual`, `software` or `unknown`.
    pub kind: &'static str,
    /// Whether it is taken without being named.
    pub hardware: bool,
    /// What kernels may use of it.
    pub features: Vec<&'static str>,
    /// What bounds tensors and kernels, by name.
    pub limits: Vec<(&'static str, u64)>,
    /// The kernels that it would be given, and whether they were measured.
    pub kernels: String,
}

/// Every adapter, the best one first, and what the cache knows of it.
pub async fn survey(cache: Option<&Cache>) -> Vec<Survey> {
    adapters().await.iter().map(|adapter| look(adapter, cache)).collect()
}

fn look(adapter: &wgpu::Adapter, cache: Option<&Cache>) -> Survey {
    let info = adapter.get_info();
    Survey {
        device: describe(&info),
        kind: match info.device_type {
            DeviceType::DiscreteGpu => "discrete",
            DeviceType::IntegratedGpu => "integrated",
            DeviceType::VirtualGpu => "virtual",
            DeviceType::Cpu => "software",
            DeviceType::Other => "unknown",
        },
        hardware: fits(&info, &Wanted::Hardware),
        features: features(adapter.features()),
        limits: limits(&adapter.limits()),
        kernels: match cache.and_then(|cache| tuning::kept(cache, &info, adapter.features())) {
            Some(choice) => format!("{choice}; the fastest that were measured"),
            None => format!("{}; not measured yet", Choice::fitting(&info, adapter.features())),
        },
    }
}

fn features(features: Features) -> Vec<&'static str> {
    let named = [
        (Features::SHADER_F16, "f16"),
        (Features::SHADER_F64, "f64"),
        (Features::SHADER_INT64, "i64"),
        (Features::SUBGROUP, "subgroups"),
        (Features::EXPERIMENTAL_COOPERATIVE_MATRIX, "cooperative-matrix"),
        (Features::PIPELINE_CACHE, "pipeline-cache"),
    ];
    named.into_iter().filter(|(feature, _)| features.contains(*feature)).map(|(_, name)| name).collect()
}

fn limits(limits: &Limits) -> Vec<(&'static str, u64)> {
    vec![
        ("buffer bytes", limits.max_buffer_size),
        ("binding bytes", limits.max_storage_buffer_binding_size),
        ("workgroup bytes", limits.max_compute_workgroup_storage_size.into()),
        ("invocations", limits.max_compute_invocations_per_workgroup.into()),
        ("bindings", limits.max_storage_buffers_per_shader_stage.into()),
    ]
}
