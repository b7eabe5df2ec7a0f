//! One case on one accelerator: what became of it.

use super::{
    case::{Case, Content},
    close,
};
use crate::support::block_on;
use burst_adapters::{
    cpu::CpuAccelerator,
    gpu::{Choice, Family, GpuAccelerator, Options, Wanted},
};
use burst_host::{
    nouns::{Fault, Tensor},
    ports::{Accelerator, Program},
};
use std::{
    any::Any,
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, available_parallelism},
    time::{Duration, Instant},
};

/// After this a case hangs. SwiftShader takes seconds to compile a kernel.
const LIMIT: Duration = Duration::from_secs(60);

/// What became of a case.
pub enum Outcome {
    Passed,
    /// A wrong answer, or none. Prints without the reason, which may hold numbers that differ between machines.
    Failed(String),
    /// No answer within the time limit: failed too.
    Hung,
    /// Refused at load, and by what name.
    Unsupported(String),
    OutOfScope(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed(_) | Self::Hung => f.write_str("failed"),
            Self::Unsupported(reason) => write!(f, "unsupported: {reason}"),
            Self::OutOfScope(reason) => write!(f, "out of scope: {reason}"),
        }
    }
}

/// The accelerator of this name; `None` where there is no such.
pub fn accelerator(name: &str) -> Option<Arc<dyn Accelerator>> {
    match name {
        "cpu" => {
            let threads = available_parallelism().unwrap_or(NonZeroUsize::MIN);
            Some(Arc::new(CpuAccelerator::new(threads).expect("threads start")))
        }
        "onnxruntime" => Some(crate::support::onnxruntime()),
        "gpu" => Some(gpu(std::env::var("BURST_GPU").unwrap_or_else(|_| "llvmpipe".into()))),
        "swiftshader" => Some(gpu("SwiftShader".into())),
        _ => None,
    }
}

fn gpu(device: String) -> Arc<dyn Accelerator> {
    let options =
        Options { kernels: std::env::var("BURST_KERNELS").ok().map(|name| kernels(&name)), ..Options::default() };
    let opened = block_on(GpuAccelerator::open_with(&Wanted::Named(device), options));
    Arc::new(opened.unwrap_or_else(|fault| panic!("{fault}")))
}

/// Those of a family by its name; all of them give the same answers.
fn kernels(name: &str) -> Choice {
    let family = Family::ALL.into_iter().find(|family| format!("{family:?}").eq_ignore_ascii_case(name));
    Choice::of(family.unwrap_or_else(|| panic!("BURST_KERNELS is one of {:?}", Family::ALL)))
}

/// Runs one case; what panics or hangs has failed.
pub fn run(accelerator: &Arc<dyn Accelerator>, case: &Case) -> Outcome {
    if let Some(reason) = &case.out_of_scope {
        return Outcome::OutOfScope(reason.clone());
    }
    let (sender, answer) = mpsc::channel();
    let (accelerator, case) = (Arc::clone(accelerator), case.clone());
    let thread = thread::spawn(move || sender.send(block_on(attempt(&*accelerator, &case))));
    match answer.recv_timeout(LIMIT) {
        Ok(answer) => answer.err().unwrap_or(Outcome::Passed),
        Err(RecvTimeoutError::Timeout) => Outcome::Hung,
        Err(RecvTimeoutError::Disconnected) => Outcome::Failed(panicked(thread.join().err())),
    }
}

async fn attempt(accelerator: &dyn Accelerator, case: &Case) -> Result<(), Outcome> {
    let Content { graph, inputs, expected } = case.read().map_err(|error| refused(error.into()))?;
    let program = accelerator.load(&graph).await.map_err(refused)?;
    // What numbers of the inputs decide is refused once they are known.
    let found = answer(accelerator, &*program, inputs).await.map_err(refused)?;
    if found.len() != expected.len() {
        return Err(Outcome::Failed(format!("{} outputs, expected {}", found.len(), expected.len())));
    }
    for ((port, found), expected) in program.signature().outputs.iter().zip(&found).zip(&expected) {
        let close = match case.op.as_str() {
            "Bernoulli" => close::check_drawn(found, expected),
            _ => close::check(found, expected, case.rtol, case.atol),
        };
        close.map_err(|how| Outcome::Failed(format!("`{}`: {how}", port.name)))?;
        if !port.admits(found.spec()) {
            return Err(Outcome::Failed(format!("the signature promises {port}, the answer is {}", found.spec())));
        }
    }
    Ok(())
}

async fn answer(
    accelerator: &dyn Accelerator,
    program: &dyn Program,
    inputs: Vec<Tensor>,
) -> Result<Vec<Tensor>, Fault> {
    let mut resident = Vec::new();
    for input in inputs {
        resident.push(accelerator.upload(input).await?);
    }
    let mut outputs = Vec::new();
    for output in program.run(resident, Instant::now() + LIMIT).await? {
        outputs.push(accelerator.download(&output).await?);
    }
    Ok(outputs)
}

/// A fault before anything was computed.
fn refused(fault: Fault) -> Outcome {
    match fault {
        Fault::Unsupported(reason) => Outcome::Unsupported(short(&reason)),
        other => Outcome::Failed(other.to_string()),
    }
}

/// In few words: an operator and what is the matter with it, or an element type.
fn short(reason: &str) -> String {
    let reason = reason.lines().next().unwrap_or_default();
    let operator = reason.strip_prefix("operator `").and_then(|rest| rest.split_once('`'));
    let words = match (operator, reason.strip_prefix("element type ")) {
        (Some((kind, rest)), _) => format!("{kind}{}", rest.find(": ").map_or("", |cause| &rest[cause..])),
        (None, Some(rest)) => format!("element {}", rest.split(' ').next().unwrap_or_default()),
        (None, None) => reason.to_owned(),
    };
    words.chars().take(80).collect()
}

fn panicked(panic: Option<Box<dyn Any + Send>>) -> String {
    let text = panic.as_ref().and_then(|panic| panic.downcast_ref::<String>().map(String::as_str));
    let text = text.or_else(|| panic.as_ref()?.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a word"))
}
