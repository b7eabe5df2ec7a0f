//! An execution provider of ONNX Runtime, and the one device of it that computes.

use super::{
    super::{
        fault,
        runtime::{Runtime, check},
        session::Session,
    },
    error::NpuError,
};
use crate::cpu;
use burst_host::{
    nouns::{
        Element, Extent, Fault, Graph, Op, Opset, Port, Tensor,
        manifest::{NpuConfig, NpuProvider},
    },
    ports::{Device, DeviceKind},
};
use ort::{
    AsPointer,
    memory::DeviceType,
    session::{RunOptions, builder::SessionBuilder},
};
use std::{
    collections::BTreeMap,
    ffi::{CStr, CString},
    fs,
    path::{Path, PathBuf},
    ptr,
    sync::{Arc, Mutex, PoisonError},
};

/// A provider that has shown that it computes.
pub(super) struct Provider {
    pub name: NpuProvider,
    pub device: String,
    /// Whether it came as a plugin, and is not built into ONNX Runtime.
    plugin: bool,
    options: BTreeMap<String, String>,
}

/// Plugins that this process has loaded: one can't be loaded twice.
static PLUGINS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

impl Provider {
    /// Finds the provider and computes something with it, and with nothing else.
    pub(super) fn open(config: &NpuConfig, runtime: &Arc<Runtime>) -> Result<Self, NpuError> {
        let name = config.provider.ok_or(NpuError::Unnamed)?;
        let device = config.device.clone().unwrap_or_else(|| default_device(name).into());
        // OpenVINO's `AUTO:NPU,CPU`, `HETERO:…`, `MULTI:…` and `BATCH:…`.
        if device.contains([':', ',']) || device.eq_ignore_ascii_case("auto") {
            return Err(NpuError::ManyDevices(device));
        }
        let provider = Self { name, device, plugin: config.library.is_some(), options: config.options.clone() };
        match &config.library {
            Some(library) => load_plugin(name, library, runtime)?,
            None => is_built_in(name, runtime)?,
        }
        provider.probe(runtime)?;
        Ok(provider)
    }

    /// What computes, as answers name it.
    pub(super) fn describe(&self, runtime: &Runtime) -> Device {
        let driver = format!("ONNX Runtime {}, {}", runtime.version, self.name);
        match self.kind() {
            DeviceKind::Cpu => Device { driver, ..cpu::this_machine() },
            kind => Device { kind, name: format!("{} {}", self.name, self.device), driver, memory_bytes: None },
        }
    }

    fn kind(&self) -> DeviceKind {
        let is = |prefix: &str| self.device.to_ascii_lowercase().starts_with(prefix);
        match () {
            () if is("cpu") => DeviceKind::Cpu,
            () if is("gpu") => DeviceKind::Gpu,
            () => DeviceKind::Npu,
        }
    }

    /// Lets this provider compute what the builder loads; `more` are options of its own.
    pub(super) fn add_to(
        &self,
        builder: SessionBuilder,
        more: &[(&str, &str)],
        runtime: &Runtime,
    ) -> ort::Result<SessionBuilder> {
        let mut options = self.options.clone();
        options.extend(more.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())));
        if self.name == NpuProvider::OpenVino {
            // Else it computes in the precision that is quickest on the device.
            options.entry("precision".into()).or_insert_with(|| "ACCURACY".into());
        }
        match self.plugin {
            true => self.add_plugin(builder, options, runtime),
            false => self.add_built_in(builder, options),
        }
    }

    fn add_built_in(
        &self,
        mut builder: SessionBuilder,
        mut options: BTreeMap<String, String>,
    ) -> ort::Result<SessionBuilder> {
        let device = match self.name {
            NpuProvider::OpenVino => Some("device_type"),
            NpuProvider::Qnn => Some("backend_type"),
            NpuProvider::VitisAi => None,
        };
        options.extend(device.map(|key| (key.to_owned(), self.device.clone())));
        append(&mut builder, canonical(self.name), &options)?;
        Ok(builder)
    }

    fn add_plugin(
        &self,
        builder: SessionBuilder,
        options: BTreeMap<String, String>,
        runtime: &Runtime,
    ) -> ort::Result<SessionBuilder> {
        let wanted = match self.kind() {
            DeviceKind::Cpu => DeviceType::CPU,
            DeviceKind::Gpu => DeviceType::GPU,
            DeviceKind::Npu => DeviceType::NPU,
        };
        let is_ours = |device: &ort::device::Device<'_>| {
            device.ep().is_ok_and(|ep| ep.starts_with(canonical(self.name))) && device.hardware_device().ty() == wanted
        };
        let device = runtime.environment.devices().find(is_ours);
        let device = device.ok_or_else(|| ort::Error::new(format!("its plugin shows no {:?}", self.kind())))?;
        let prefix = device.ep()?;
        let options: Vec<_> = options.into_iter().map(|(key, value)| (format!("{prefix}.{key}"), value)).collect();
        Ok(builder.with_devices([device], Some(&options))?)
    }

    /// Computes a sum on the device alone.
    fn probe(&self, runtime: &Arc<Runtime>) -> Result<(), NpuError> {
        let no_device = |reason: String| NpuError::NoDevice {
            provider: self.name,
            device: self.device.clone(),
            reason,
            found: found(runtime),
        };
        let numbers = [0.0f32, 1.0, -2.0, 64.0];
        let computed = self.sum(&numbers, runtime).map_err(|fault| no_device(fault.to_string()))?;
        // Many NPUs compute in FP16.
        let close = |(computed, number): (&f32, f32)| (computed - 2.0 * number).abs() <= number.abs() / 256.0;
        let right = computed.iter().zip(numbers).all(close);
        if right && computed.len() == numbers.len() {
            Ok(())
        } else {
            Err(no_device(format!("a sum came out as {computed:?}")))
        }
    }

    fn sum(&self, numbers: &[f32], runtime: &Arc<Runtime>) -> Result<Vec<f32>, Fault> {
        let input = Tensor::from_slice(Element::Fp32, [1, numbers.len()], numbers);
        let input = input.map_err(|error| Fault::Invalid(error.to_string()))?;
        let session =
            Session::with_options(&sum_of(numbers.len()), self.only(&[], runtime).map_err(fault::of_load)?, runtime)?;
        let outputs = session.run(&[input], &RunOptions::new().map_err(fault::of_run)?)?;
        Ok(outputs.first().and_then(Tensor::to_vec).unwrap_or_default())
    }

    /// A builder of sessions in which nothing else computes.
    pub(super) fn only(&self, more: &[(&str, &str)], runtime: &Runtime) -> ort::Result<SessionBuilder> {
        let builder = ort::session::Session::builder(&runtime.environment)?.with_disable_cpu_fallback()?;
        self.add_to(builder, more, runtime)
    }
}

/// Adds a provider that is built into ONNX Runtime. There is no safe call that takes a provider's name.
fn append(builder: &mut SessionBuilder, name: &str, options: &BTreeMap<String, String>) -> ort::Result<()> {
    let c_string = |text: &str| CString::new(text).map_err(|_| ort::Error::new(format!("{text:?} has a zero in it")));
    let name = c_string(name)?;
    let keys = options.keys().map(|key| c_string(key)).collect::<ort::Result<Vec<_>>>()?;
    let values = options.values().map(|value| c_string(value)).collect::<ort::Result<Vec<_>>>()?;
    let pointers = |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).collect::<Vec<_>>();
    let (keys_of, values_of) = (pointers(&keys), pointers(&values));
    // SAFETY: keys and values are of one length, end with zeros and live through the call, which copies them.
    unsafe {
        check((ort::api().SessionOptionsAppendExecutionProvider)(
            builder.ptr_mut(),
            name.as_ptr(),
            keys_of.as_ptr(),
            values_of.as_ptr(),
            keys_of.len(),
        ))
    }
}

/// `y = x + x`
fn sum_of(length: usize) -> Graph {
    let port = |name: &str| Port {
        name: name.into(),
        element: Some(Element::Fp32),
        shape: Some(vec![Extent::Fixed(1), Extent::Fixed(length)]),
        optional: false,
    };
    let add =
        Op { kind: "Add".into(), inputs: vec!["x".into(), "x".into()], ..Op::identity(String::new(), "y".into()) };
    Graph {
        name: "probe".into(),
        ir_version: 8,
        opsets: vec![Opset { domain: String::new(), version: 17 }],
        inputs: vec![port("x")],
        outputs: vec![port("y")],
        ops: vec![add],
        ..Graph::default()
    }
}

fn default_device(provider: NpuProvider) -> &'static str {
    match provider {
        NpuProvider::OpenVino | NpuProvider::VitisAi => "NPU",
        NpuProvider::Qnn => "htp",
    }
}

/// What ONNX Runtime calls it.
fn canonical(provider: NpuProvider) -> &'static str {
    match provider {
        NpuProvider::OpenVino => "OpenVINOExecutionProvider",
        NpuProvider::Qnn => "QNNExecutionProvider",
        NpuProvider::VitisAi => "VitisAIExecutionProvider",
    }
}

fn is_built_in(provider: NpuProvider, runtime: &Runtime) -> Result<(), NpuError> {
    let found = built_in();
    match found.iter().any(|name| name == canonical(provider)) {
        true => Ok(()),
        false => Err(NpuError::NoProvider { provider, version: runtime.version.clone(), found }),
    }
}

/// Providers that the library of ONNX Runtime was built with.
fn built_in() -> Vec<String> {
    let (api, mut names, mut count) = (ort::api(), ptr::null_mut(), 0);
    // SAFETY: the names are read before they are released, and as many as is told.
    unsafe {
        if check((api.GetAvailableProviders)(&mut names, &mut count)).is_err() {
            return Vec::new();
        }
        let name = |index: i32| CStr::from_ptr(*names.offset(index as isize)).to_string_lossy().into_owned();
        let found = (0..count).map(name).collect();
        // Fails where there is nothing to release.
        let _ = check((api.ReleaseAvailableProviders)(names, count));
        found
    }
}

fn load_plugin(provider: NpuProvider, library: &Path, runtime: &Runtime) -> Result<(), NpuError> {
    let mut plugins = PLUGINS.lock().unwrap_or_else(PoisonError::into_inner);
    if plugins.iter().any(|loaded| loaded == library) {
        return Ok(());
    }
    // ONNX Runtime looks for a relative one beside its own library.
    let whole = std::path::absolute(library).unwrap_or_else(|_| library.into());
    let loaded = runtime.environment.register_ep_library(canonical(provider), whole);
    loaded.map_err(|error| NpuError::Plugin {
        provider,
        library: library.display().to_string(),
        reason: error.message().into(),
    })?;
    plugins.push(library.into());
    Ok(())
}

/// What this machine shows: devices of plugins, and the kernel's accelerators.
fn found(runtime: &Runtime) -> Vec<String> {
    let devices = runtime.environment.devices().map(|device| {
        let hardware = device.hardware_device();
        format!("{} {:?} {}", device.ep().unwrap_or("?"), hardware.ty(), hardware.vendor().unwrap_or("?"))
    });
    let mut found: Vec<_> = devices.collect();
    let nodes = fs::read_dir("/dev/accel").into_iter().flatten().flatten();
    let nodes: Vec<_> = nodes.map(|node| node.path().display().to_string()).collect();
    if nodes.is_empty() {
        found.push("nothing in /dev/accel".into())
    } else {
        found.extend(nodes)
    }
    found
}
