//! Writes guests for `burst`.
//!
//! A guest is a WebAssembly component that answers requests ([`responder!`]) or looks at camera frames ([`watcher!`]).
//! It holds tensors and frames as handles: what they hold stays with the host, on the device where it was made, until
//! the guest asks for a copy. A whole guest, `guests/echo/src/lib.rs`:
//!
//! ```no_run
#![doc = include_str!("../../echo/src/lib.rs")]
//! ```
//!
//! Errors are texts: [`Fault`]s turn into them with `?`, your own come from `format!`. The text reaches the client of a
//! guest that sees no frames, and stays on the box otherwise.

pub mod bindings;
mod builder;
mod event;
mod export;
mod fault;
mod graph;
mod named;
mod tensor;
mod view;

pub use bindings::imports::burst::edge::{
    events::{Event, Label, Region},
    frames::{Colour, Fit, Frame, FrameInfo, Layout, Rectangle, Source, Statistics, View},
    graphs::{Attribute, Device, DeviceKind, Operand, Port, devices},
    tensors::{Element, Fault, Spec, Tensor},
};
pub use builder::Builder;
#[doc(hidden)]
pub use export::{prepare_nothing, reserve_heap, respond_with};
pub use graph::Graph;
pub use named::{Inputs, Outputs, Tensors};

#[cfg(test)]
mod tests {
    #[test]
    fn the_guide_shows_the_echo_guest_as_it_is() {
        let (guide, echo) = (include_str!("../../README.md"), include_str!("../../echo/src/lib.rs"));
        assert!(guide.contains(echo));
    }
}
