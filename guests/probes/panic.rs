//! Panics.

use burst_guest::{Inputs, Outputs, responder};

responder!(respond);

fn respond(_: Inputs) -> Result<Outputs, String> {
    panic!("nobody reads this")
}
