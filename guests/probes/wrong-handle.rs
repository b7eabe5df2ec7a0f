//! Gives away a handle that it was never given.

use burst_guest::{Inputs, Outputs, Tensor, responder};

responder!(respond);

fn respond(_: Inputs) -> Result<Outputs, String> {
    // SAFETY: none; forging is what this guest is for, and the host has to notice.
    let forged = unsafe { Tensor::from_handle(4_000) };
    Ok(Outputs::from([("y", forged)]))
}
