//! Computes for ever.

use burst_guest::{Inputs, Outputs, responder};

responder!(respond);

#[allow(clippy::empty_loop)]
fn respond(_: Inputs) -> Result<Outputs, String> {
    loop {}
}
