//! Holds a tensor since `prepare` and gives it away as `y` INT64 [1], so no snapshot of it can be taken.

use burst_guest::{Inputs, Outputs, Tensor, responder};
use std::cell::RefCell;

thread_local! {
    static HELD: RefCell<Option<Tensor>> = const { RefCell::new(None) };
}

responder!(respond, prepare);

fn prepare() -> Result<(), String> {
    HELD.set(Some(Tensor::from_i64(&[42], [1])?));
    Ok(())
}

fn respond(_: Inputs) -> Result<Outputs, String> {
    let held = HELD.take().ok_or("the tensor is already given away")?;
    Ok(Outputs::from([("y", held)]))
}
