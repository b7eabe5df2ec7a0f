//! One case on one accelerator: what became of it.

use super::{
    case::{Case, Content},
    close,
};
use crate::support::block_on;
use burst_adapters::{
    budget::Budgeted,
    cpu::CpuAccelerator,
    gpu::{Choice, Family, GpuAccelerator, Options, Wanted},
};
use burst_host::{
    nouns::{Account, Fault, Signature, Tensor, manifest::Limits},
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

/// After which a device on the CPU is taken for hung.
const PATIENCE: Duration = Duration::from_secs(600);

/// What became of a case.
pub enum Outcome {
    Passed,
    /// No answer where none is right.
    Refused,
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
            Self::Refused => f.write_str("refused"),
            Self::Failed(_) | Self::Hung => f.write_str("failed"),
            Self::Unsupported(reason) => write!(f, "unsupported: {reason}"),
            Self::OutOfScope(reason) => write!(f, "out of scope: {reason}"),
        }
    }
}

/// The accelerator of this name, within the limits that a guest has by default; `None` where there is no such.
pub fn accelerator(name: &str) -> Option<Arc<dyn Accelerator>> {
    let inner: Arc<dyn Accelerator> = match name {
        "cpu" => {
            let threads = available_parallelism().unwrap_or(NonZeroUsize::MIN);
            Arc::new(CpuAccelerator::new(threads).expect("threads start"))
        }
        "onnxruntime" => crate::support::onnxruntime(),
        "gpu" => gpu(std::env::var("BURST_GPU").unwrap_or_else(|_| "llvmpipe".into())),
        "swiftshader" => gpu("SwiftShader".into()),
        _ => return None,
    };
    // What cases are given and give is no guest's.
    let account = Account { tensor_max_bytes: u64::MAX, ..Account::of(&Limits::default()) };
    Some(Budgeted::new(inner, name == "cpu").for_account(&account))
}

fn gpu(device: String) -> Arc<dyn Accelerator> {
    // Drivers on the CPU take minutes for what a GPU does in a second.
    let patience = Some(PATIENCE);
    let kernels = std::env::var("BURST_KERNELS").ok().map(|name| kernels(&name));
    let options = Options { kernels, patience, ..Options::default() };
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
    let (accelerator, case, limit) = (Arc::clone(accelerator), case.clone(), case.limit);
    let thread = thread::spawn(move || sender.send(block_on(attempt(&*accelerator, &case))));
    match answer.recv_timeout(limit) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => Outcome::Hung,
        Err(RecvTimeoutError::Disconnected) => Outcome::Failed(panicked(thread.join().err())),
    }
}

async fn attempt(accelerator: &dyn Accelerator, case: &Case) -> Outcome {
    match answer(accelerator, case).await {
        Ok(_) if case.refused => Outcome::Failed("answered, though no answer is right".into()),
        Ok((signature, found, expected)) => judge(case, &signature, &found, &expected),
        Err(Fault::Invalid(_) | Fault::Unsupported(_) | Fault::TooLarge(_)) if case.refused => Outcome::Refused,
        Err(fault) => refused(fault),
    }
}

/// What comes back, and what should.
async fn answer(accelerator: &dyn Accelerator, case: &Case) -> Result<(Signature, Vec<Tensor>, Vec<Tensor>), Fault> {
    let Content { graph, inputs, expected } = case.read().await?;
    let program = accelerator.load(&graph).await?;
    let outputs = outputs(accelerator, &*program, case, inputs).await?;
    Ok((program.signature().clone(), outputs, expected))
}

/// What a program answers to the inputs of a case.
pub async fn outputs(
    accelerator: &dyn Accelerator,
    program: &dyn Program,
    case: &Case,
    inputs: Vec<Tensor>,
) -> Result<Vec<Tensor>, Fault> {
    let mut resident = Vec::new();
    for input in ordered(case, program.signature(), inputs)? {
        resident.push(accelerator.upload(input).await?);
    }
    let mut outputs = Vec::new();
    // What numbers of the inputs decide is refused once they are known.
    for output in program.run(resident, Instant::now() + case.limit).await? {
        outputs.push(accelerator.download(&output).await?);
    }
    Ok(outputs)
}

/// The inputs in the order of the signature, which has to take them, as `burst run` asks it.
fn ordered(case: &Case, signature: &Signature, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, Fault> {
    if case.given.is_empty() {
        return Ok(inputs);
    }
    let specs = case.given.iter().map(String::as_str).zip(inputs.iter().map(Tensor::spec));
    signature.admits(specs).map_err(Fault::Invalid)?;
    let place = |name: &str| case.given.iter().position(|given| given == name);
    Ok(signature.inputs.iter().filter_map(|port| place(&port.name)).map(|place| inputs[place].clone()).collect())
}

fn judge(case: &Case, signature: &Signature, found: &[Tensor], expected: &[Tensor]) -> Outcome {
    if found.len() != expected.len() {
        return Outcome::Failed(format!("{} outputs, expected {}", found.len(), expected.len()));
    }
    let atols = case.atols.iter().copied().chain(std::iter::repeat(case.atol));
    for (((port, found), expected), atol) in signature.outputs.iter().zip(found).zip(expected).zip(atols) {
        let close = match case.op.as_str() {
            "Bernoulli" => close::check_drawn(found, expected),
            _ => close::check(found, expected, case, atol),
        };
        if let Err(how) = close {
            return Outcome::Failed(format!("`{}`: {how}", port.name));
        }
        if !port.admits(found.spec()) {
            return Outcome::Failed(format!("the signature promises {port}, the answer is {}", found.spec()));
        }
    }
    Outcome::Passed
}

/// A fault before anything was computed.
fn refused(fault: Fault) -> Outcome {
    match fault {
        Fault::Unsupported(reason) => Outcome::Unsupported(short(&reason)),
        // How much differs between devices.
        Fault::TooLarge(_) => Outcome::Unsupported("too large".into()),
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
