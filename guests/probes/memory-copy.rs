//! Copies 32 MiB within its memory, for ever: one `memory.copy` each, which no epoch interrupts.

use burst_guest::{Inputs, Outputs, responder};
use std::hint::black_box;

const HALF_BYTES: usize = 16 << 20;

responder!(respond);

fn respond(_: Inputs) -> Result<Outputs, String> {
    let mut buffer = vec![1u8; 3 * HALF_BYTES];
    loop {
        buffer.copy_within(..2 * HALF_BYTES, HALF_BYTES);
        black_box(&mut buffer);
    }
}
