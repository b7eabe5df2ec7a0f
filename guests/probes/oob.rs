//! Reads far outside its memory.

use burst_guest::{Inputs, Outputs, Tensor, responder};
use std::hint::black_box;

/// The last address that 32 bits can name, and beyond any limit of memory.
const OUTSIDE: usize = 0xffff_fff0;

responder!(respond);

fn respond(_: Inputs) -> Result<Outputs, String> {
    let outside = black_box(OUTSIDE) as *const u8;
    // SAFETY: none; reaching outside is what this guest is for, and the sandbox has to hold it.
    let stolen = unsafe { outside.read_volatile() };
    Ok(Outputs::from([("stolen", Tensor::from_u8(&[stolen], [1])?)]))
}
