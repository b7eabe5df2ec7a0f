//! Keeps 8 MiB tensors until the host says that it is enough, and repeats what the host said.

use burst_guest::{Inputs, Outputs, Tensor, responder};

const BYTES: u32 = 8 << 20;

responder!(respond);

fn respond(_: Inputs) -> Result<Outputs, String> {
    let contents = vec![1; BYTES as usize];
    let mut held = Vec::new();
    loop {
        held.push(Tensor::from_u8(&contents, [BYTES])?);
    }
}
