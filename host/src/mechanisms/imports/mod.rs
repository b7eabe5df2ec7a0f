//! What a guest can call: the host's side of the WIT imports, and the state behind one lease.

mod frames;
mod graphs;
mod tensors;

use super::{feed::Feed, sequences::Sessions};
use crate::{
    nouns::{Account, Charge, Digest, Fault, Frame, Graph, Ledger, Tensor, manifest::Limits},
    ports::{Accelerator, Device, Program},
};
use std::{collections::BTreeMap, sync::Arc, time::Instant};
use wasmtime::{
    ResourceLimiter,
    component::{HasData, Resource, ResourceTable, ResourceTableError},
};

/// What one guest is given, the same for every lease of it.
pub struct Grants {
    pub accelerator: Arc<dyn Accelerator>,
    /// By the name that the guest opens them with.
    pub models: BTreeMap<String, Arc<dyn Program>>,
    /// The same as they were loaded: as long as a guest has one, others find it and load it no second time.
    pub loaded: Vec<Arc<dyn Program>>,
    /// Of the models' files.
    pub digests: BTreeMap<String, Digest>,
    /// By the name that the guest opens them with.
    pub cameras: BTreeMap<String, Feed>,
    pub limits: Limits,
    /// What all leases together hold on the device.
    pub account: Account,
}

/// The host's side of one lease.
pub struct GuestState {
    grants: Arc<Grants>,
    table: ResourceTable,
    ledger: Ledger,
    deadline: Instant,
    /// What the running call's sequence keeps.
    sessions: Option<Arc<Sessions>>,
    /// `prepare` sees no frames: what it says of its failure is logged.
    preparing: bool,
    /// What computed the last graph.
    device: Option<Device>,
    memory_bytes: usize,
    table_elements: usize,
    over_limit: bool,
    device_lost: bool,
    /// What the guest did last, after a trap.
    pub(super) trace: Option<String>,
}

/// Tells the generated code how it reaches the state.
pub struct StateView;

impl HasData for StateView {
    type Data<'a> = &'a mut GuestState;
}

/// A tensor that a guest holds, and the bytes that it is charged for.
pub struct TensorHandle {
    pub tensor: Tensor,
    _charge: Charge,
}

/// A model that a guest opened or built.
pub struct GraphHandle {
    program: Arc<dyn Program>,
    /// What it was opened by; a graph that was built is gone with its guest, and keeps nothing.
    name: Option<String>,
}

/// A graph that a guest is building.
pub struct BuilderHandle {
    graph: Graph,
    /// The name of each operand.
    operands: Vec<String>,
    charges: Vec<Charge>,
}

/// A camera that a guest opened.
pub struct SourceHandle(Feed);

/// A frame that a guest holds, and the bytes that it is charged for.
pub struct FrameHandle {
    frame: Frame,
    _charge: Charge,
}

/// How a host call ends badly: with a fault that the guest sees, or with its own end.
#[derive(Debug)]
pub enum GuestFault {
    Fault(Fault),
    Trap(wasmtime::Error),
}

impl From<Fault> for GuestFault {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ResourceTableError> for GuestFault {
    fn from(error: ResourceTableError) -> Self {
        match error {
            ResourceTableError::Full => Self::Fault(Fault::TooLarge("as many handles as handles_max allows".into())),
            error => Self::Trap(error.into()),
        }
    }
}

impl GuestState {
    /// Table entries that a guest may have, over all its tables.
    const TABLE_ELEMENTS_MAX: usize = 10_000;

    /// The state of a lease that has not run yet.
    pub fn new(grants: Arc<Grants>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(grants.limits.handles_max.get());
        let ledger = Ledger::new("tensor_max_bytes", grants.limits.tensor_max_bytes.get());
        Self {
            grants,
            table,
            ledger,
            deadline: Instant::now(),
            sessions: None,
            preparing: true,
            device: None,
            memory_bytes: 0,
            table_elements: 0,
            over_limit: false,
            device_lost: false,
            trace: None,
        }
    }

    /// Whether frames are within its reach.
    pub fn sees_frames(&self) -> bool {
        !self.grants.cameras.is_empty()
    }

    /// When the running call has to end.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Starts a new call.
    pub fn begin(&mut self, deadline: Instant) {
        self.deadline = deadline;
        self.sessions = None;
        self.preparing = false;
        self.device = None;
        self.device_lost = false;
    }

    /// Lets the graphs of the running call go on from where their sequence is.
    pub fn go_on(&mut self, sessions: Option<Arc<Sessions>>) {
        self.sessions = sessions;
    }

    /// Starts `prepare`.
    pub fn begin_prepare(&mut self, deadline: Instant) {
        self.begin(deadline);
        self.preparing = true;
    }

    /// What computed the last graph of this call.
    pub fn take_device(&mut self) -> Option<Device> {
        self.device.take()
    }

    /// Whether the guest asked for more memory than it may have.
    pub fn is_over_limit(&self) -> bool {
        self.over_limit
    }

    /// Whether the guest was told in this call that its device was lost.
    pub fn lost_device(&self) -> bool {
        self.device_lost
    }

    /// Whether the guest holds handles: what it holds can't be snapshotted.
    pub fn holds_handles(&self) -> bool {
        !self.table.is_empty()
    }

    /// Gives the guest a tensor.
    pub fn push_tensor(&mut self, tensor: Tensor) -> Result<Resource<TensorHandle>, GuestFault> {
        tensor.spec().element.held_by_guests()?;
        let charge = self.ledger.charge_tensor(&tensor)?;
        Ok(self.table.push(TensorHandle { tensor, _charge: charge })?)
    }

    /// Takes a tensor that the guest gave away.
    pub fn take_tensor(&mut self, handle: Resource<TensorHandle>) -> Result<Tensor, GuestFault> {
        Ok(self.table.delete(handle)?.tensor)
    }

    /// Gives the guest a frame.
    pub fn push_frame(&mut self, frame: Frame) -> Result<Resource<FrameHandle>, GuestFault> {
        let charge = self.ledger.charge(frame.pixels.len())?;
        Ok(self.table.push(FrameHandle { frame, _charge: charge })?)
    }

    fn tensor(&self, handle: &Resource<TensorHandle>) -> Result<&Tensor, GuestFault> {
        Ok(&self.table.get(handle)?.tensor)
    }
}

/// Growing past a limit ends the guest at once: most allocators would abort on the refusal anyway, less clearly.
impl ResourceLimiter for GuestState {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if total > self.grants.limits.memory_max_bytes.get() {
            self.over_limit = true;
            return Err(wasmtime::Error::msg("memory_max_bytes"));
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.table_elements.saturating_add(desired.saturating_sub(current));
        if total > Self::TABLE_ELEMENTS_MAX {
            self.over_limit = true;
            return Err(wasmtime::Error::msg("table elements"));
        }
        self.table_elements = total;
        Ok(true)
    }
}
