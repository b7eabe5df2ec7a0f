//! Refuses to be deployed.

use burst_guest::{Inputs, Outputs, responder};

responder!(respond, prepare);

fn prepare() -> Result<(), String> {
    Err("not today".into())
}

fn respond(_: Inputs) -> Result<Outputs, String> {
    Ok(Outputs::default())
}
