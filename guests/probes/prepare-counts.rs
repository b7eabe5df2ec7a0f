//! Answers how often it was prepared: `prepared` INT64 [1].

use burst_guest::{Inputs, Outputs, Tensor, responder};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

static PREPARED: AtomicI64 = AtomicI64::new(0);

responder!(respond, prepare);

fn prepare() -> Result<(), String> {
    PREPARED.fetch_add(1, Relaxed);
    Ok(())
}

fn respond(_: Inputs) -> Result<Outputs, String> {
    Ok(Outputs::from([("prepared", Tensor::from_i64(&[PREPARED.load(Relaxed)], [1])?)]))
}
