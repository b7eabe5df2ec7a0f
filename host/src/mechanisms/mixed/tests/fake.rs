//! Accelerators whose memories are apart, and which count what is moved.

use crate::{
    nouns::{Account, Element, Fault, Frame, Graph, Port, Resident, Signature, Tensor, View},
    ports::{Accelerator, Device, DeviceKind, Program},
};
use futures::future::BoxFuture;
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

/// One whose tensors nobody else can read.
#[derive(Clone)]
pub struct Fake {
    device: Device,
    pub uploads: Arc<AtomicUsize>,
    pub downloads: Arc<AtomicUsize>,
}

/// A tensor in its memory.
struct There {
    owner: String,
    tensor: Tensor,
}

impl Resident for There {}

impl Fake {
    pub fn new(name: &str) -> Self {
        let device = Device { kind: DeviceKind::Npu, name: name.into(), driver: "none".into(), memory_bytes: None };
        Self { device, uploads: Arc::default(), downloads: Arc::default() }
    }

    /// Uploads and downloads since the last time.
    pub fn moved(&self) -> (usize, usize) {
        (self.uploads.swap(0, Relaxed), self.downloads.swap(0, Relaxed))
    }

    fn place(&self, tensor: Tensor) -> Tensor {
        let there = There { owner: self.device.name.clone(), tensor: tensor.clone() };
        Tensor::device(tensor.spec().clone(), Arc::new(there))
    }

    fn read(&self, tensor: &Tensor) -> Result<Tensor, Fault> {
        let Some(resident) = tensor.resident() else { return Ok(tensor.clone()) };
        let any: Arc<dyn Any + Send + Sync> = resident.clone();
        let there = any.downcast::<There>().map_err(|_| Fault::Invalid("what is this".into()))?;
        let ours = there.owner == self.device.name;
        if ours { Ok(there.tensor.clone()) } else { Err(Fault::Invalid("the tensor is on another device".into())) }
    }

    /// A program that yields one number: the sum of those that it takes, and so much more.
    pub fn sum(&self, takes: &[&str], yields: &[&str], more: f32) -> Arc<dyn Program> {
        let port = |name: &&str| Port { name: (*name).into(), element: None, shape: None, optional: false };
        let ports = |names: &[&str]| names.iter().map(port).collect();
        let signature = Signature { inputs: ports(takes), outputs: ports(yields) };
        Arc::new(Sum { on: self.clone(), signature, more, fails: None })
    }

    /// One that fails.
    pub fn failing(&self, takes: &[&str], yields: &[&str], fault: Fault) -> Arc<dyn Program> {
        let program = self.sum(takes, yields, 0.0);
        Arc::new(Sum { on: self.clone(), signature: program.signature().clone(), more: 0.0, fails: Some(fault) })
    }
}

pub fn number(value: f32) -> Tensor {
    Tensor::from_slice(Element::Fp32, [1], &[value]).unwrap()
}

impl Accelerator for Fake {
    fn describe(&self) -> &Device {
        &self.device
    }

    fn for_account(&self, _: &Account) -> Arc<dyn Accelerator> {
        Arc::new(self.clone())
    }

    fn upload(&self, tensor: Tensor) -> BoxFuture<'_, Result<Tensor, Fault>> {
        Box::pin(async move {
            self.uploads.fetch_add(1, Relaxed);
            Ok(self.place(self.read(&tensor)?))
        })
    }

    fn download<'a>(&'a self, tensor: &'a Tensor) -> BoxFuture<'a, Result<Tensor, Fault>> {
        Box::pin(async move {
            self.downloads.fetch_add(1, Relaxed);
            self.read(tensor)
        })
    }

    fn view<'a>(&'a self, _: &'a Frame, _: &'a View) -> BoxFuture<'a, Result<Tensor, Fault>> {
        Box::pin(async move { Err(Fault::Unsupported("frames".into())) })
    }

    fn load<'a>(&'a self, _: &'a Graph) -> BoxFuture<'a, Result<Arc<dyn Program>, Fault>> {
        Box::pin(async move { Err(Fault::Unsupported("graphs".into())) })
    }
}

struct Sum {
    on: Fake,
    signature: Signature,
    more: f32,
    fails: Option<Fault>,
}

impl Program for Sum {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn device(&self) -> &Device {
        &self.on.device
    }

    fn for_account(self: Arc<Self>, _: &Account) -> Arc<dyn Program> {
        self
    }

    fn run(&self, inputs: Vec<Tensor>, _: Instant) -> BoxFuture<'_, Result<Vec<Tensor>, Fault>> {
        Box::pin(async move {
            let mut sum = self.more;
            for input in &inputs {
                sum += self.on.read(input)?.to_vec::<f32>().unwrap()[0];
            }
            let yielded = || self.on.place(number(sum));
            self.fails.clone().map_or(Ok(()), Err)?;
            Ok(self.signature.outputs.iter().map(|_| yielded()).collect())
        })
    }
}
