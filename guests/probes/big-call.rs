//! Hands the host as many bytes at once as `bytes` INT64 [1] says, and gives the number back as `uploaded`.

use burst_guest::{Inputs, Outputs, Tensor, responder};

responder!(respond);

fn respond(mut inputs: Inputs) -> Result<Outputs, String> {
    let bytes = inputs.take("bytes")?;
    let [count] = bytes.to_i64()?[..] else { return Err("`bytes` is one number".into()) };
    let count = u32::try_from(count).map_err(|error| error.to_string())?;
    Tensor::from_u8(&vec![1; count as usize], [count])?;
    Ok(Outputs::from([("uploaded", bytes)]))
}
