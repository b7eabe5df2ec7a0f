//! Keeps every handle that it can get, and says how many there were.

use burst_guest::{Inputs, Outputs, Tensor, responder};

responder!(respond);

fn respond(_: Inputs) -> Result<Outputs, String> {
    let mut held = Vec::new();
    loop {
        match Tensor::from_u8(&[1], [1]) {
            Ok(tensor) => held.push(tensor),
            Err(fault) => return Err(format!("{} handles, then: {}", held.len(), fault.text())),
        }
    }
}
