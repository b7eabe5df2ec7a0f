//! Loops whose conditions are computed, whose slices lie elsewhere, and which never end.

use super::{GpuAccelerator, open};
use crate::conformance::{Case, Run, Sketch, check_case};
use burst_host::{
    nouns::{Attribute, Element, Fault, Graph, Tensor},
    ports::Accelerator,
};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

fn floats(extents: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_slice(Element::Fp32, extents, values).unwrap()
}

fn scalar(value: f32) -> Tensor {
    floats(&[], &[value])
}

async fn check(name: &str, graph: Graph, inputs: Vec<Tensor>, expected: Vec<Tensor>) {
    let Some(accelerator) = open("llvmpipe").await else { return };
    check_case(&accelerator, &Case { name: name.into(), graph, runs: vec![Run { inputs, expected }] }).await;
}

/// Doubles x and adds its sum to what is collected, while the sum is below a limit.
fn doubling(limit: f32) -> Attribute {
    Sketch::new("body")
        .input("round", Element::I64, "")
        .input("goes", Element::Bool, "")
        .input("x", Element::Fp32, "2")
        .constant("two", scalar(2.0))
        .constant("limit", scalar(limit))
        .op("Mul", "x two", "doubled")
        .op_with("ReduceSum", "doubled", "sum", [("keepdims", Attribute::Int(0))])
        .op("Less", "sum limit", "again")
        .output("again")
        .output("doubled")
        .output("sum")
        .subgraph()
}

fn looped(name: &str, body: Attribute) -> Graph {
    let sketch = Sketch::new(name).input("x", Element::Fp32, "2");
    sketch.op_with("Loop", "_ _ x", "y sums", [("body", body)]).output("y").output("sums").graph()
}

#[tokio::test]
async fn a_condition_that_is_computed() {
    let expected = vec![floats(&[2], &[96.0, 32.0]), floats(&[5], &[8.0, 16.0, 32.0, 64.0, 128.0])];
    check("while", looped("while", doubling(100.0)), vec![floats(&[2], &[3.0, 1.0])], expected).await;
}

/// Halves what is even and triples what is odd: a branch that is computed in every round.
#[tokio::test]
async fn a_branch_in_a_loop() {
    let halved = Sketch::new("even").constant("half", scalar(0.5)).op("Mul", "n half", "next").output("next");
    let tripled = Sketch::new("odd").constant("three", scalar(3.0)).constant("one", scalar(1.0));
    let tripled = tripled.op("Mul", "n three", "thrice").op("Add", "thrice one", "next").output("next");
    let branches = [("then_branch", tripled.subgraph()), ("else_branch", halved.subgraph())];
    let body = Sketch::new("body")
        .input("round", Element::I64, "")
        .input("goes", Element::Bool, "")
        .input("n", Element::Fp32, "")
        .constant("pair", scalar(2.0))
        .op_with("Mod", "n pair", "rest", [("fmod", Attribute::Int(1))])
        .op_with("Cast", "rest", "odd", [("to", Attribute::Int(9))])
        .op_with("If", "odd", "followed", branches);
    let body = body.output("goes").output("followed").output("n");
    let sketch = Sketch::new("collatz").input("n", Element::Fp32, "");
    let seven = Tensor::from_slice(Element::I64, [], &[7i64]).unwrap();
    let sketch = sketch.constant("rounds", seven).op_with("Loop", "rounds _ n", "y path", [("body", body.subgraph())]);
    let expected = vec![scalar(1.0), floats(&[7], &[3.0, 10.0, 5.0, 16.0, 8.0, 4.0, 2.0])];
    check("collatz", sketch.output("y").output("path").graph(), vec![scalar(3.0)], expected).await;
}

/// Sums columns from the last to the first, and lays the sums out the same way.
#[tokio::test]
async fn slices_of_any_axis_and_direction() {
    let body = Sketch::new("body").input("sum", Element::Fp32, "2").input("column", Element::Fp32, "2");
    let body = body.op("Add", "sum column", "next").op("Identity", "next", "given").output("next").output("given");
    let attributes = [
        ("body", body.subgraph()),
        ("num_scan_inputs", Attribute::Int(1)),
        ("scan_input_axes", Attribute::Ints(vec![1])),
        ("scan_input_directions", Attribute::Ints(vec![1])),
        ("scan_output_axes", Attribute::Ints(vec![-1])),
        ("scan_output_directions", Attribute::Ints(vec![1])),
    ];
    let sketch = Sketch::new("scan").input("start", Element::Fp32, "2").input("x", Element::Fp32, "2 3");
    let graph = sketch.op_with("Scan", "start x", "sum sums", attributes).output("sum").output("sums").graph();
    let inputs = vec![floats(&[2], &[0.0, 100.0]), floats(&[2, 3], &[1.0, 2.0, 3.0, 10.0, 20.0, 30.0])];
    let sums = floats(&[2, 3], &[6.0, 5.0, 3.0, 160.0, 150.0, 130.0]);
    check("scan", graph, inputs, vec![floats(&[2], &[6.0, 160.0]), sums]).await;
}

#[tokio::test]
async fn loops_that_never_end_are_refused() {
    let Some(accelerator) = open("llvmpipe").await else { return };
    // While a sum is no larger than anything: the run would stop for ever.
    refused(&accelerator, looped("computed", doubling(f32::INFINITY))).await;
    let body = Sketch::new("body").input("round", Element::I64, "").input("goes", Element::Bool, "");
    let body = body.input("x", Element::Fp32, "2").op("Neg", "x", "less").op("Identity", "less", "given");
    let body = body.output("goes").output("less").output("given");
    refused(&accelerator, looped("known", body.subgraph())).await;
}

async fn refused(accelerator: &GpuAccelerator, graph: Graph) {
    let fault = match accelerator.load(&graph).await {
        Ok(program) => program.run(vec![floats(&[2], &[0.0, 0.0])], Instant::now() + PATIENCE).await.map(drop),
        Err(fault) => Err(fault),
    };
    assert!(matches!(fault, Err(Fault::Unsupported(_))), "{fault:?}");
}
