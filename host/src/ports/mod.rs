//! Floor 2: where the outside world plugs in. Traits and their errors; no implementation.

mod accelerator;
mod fabric;
mod memory;
mod model;
mod part;
mod registry;
mod sink;
mod source;
mod trust;

pub use accelerator::{Accelerator, Device, DeviceKind, Program, Session};
pub use fabric::{
    CALLS_MAX, CALLS_MAX_BYTES, Fabric, FabricError, Handler, MESSAGE_MAX_BYTES, News, Reach, Refusal, Service,
    Serving, Urgency,
};
pub use memory::Memory;
pub use model::{Blobs, ModelError, ModelFormat};
pub use part::{Part, Trial};
pub use registry::{Artefact, Registry, RegistryError, Revision};
pub use sink::{Sink, SinkError};
pub use source::{FrameSource, SourceError};
pub use trust::{Distrust, Trust};
