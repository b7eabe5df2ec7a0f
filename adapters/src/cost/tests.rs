//! Graphs at random, with numbers that are nobody's: a cost or a fault, and no less than what is computed takes.

use super::{Budget, Skeleton, Value};
use crate::{conformance::Sketch, cpu::CpuAccelerator};
use burst_host::{
    nouns::{Attribute, Element, Fault, Graph, Tensor},
    ports::Accelerator,
};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

const NUMBERS: [i64; 20] =
    [1, 0, -1, 2, 3, 1, 2, 1, 4, -2, 5, 0, 1 << 20, 1 << 31, 1 << 40, 1 << 62, i64::MIN, i64::MIN + 1, i64::MAX, 7];
const IMAGES: [&str; 8] =
    ["Conv", "ConvTranspose", "MaxPool", "AveragePool", "LRN", "DepthToSpace", "SpaceToDepth", "LpPool"];
const WITH_AXIS: [&str; 9] =
    ["Concat", "Flatten", "Softmax", "ArgMax", "Gather", "LogSoftmax", "LayerNormalization", "GatherElements", "Trilu"];
const WITH_NUMBERS: [&str; 14] = [
    "Tile",
    "Reshape",
    "Expand",
    "Pad",
    "ConstantOfShape",
    "Unsqueeze",
    "Squeeze",
    "ReduceSum",
    "TopK",
    "CumSum",
    "OneHot",
    "Split",
    "GatherND",
    "Slice",
];
const PLAIN: [&str; 8] = ["MatMul", "Add", "NonZero", "EyeLike", "Relu", "Transpose", "Shape", "Where"];

/// What one operator is made of: which one, on which value, with which numbers.
type Choice = (usize, usize, usize, usize);

fn tensor(numbers: &[i64]) -> Tensor {
    Tensor::from_slice(Element::I64, [numbers.len()], numbers).unwrap()
}

fn ints(numbers: &[i64]) -> Attribute {
    Attribute::Ints(numbers.into())
}

/// Adds an operator on a value, which gives the value `to`.
fn add(sketch: Sketch, at: usize, (kind, from, a, b): Choice) -> Sketch {
    let (from, to, n) = (format!("v{}", from % (at + 1)), format!("v{}", at + 1), format!("n{at}"));
    let (a, b) = (NUMBERS[a % NUMBERS.len()], NUMBERS[b % NUMBERS.len()]);
    let kinds = IMAGES.len() + WITH_AXIS.len() + WITH_NUMBERS.len() + PLAIN.len();
    let kind = *[&IMAGES[..], &WITH_AXIS, &WITH_NUMBERS, &PLAIN].concat().get(kind % kinds).unwrap();
    let three = [&*from; 3].join(" ");
    if IMAGES.contains(&kind) {
        let sketch = sketch.constant(&n, Tensor::from_slice(Element::Fp32, [2, 2, 2, 2], &[1.0f32; 16]).unwrap());
        let inputs = if kind.starts_with("Conv") { format!("{from} {n}") } else { from };
        let attributes = [
            ("kernel_shape", ints(&if kind.starts_with("Conv") { [2, 2] } else { [a, 2] })),
            ("strides", ints(&[b, 1])),
            ("pads", ints(&[a, 0, b, 0])),
            ("blocksize", Attribute::Int(a)),
            ("size", Attribute::Int(b)),
        ];
        return sketch.op_with(kind, &inputs, &to, attributes);
    }
    if WITH_AXIS.contains(&kind) {
        let inputs = if kind == "Concat" { format!("{from} {from}") } else { format!("{from} n") };
        let inputs = if ["Gather", "GatherElements", "Concat"].contains(&kind) { inputs } else { from };
        return sketch.op_with(kind, &inputs, &to, [("axis", Attribute::Int(a))]);
    }
    if WITH_NUMBERS.contains(&kind) {
        let sketch = sketch.constant(&n, tensor(&[a, b]));
        let inputs = match kind {
            "ConstantOfShape" => n,
            "OneHot" => format!("n {n} {from}"),
            "Slice" => format!("{from} {n} {n} n n"),
            _ => format!("{from} {n}"),
        };
        return sketch.op_with(kind, &inputs, &to, [("axis", Attribute::Int(b)), ("batch_dims", Attribute::Int(a))]);
    }
    let inputs = match kind {
        "MatMul" | "Add" => format!("{from} v0"),
        "Where" => three,
        _ => from,
    };
    sketch.op_with(
        kind,
        &inputs,
        &to,
        [("perm", ints(&[a, b])), ("k", Attribute::Int(a)), ("start", Attribute::Int(b))],
    )
}

/// A graph on an image of two channels; every value is an output.
fn graph(choices: &[Choice]) -> Graph {
    let sketch = Sketch::new("random").input("v0", Element::Fp32, "1 2 4 4").constant("n", tensor(&[0, 1]));
    let sketch = choices.iter().enumerate().fold(sketch, |sketch, (at, &choice)| add(sketch, at, choice));
    (1..=choices.len()).fold(sketch, |sketch, at| sketch.output(&format!("v{at}"))).graph()
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn choices(most: usize) -> impl Strategy<Value = Vec<Choice>> {
    let number = || 0usize..1000;
    prop::collection::vec((number(), number(), number(), number()), 1..most)
}

fn cost(graph: &Graph, budget: &Budget) -> Result<(super::Cost, Vec<Value>), Fault> {
    let skeleton = Skeleton::of(graph, true, budget)?;
    let ports = graph.inputs.iter().map(Value::of_port).collect();
    let (cost, values) = skeleton.cost(ports, budget)?;
    let fold = skeleton.fold();
    let (bytes, unknown) = (cost.bytes.saturating_add(fold.bytes), cost.unknown + fold.unknown);
    Ok((super::Cost { bytes, unknown, ..cost }, values))
}

#[test]
fn graphs_of_any_numbers_have_a_cost_or_a_fault() {
    let outcome = runner(5_000).run(&choices(12), |choices| {
        let graph = graph(&choices);
        let start = Instant::now();
        for budget in [Budget::unlimited(), Budget { bytes_max: 1 << 20, ..Budget::unlimited() }] {
            let typed = matches!(
                cost(&graph, &budget),
                Ok(_) | Err(Fault::TooLarge(_) | Fault::Invalid(_) | Fault::Unsupported(_))
            );
            prop_assert!(typed);
        }
        prop_assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
        Ok(())
    });
    outcome.unwrap();
}

/// Of what is let through, no value is larger than it was said to be, nor are all together.
#[test]
fn no_graph_takes_more_than_its_cost() {
    let accelerator = CpuAccelerator::new(NonZeroUsize::new(1).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let budget = Budget { bytes_max: 1 << 20, tensor_bytes_max: 1 << 20, operations_max: 1 << 24 };
    let input = Tensor::from_slice(Element::Fp32, [1, 2, 4, 4], &[0.5f32; 32]).unwrap();
    let counted = std::cell::Cell::new(0);
    let outcome = runner(2_000).run(&choices(4), |choices| {
        let graph = graph(&choices);
        let Ok((cost, values)) = cost(&graph, &budget) else { return Ok(()) };
        let computed = runtime.block_on(async {
            let program = accelerator.load(&graph).await?;
            program.run(vec![input.clone()], Instant::now() + Duration::from_secs(10)).await
        });
        let Ok(outputs) = computed else { return Ok(()) };
        let bytes: usize = outputs.iter().filter_map(|output| output.spec().bytes()).sum();
        let known = cost.unknown == 0;
        prop_assert!(!known || bytes as u64 <= cost.bytes, "{bytes} bytes, said to be {}: {graph:?}", cost.bytes);
        for ((value, output), port) in values.iter().zip(&outputs).zip(&graph.outputs) {
            let elements = output.spec().shape.elements() as u64;
            let most = value.elements().unwrap_or(u64::MAX);
            let exact = value.exact().is_none() || elements == most;
            prop_assert!(elements <= most && exact, "{}: {} for {value:?}: {graph:?}", port.name, output.spec());
        }
        counted.set(counted.get() + usize::from(known));
        Ok(())
    });
    outcome.unwrap();
    assert!(counted.get() > 200, "{} graphs were computed", counted.get());
}
