//! Gives back as `y` what it was given as `x`, whatever it is. Nothing is copied: only the handle moves.

use burst_guest::{Inputs, Outputs, responder};

responder!(respond);

fn respond(mut inputs: Inputs) -> Result<Outputs, String> {
    Ok(Outputs::from([("y", inputs.take("x")?)]))
}
