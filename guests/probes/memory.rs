//! Takes memory for ever and touches all of it.

use burst_guest::{Inputs, Outputs, responder};
use std::{hint::black_box, mem::forget};

responder!(respond);

fn respond(_: Inputs) -> Result<Outputs, String> {
    loop {
        forget(black_box(vec![1u8; 1 << 20]));
    }
}
