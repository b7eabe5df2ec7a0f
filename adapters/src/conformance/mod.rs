//! One suite for every accelerator: the same graphs, inputs and answers, and the same refusals.

mod cases;
mod edges;
mod hostile;
mod others;
mod sketch;

use crate::budget::Budgeted;
use burst_host::{
    nouns::{Account, Element, Fault, Graph, Tensor},
    ports::{Accelerator, Program},
};
pub use cases::{cases, noise};
pub use hostile::{Hostile, hostile};
pub use sketch::Sketch;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A graph, and what it answers to which inputs.
pub struct Case {
    pub name: String,
    pub graph: Graph,
    pub runs: Vec<Run>,
}

/// Inputs and the outputs that they give.
pub struct Run {
    pub inputs: Vec<Tensor>,
    pub expected: Vec<Tensor>,
}

/// Runs every case and every refusal.
///
/// # Panics
/// Where an answer differs, naming the case.
pub async fn check(accelerator: &dyn Accelerator) {
    for case in cases() {
        check_case(accelerator, &case).await;
    }
    check_refusals(accelerator).await;
}

/// Runs one case.
pub async fn check_case(accelerator: &dyn Accelerator, case: &Case) {
    let name = &case.name;
    let program = accelerator.load(&case.graph).await.unwrap_or_else(|fault| panic!("{name} does not load: {fault}"));
    assert_eq!(program.device(), accelerator.describe(), "{name}: computed elsewhere");
    for run in &case.runs {
        let outputs = answer(accelerator, &program, &run.inputs).await;
        let outputs = outputs.unwrap_or_else(|fault| panic!("{name} does not run: {fault}"));
        assert_eq!(outputs.len(), run.expected.len(), "{name}: outputs");
        for (index, (found, expected)) in outputs.iter().zip(&run.expected).enumerate() {
            let port = &program.signature().outputs[index];
            assert!(port.admits(found.spec()), "{name}: {} for {port}", found.spec());
            assert_close(&format!("{name}, output {index}"), found, expected);
        }
    }
}

async fn answer(
    accelerator: &dyn Accelerator,
    program: &Arc<dyn Program>,
    inputs: &[Tensor],
) -> Result<Vec<Tensor>, Fault> {
    let mut resident = Vec::new();
    for input in inputs {
        resident.push(accelerator.upload(input.clone()).await?);
    }
    let mut outputs = Vec::new();
    for output in program.run(resident, Instant::now() + Duration::from_secs(60)).await? {
        outputs.push(accelerator.download(&output).await?);
    }
    Ok(outputs)
}

/// Floats within a ten-thousandth of the largest expected one, everything else exactly.
pub fn assert_close(what: &str, found: &Tensor, expected: &Tensor) {
    assert_eq!(found.spec(), expected.spec(), "{what}");
    let Some((found, expected)) = numbers(found).zip(numbers(expected)) else {
        assert_eq!(found.contents(), expected.contents(), "{what}");
        return;
    };
    let largest = expected.iter().fold(0.0f64, |largest, number| largest.max(number.abs()));
    let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    // Written so that a NaN fails.
    assert!(worst <= 1e-4 * largest.max(1e-6), "{what}: off by {worst}, the largest is {largest}");
    assert!(found.iter().all(|number| number.is_finite()), "{what}: not finite");
}

fn numbers(tensor: &Tensor) -> Option<Vec<f64>> {
    match tensor.spec().element {
        Element::Fp32 => Some(tensor.to_vec::<f32>()?.into_iter().map(f64::from).collect()),
        Element::Fp64 => tensor.to_vec::<f64>(),
        Element::Fp16 => Some(tensor.to_vec::<half::f16>()?.into_iter().map(f64::from).collect()),
        _ => None,
    }
}

/// Runs every hostile graph behind the budget that a guest has by default: refused by name, at once, and a graph like it
/// that is right still answers.
///
/// # Panics
/// Where one is not refused, or not by the budget.
pub async fn check_budget(accelerator: impl Accelerator + 'static) {
    let limits = burst_host::nouns::manifest::Limits::default();
    let budgeted = Budgeted::new(Arc::new(accelerator), true).for_account(&Account::of(&limits));
    for Hostile { kind, wrong, right, graph } in hostile() {
        for &number in wrong {
            let start = Instant::now();
            let refused = budgeted.load(&graph(number)).await.map(drop);
            let named = |text: &String| text.contains(&format!("`{kind}`"));
            let typed = matches!(&refused, Err(Fault::TooLarge(text) | Fault::Invalid(text)) if named(text));
            assert!(typed, "{kind} with {number}: {refused:?}");
            assert!(start.elapsed() < Duration::from_millis(500), "{kind} with {number}: {:?}", start.elapsed());
        }
        let graph = graph(right);
        let zeros = graph.inputs.iter().map(|port| port.zeros(|_| 1).unwrap()).collect::<Vec<_>>();
        match budgeted.load(&graph).await {
            Ok(program) => {
                drop(answer(&*budgeted, &program, &zeros).await.unwrap_or_else(|fault| panic!("{kind}: {fault}")))
            }
            Err(fault) => assert!(matches!(fault, Fault::Unsupported(_)), "{kind} with {right}: {fault}"),
        }
    }
}

async fn check_refusals(accelerator: &dyn Accelerator) {
    let unknown = Sketch::new("unknown").input("x", Element::Fp32, "2").op("Frobnicate", "x", "y").output("y").graph();
    match accelerator.load(&unknown).await.map(drop) {
        Err(Fault::Unsupported(reason)) => assert!(reason.contains("Frobnicate"), "the operator is named: {reason}"),
        other => panic!("an unknown operator: {other:?}"),
    }
    let mut foreign = Sketch::new("foreign").input("x", Element::Fp32, "2").op("Relu", "x", "y").output("y").graph();
    foreign.ops[0].domain = "com.example".into();
    assert!(matches!(accelerator.load(&foreign).await.map(drop), Err(Fault::Unsupported(_))), "another's Relu");

    let sum = Sketch::new("sum").input("a", Element::Fp32, "N 2").input("b", Element::Fp32, "N 2");
    let sum = sum.op("Add", "a b", "y").output("y").graph();
    let program = accelerator.load(&sum).await.unwrap();
    let floats = |rows: usize| Tensor::from_slice(Element::Fp32, [rows, 2], &vec![1.0f32; 2 * rows]).unwrap();
    let longs = Tensor::from_slice(Element::I64, [1, 2], &[1i64, 2]).unwrap();
    let flat = Tensor::from_slice(Element::Fp32, [2], &[1.0f32, 2.0]).unwrap();
    for (what, inputs) in [
        ("too few", vec![floats(1)]),
        ("too many", vec![floats(1), floats(1), floats(1)]),
        ("another type", vec![floats(1), longs]),
        ("another rank", vec![floats(1), flat]),
        ("one name, two extents", vec![floats(1), floats(3)]),
    ] {
        let answer = answer(accelerator, &program, &inputs).await;
        assert!(matches!(answer, Err(Fault::Invalid(_))), "{what}: {answer:?}");
    }
    let late = program.run(vec![floats(1), floats(1)], Instant::now()).await;
    assert_eq!(late.map(drop), Err(Fault::TimedOut), "a deadline that has passed");
}
