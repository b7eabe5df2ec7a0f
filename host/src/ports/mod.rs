//! Floor 2: where the outside world plugs in. Traits and their errors; no implementation.

mod accelerator;
mod memory;
mod model;
mod registry;
mod sink;
mod source;

pub use accelerator::{Accelerator, Device, DeviceKind, Program};
pub use memory::Memory;
pub use model::{Blobs, ModelError, ModelFormat};
pub use registry::{Artefact, Registry, RegistryError, Revision};
pub use sink::{Sink, SinkError};
pub use source::{FrameSource, SourceError};
