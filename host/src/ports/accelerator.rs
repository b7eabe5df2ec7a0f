//! What computes graphs: a CPU, a GPU, an NPU, a process elsewhere.

use super::Part;
use crate::nouns::{Account, Fault, Frame, Graph, Signature, Tensor, View};
use async_trait::async_trait;
use futures::future::BoxFuture;
use std::{collections::HashSet, fmt, sync::Arc, time::Instant};

/// What kind of silicon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    Cpu,
    Gpu,
    Npu,
}

/// One device, as answers and reports name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Device {
    pub kind: DeviceKind,
    /// The name that its driver gives.
    pub name: String,
    /// The library that drives it, and its version.
    pub driver: String,
    /// Memory for tensors and weights; `None` when the driver does not say.
    pub memory_bytes: Option<u64>,
}

impl Device {
    /// Several devices that computed one answer, as one: the kind is the first one's.
    pub fn joined(devices: &[Self]) -> Option<Self> {
        let (first, others) = devices.split_first()?;
        let mut joined = first.clone();
        let (mut names, mut drivers) = (vec![&first.name], vec![&first.driver]);
        for other in others.iter().filter(|other| *other != first) {
            joined.memory_bytes = None;
            names.push(&other.name);
            drivers.push(&other.driver);
        }
        (joined.name, joined.driver) = (listed(names), listed(drivers));
        Some(joined)
    }
}

/// Each word once.
fn listed(mut words: Vec<&String>) -> String {
    let mut seen = HashSet::new();
    words.retain(|word| seen.insert(*word));
    words.into_iter().map(String::as_str).collect::<Vec<_>>().join(" + ")
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DeviceKind::Cpu => "cpu",
            DeviceKind::Gpu => "gpu",
            DeviceKind::Npu => "npu",
        };
        write!(f, "{kind}: {} ({})", self.name, self.driver)
    }
}

// `async_trait` would bound lifetimes, under which the compiler proves all of a driver `Send` anew for each method.
/// One device and what runs on it. Every call may come from many guests at once.
pub trait Accelerator: Send + Sync {
    /// What it is. Never waits.
    fn describe(&self) -> &Device;

    /// The same device for one holder: what it allocates on it is booked there before it is allocated, and given back
    /// with the last handle. Where host memory is the device's, there is nothing to book.
    fn for_account(&self, account: &Account) -> Arc<dyn Accelerator>;

    /// Device memory that is allocated now, buffers kept for the next tensor too; `None` where it is the host's.
    fn held_bytes(&self) -> Option<u64> {
        None
    }

    /// What its holder may still put on it; `None` where it is the host's memory that it takes.
    fn room_bytes(&self) -> Option<u64> {
        None
    }

    /// Other accelerators of this box that may compute fragments of cut models, on the same account; none unless the
    /// manifest names them.
    fn beside(&self) -> Vec<Arc<dyn Accelerator>> {
        Vec::new()
    }

    /// Moves a host tensor to where graphs read it best.
    fn upload(&self, tensor: Tensor) -> BoxFuture<'_, Result<Tensor, Fault>>;

    /// Moves a tensor to host memory, waiting for what computes it.
    fn download<'a>(&'a self, tensor: &'a Tensor) -> BoxFuture<'a, Result<Tensor, Fault>>;

    /// Makes a tensor out of a frame: `[1, c, h, w]` or `[1, h, w, c]`.
    fn view<'a>(&'a self, frame: &'a Frame, view: &'a View) -> BoxFuture<'a, Result<Tensor, Fault>>;

    /// Compiles a graph; weights and plans are on this accelerator's account. Fails with `Unsupported` and the operator's name rather than computing anything elsewhere.
    fn load<'a>(&'a self, graph: &'a Graph) -> BoxFuture<'a, Result<Arc<dyn Program>, Fault>>;
}

/// A loaded model; its weights are in memory once, whoever runs it.
pub trait Program: Send + Sync {
    /// Inputs and outputs, in the order that `run` takes and gives them.
    fn signature(&self) -> &Signature;

    /// What computes it, unless a run tells otherwise.
    fn device(&self) -> &Device;

    /// The same program for one holder: what its runs give is on that account, weights and plans stay where they are.
    fn for_account(self: Arc<Self>, account: &Account) -> Arc<dyn Program>;

    /// Device memory of weights and plans; 0 where it is the host's.
    fn held_bytes(&self) -> u64 {
        0
    }

    /// Whether everything that computes it is in place; until then its runs wait.
    fn is_ready(&self) -> bool {
        true
    }

    /// Until it is.
    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Which accelerator computes which fragment, where there was a choice.
    fn parts(&self) -> &[Part] {
        &[]
    }

    /// A run of steps of its own, where its states are better kept elsewhere than with who runs it.
    fn session(self: Arc<Self>) -> Option<Box<dyn Session>> {
        None
    }

    /// Computes every output. Inputs may be on the host or on this program's device.
    ///
    /// Fails with `TimedOut` once `deadline` has passed; work already on the device may go on unseen.
    fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<Vec<Tensor>, Fault>>;

    /// The same, and what computed it: a program that may run in two places tells which of them it was.
    fn run_told(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<(Vec<Tensor>, Device), Fault>> {
        Box::pin(async move { Ok((self.run(inputs, deadline).await?, self.device().clone())) })
    }
}

/// A run of steps over one program. What the program gives back as states (`past…` that comes back as `present…`) is
/// kept from step to step, and neither given nor taken.
#[async_trait]
pub trait Session: Send {
    /// Computes one step. After a fault the same step may be tried again.
    async fn step(&mut self, inputs: Vec<(String, Tensor)>, deadline: Instant) -> Result<Vec<(String, Tensor)>, Fault>;

    /// What computed the last step.
    fn device(&self) -> &Device;

    /// Makes the steps so far last.
    fn commit(&mut self);

    /// Takes back the steps since they were last committed.
    fn rollback(&mut self);
}
