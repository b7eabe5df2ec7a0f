//! A house in this process, and `burst` as a process.

mod burst;
pub mod choosy;
pub mod cluster;
pub mod far;
pub mod fleet;
pub mod group;
pub mod net;
#[allow(dead_code)]
#[path = "../../host/cli/npy.rs"]
pub mod npy;
pub mod papers;
pub mod slow;

pub mod stack;

pub use burst::{Burst, in_address_space, llvmpipe, python, request};

use burst_adapters::{
    cpu::CpuAccelerator,
    gpu::{GpuAccelerator, Wanted},
    onnx::Onnx,
    onnxruntime::{Math, OnnxRuntimeAccelerator, Options},
    registry::Directory,
};
use burst_host::{
    loops::{
        deploy::{DeployError, Deployer},
        serve::{Answer, Deployment, Request, ServeError, Service},
    },
    mechanisms::{address_space::Capacity, cache::Cache, feed::Feed, sandbox::Sandbox},
    nouns::{Element, Sequence, Tensor, manifest::Guest},
    ports::Accelerator,
};
use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::runtime::Runtime;

/// The repository; elsewhere than it was built where `BURST_ROOT` says so.
pub fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| std::env::var_os("BURST_ROOT").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from))
}

/// A component of an example guest, relative to the repository.
pub fn guest(name: &str) -> String {
    component(&format!("{name}.wasm"))
}

/// A component that misbehaves, relative to the repository.
pub fn probe(name: &str) -> String {
    component(&format!("examples/{}.wasm", name.replace('-', "_")))
}

fn component(name: &str) -> String {
    let path = format!("guests/target/wasm32-unknown-unknown/release/{name}");
    assert!(root().join(&path).exists(), "{path} is missing; `just guests` makes it");
    path
}

/// One runtime for all tests: the sandbox's guests and the accelerator's threads outlive each of them.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    RUNTIME.get_or_init(runtime).block_on(future)
}

/// One sandbox a process, large enough for every test.
pub fn sandbox() -> Arc<Sandbox> {
    static SANDBOX: OnceLock<Arc<Sandbox>> = OnceLock::new();
    let new = || {
        Arc::new(
            Sandbox::new(Capacity { leases: 2_000, memories: Capacity::MEMORIES, memory_max_bytes: 256 << 20 })
                .unwrap(),
        )
    };
    SANDBOX.get_or_init(new).clone()
}

/// One CPU for all tests.
pub fn cpu() -> Arc<CpuAccelerator> {
    static CPU: OnceLock<Arc<CpuAccelerator>> = OnceLock::new();
    CPU.get_or_init(|| Arc::new(CpuAccelerator::new(NonZeroUsize::new(2).unwrap()).unwrap())).clone()
}

/// ONNX Runtime's library, which `just test` fetches.
pub fn onnxruntime_library() -> PathBuf {
    let named = std::env::var_os("BURST_ONNXRUNTIME").map(PathBuf::from);
    named.unwrap_or_else(|| root().join("target/onnxruntime"))
}

/// The directory of ONNX Runtime with OpenVINO. A process loads one ONNX Runtime: the tests' own has the plain one.
pub fn openvino_library() -> PathBuf {
    let named = std::env::var_os("BURST_OPENVINO").map(PathBuf::from);
    named.unwrap_or_else(|| root().join("target/openvino/onnxruntime/capi"))
}

/// Qualcomm's execution provider.
pub fn qnn_plugin() -> PathBuf {
    let named = std::env::var_os("BURST_QNN").map(PathBuf::from);
    named.unwrap_or_else(|| root().join("target/qnn/onnxruntime_qnn")).join("libonnxruntime_providers_qnn.so")
}

/// ONNX Runtime on two threads, with the numbers as the model says.
pub fn onnxruntime() -> Arc<OnnxRuntimeAccelerator> {
    let library = Some(onnxruntime_library());
    let options = Options { library, threads: NonZeroUsize::new(2).unwrap(), arena_max_bytes: None };
    Arc::new(
        OnnxRuntimeAccelerator::new(&options, Math::Exact).unwrap_or_else(|error| panic!("{error}; run `just test`")),
    )
}

/// lavapipe, opened for one test; `None` where it is not installed and need not be.
pub fn gpu() -> Option<Arc<GpuAccelerator>> {
    let wanted = Wanted::Named("llvmpipe".into());
    llvmpipe().then(|| Arc::new(block_on(GpuAccelerator::open(&wanted)).unwrap()))
}

/// A deployer over the repository's files, on the CPU.
pub fn deployer(cache: Option<Cache>) -> Deployer {
    deployer_on(cpu(), cache)
}

/// The same on another accelerator.
pub fn deployer_on(accelerator: Arc<dyn Accelerator>, cache: Option<Cache>) -> Deployer {
    let registry = Directory::open(root()).unwrap();
    Deployer::new(sandbox(), cache, accelerator, Arc::new(registry), Arc::new(Onnx))
}

/// A guest of a manifest, written as TOML.
pub fn config(component: &str, rest: &str) -> Guest {
    toml::from_str(&format!("component = {component:?}\n{rest}")).unwrap()
}

/// A house with one guest, called `guest`.
pub struct House {
    pub service: Service,
    pub deployment: Arc<Deployment>,
}

impl House {
    pub async fn try_new(component: &str, rest: &str) -> Result<Self, DeployError> {
        Self::with_feeds(component, rest, BTreeMap::new()).await
    }

    pub async fn with_feeds(component: &str, rest: &str, feeds: BTreeMap<String, Feed>) -> Result<Self, DeployError> {
        Self::deployed_by(&deployer(None), component, rest, feeds).await
    }

    /// A house whose graphs run on this accelerator.
    pub async fn on(accelerator: Arc<dyn Accelerator>, component: &str, rest: &str) -> Self {
        Self::deployed_by(&deployer_on(accelerator, None), component, rest, BTreeMap::new()).await.unwrap()
    }

    async fn deployed_by(
        deployer: &Deployer,
        component: &str,
        rest: &str,
        feeds: BTreeMap<String, Feed>,
    ) -> Result<Self, DeployError> {
        let deployment = Arc::new(deployer.deploy("guest", &config(component, rest), feeds).await?);
        let service = Service::default();
        service.insert(deployment.clone());
        Ok(Self { service, deployment })
    }

    pub async fn new(component: &str, rest: &str) -> Self {
        Self::try_new(component, rest).await.unwrap()
    }

    pub async fn ask(&self, inputs: &[(&str, Tensor)]) -> Result<Answer, ServeError> {
        self.ask_in(None, inputs).await
    }

    /// The same in a sequence.
    pub async fn ask_in(&self, sequence: Option<Sequence>, inputs: &[(&str, Tensor)]) -> Result<Answer, ServeError> {
        self.service.answer(asking(sequence, inputs)).await
    }

    /// Waits until the pool has done what it does in the background.
    pub async fn settle(&self) {
        eventually("the pool settles", || {
            let leases = self.deployment.pool.leases();
            leases.ready == leases.floor && leases.busy == 0
        })
        .await;
    }
}

/// A request to the guest of a house.
pub fn asking(sequence: Option<Sequence>, inputs: &[(&str, Tensor)]) -> Request {
    let inputs = inputs.iter().map(|(name, tensor)| (name.to_string(), tensor.clone())).collect();
    Request { guest: "guest".into(), inputs, sequence, timeout: None, id: None }
}

/// Waits for something that has to happen soon, however slow the machine.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never happened: {what}");
}

/// An INT64 tensor.
pub fn int64(values: &[i64]) -> Tensor {
    Tensor::from_slice(Element::I64, [values.len()], values).unwrap()
}

/// A UINT8 tensor.
pub fn uint8(values: &[u8]) -> Tensor {
    Tensor::from_slice(Element::U8, [values.len()], values).unwrap()
}

/// The numbers of an output.
pub fn numbers<T: bytemuck::AnyBitPattern>(answer: &Answer, name: &str) -> Vec<T> {
    let (_, tensor) = answer.outputs.iter().find(|(other, _)| other == name).expect(name);
    tensor.to_vec().unwrap()
}
