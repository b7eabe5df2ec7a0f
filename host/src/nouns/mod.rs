//! Floor 1: what the house talks about. Plain data; no I/O, no threads, no clocks.

mod digest;
mod event;
mod fault;
mod fragment;
mod frame;
mod graph;
mod graph_print;
mod ledger;
pub mod manifest;
mod narrow;
mod node;
mod profile;
mod sequence;
mod signature;
mod space;
mod spread;
mod tensor;
mod view;

pub use digest::Digest;
pub use event::{Event, Label, Record, RecordValue, Region, Vocabulary, VocabularyEntry, VocabularyKind};
pub use fault::Fault;
pub use fragment::{Fragment, Memory, Plan, PlanError};
pub use frame::{ColourSpace, Frame, Matrix, PixelFormat, Range};
pub use graph::{Attribute, Function, Graph, Op, Opset};
pub use ledger::{Account, Charge, Ledger};
pub use manifest::Manifest;
pub use narrow::Narrow;
pub use node::{NodeName, NodeNameError};
pub use profile::{Measured, Profile, ProfileError};
pub use sequence::{Sequence, SequenceId};
pub use signature::{Extent, Port, Signature};
pub use space::Space;
pub use spread::{Epoch, LinkNews, ModelNews, NodeNews, Spread, Stage};
pub use tensor::{Element, Resident, Shape, ShapeError, Spec, Tensor};
pub use view::{Colour, Fit, Layout, Rectangle, View};
