//! Steady work: HTTP beside `wasmtime serve`, models beside ONNX Runtime, models over HTTP beside FastAPI.
//!
//!     just bench host [echo] [models] [serving] [--quick]

mod echo;
#[allow(dead_code)]
mod models;
// Of this and of the support, each benchmark uses a part.
#[allow(dead_code)]
mod report;
mod serving;
#[allow(dead_code, unused_imports)]
#[path = "../support/mod.rs"]
mod support;
mod wrk;

use report::{Flags, Report};

fn main() {
    let flags = Flags::parse();
    let mut report = Report::new("host", &flags);
    if flags.wants("echo") {
        echo::measure(&flags, &mut report);
    }
    if flags.wants("models") {
        models::measure(&flags, &mut report);
    }
    if flags.wants("serving") {
        serving::measure(&flags, &mut report);
    }
    report.finish();
}
