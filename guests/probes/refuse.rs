//! Refuses every request, politely.

use burst_guest::{Inputs, Outputs, responder};

responder!(respond);

fn respond(_: Inputs) -> Result<Outputs, String> {
    Err("no".into())
}
