//! Calls itself until the stack ends.

use burst_guest::{Inputs, Outputs, Tensor, responder};
use std::hint::black_box;

responder!(respond);

fn respond(_: Inputs) -> Result<Outputs, String> {
    let depth = deep(black_box(1));
    Ok(Outputs::from([("depth", Tensor::from_i64(&[depth as i64], [1])?)]))
}

/// Its value needs every call: rotating after the call leaves the optimiser no loop to make of it.
#[inline(never)]
fn deep(depth: u64) -> u64 {
    if depth == 0 { 0 } else { deep(depth.wrapping_add(1)).rotate_left(7) ^ depth }
}
