//! Steady work: HTTP beside `wasmtime serve`, models beside ONNX Runtime.
//!
//!     just bench host [echo] [models] [--quick]

mod echo;
#[allow(dead_code)]
mod models;
// Of this and of the support, each benchmark uses a part.
#[allow(dead_code)]
mod report;
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
    report.finish();
}
