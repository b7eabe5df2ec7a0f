//! The conformance suite, and what only this accelerator promises. `just test` names the library.

use super::{Math, OnnxRuntimeAccelerator, Options};
use crate::conformance::{self, Sketch};
use burst_host::{
    nouns::{Attribute, Element, Extent, Fault, Graph, Tensor},
    ports::Accelerator,
};
use bytes::Bytes;
use std::{
    env,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

fn accelerator() -> OnnxRuntimeAccelerator {
    let fetched = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/onnxruntime");
    let library = Some(env::var_os("BURST_ONNXRUNTIME").map_or_else(fetched, PathBuf::from));
    let threads = NonZeroUsize::new(2).unwrap();
    OnnxRuntimeAccelerator::new(&Options { library, threads, arena_max_bytes: None }, Math::Exact).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn run(sketch: Sketch, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, Fault> {
    accelerator().load(&sketch.graph()).await?.run(inputs, soon()).await
}

#[tokio::test]
async fn onnxruntime_conforms() {
    conformance::check(&accelerator()).await;
}

#[tokio::test]
async fn hostile_graphs_are_refused_by_their_cost() {
    conformance::check_budget(accelerator()).await;
}

#[tokio::test]
async fn device_is_the_library_with_its_version() {
    let driver = accelerator().describe().driver.clone();
    assert!(driver.starts_with("ONNX Runtime 1."), "{driver}");
}

#[tokio::test]
async fn tensor_at_an_odd_address_is_read() {
    let whole: Vec<u8> = [0u8].into_iter().chain([1.0f32, -2.0, 3.0].iter().flat_map(|x| x.to_le_bytes())).collect();
    let odd = Bytes::from(whole).slice(1..);
    let x = Tensor::host(burst_host::nouns::Spec::new(Element::Fp32, [3]).unwrap(), odd).unwrap();
    let sketch = Sketch::new("odd").input("x", Element::Fp32, "N").op("Abs", "x", "y").output("y");
    assert_eq!(run(sketch, vec![x]).await.unwrap()[0].to_vec::<f32>(), Some(vec![1.0, 2.0, 3.0]));
}

#[tokio::test]
async fn output_that_is_an_input_outlives_the_run() {
    let x = Tensor::from_slice(Element::I64, [2], &[7i64, 8]).unwrap();
    let sketch = Sketch::new("same").input("x", Element::I64, "N").op("Identity", "x", "y").output("y");
    let y = run(sketch, vec![x]).await.unwrap();
    assert_eq!(y[0].to_vec::<i64>(), Some(vec![7, 8]));
}

#[tokio::test]
async fn output_that_is_a_weight_outlives_the_model() {
    // Large enough to lie beside the model, where the session reads it in place.
    let weight = Tensor::from_slice(Element::Fp32, [1024], &[1.5f32; 1024]).unwrap();
    let mut graph = Sketch::new("weight").input("x", Element::Fp32, "1").op("Abs", "x", "y").output("y").graph();
    graph.constants.push(("w".into(), weight.clone()));
    let port = burst_host::nouns::Port::exactly("w", weight.spec());
    graph.outputs.push(port);
    drop(weight);
    let program = accelerator().load(&graph).await.unwrap();
    drop(graph);
    let x = Tensor::from_slice(Element::Fp32, [1], &[-1.0f32]).unwrap();
    let outputs = program.run(vec![x], soon()).await.unwrap();
    drop(program);
    assert_eq!(outputs[1].to_vec::<f32>(), Some(vec![1.5; 1024]));
}

#[tokio::test]
async fn division_of_the_lowest_number_wraps() {
    let a = Tensor::from_slice(Element::I64, [3], &[i64::MIN, 7, -9]).unwrap();
    let b = Tensor::from_slice(Element::I64, [3], &[-1i64, -1, 2]).unwrap();
    for (kind, expected) in [("Div", vec![i64::MIN, -7, -4]), ("Mod", vec![0, 0, 1])] {
        let sketch = Sketch::new("div").input("a", Element::I64, "3").input("b", Element::I64, "3");
        let y = run(sketch.op(kind, "a b", "y").output("y"), vec![a.clone(), b.clone()]).await.unwrap();
        assert_eq!(y[0].to_vec::<i64>(), Some(expected), "{kind}");
    }
}

#[tokio::test]
async fn division_by_zero_is_invalid() {
    let numbers = |value: i32| Tensor::from_slice(Element::I32, [1], &[value]).unwrap();
    let sketch = Sketch::new("div").input("a", Element::I32, "1").input("b", Element::I32, "1");
    let fault = run(sketch.op("Div", "a b", "y").output("y"), vec![numbers(1), numbers(0)]).await.unwrap_err();
    assert!(matches!(&fault, Fault::Invalid(text) if text.contains("zero")), "{fault}");
}

#[tokio::test]
async fn recurrent_operator_of_an_empty_batch_is_refused() {
    let numbers = |extents: [usize; 3]| {
        Tensor::from_slice(Element::Fp32, extents, &vec![1.0f32; extents.iter().product()]).unwrap()
    };
    let sketch = || {
        let sketch = Sketch::new("lstm").input("x", Element::Fp32, "3 N 2").input("w", Element::Fp32, "1 8 2");
        let size = [("hidden_size", burst_host::nouns::Attribute::Int(2))];
        sketch.input("r", Element::Fp32, "1 8 2").op_with("LSTM", "x w r", "y", size).output("y")
    };
    let given = |batch: usize| vec![numbers([3, batch, 2]), numbers([1, 8, 2]), numbers([1, 8, 2])];
    assert_eq!(run(sketch(), given(1)).await.unwrap()[0].spec().shape.extents(), [3, 1, 1, 2]);
    let refused = run(sketch(), given(0)).await.unwrap_err();
    assert!(matches!(&refused, Fault::Unsupported(text) if text.contains("empty batch")), "{refused}");
}

#[tokio::test]
async fn operator_of_no_known_name_is_refused_at_load() {
    let sketch = Sketch::new("no").input("x", Element::Fp32, "N").op("Frobnicate", "x", "y").output("y");
    let refused = accelerator().load(&sketch.graph()).await.map(drop).unwrap_err();
    assert!(matches!(&refused, Fault::Unsupported(text) if text.contains("Frobnicate")), "{refused}");
}

/// A chain of products of large matrices: minutes of work.
fn long() -> (Sketch, Vec<Tensor>) {
    const EXTENT: usize = 1024;
    let mut sketch = Sketch::new("long").input("x0", Element::Fp32, "1024 1024");
    for index in 0..2_000 {
        sketch = sketch.op("MatMul", &format!("x{index} x0"), &format!("x{}", index + 1));
    }
    let zeros = Tensor::from_slice(Element::Fp32, [EXTENT, EXTENT], &vec![0.0f32; EXTENT * EXTENT]).unwrap();
    (sketch.output("x2000"), vec![zeros])
}

#[tokio::test]
async fn run_ends_at_its_deadline() {
    let accelerator = accelerator();
    let (sketch, inputs) = long();
    let program = accelerator.load(&sketch.graph()).await.unwrap();
    let late = program.run(inputs.clone(), Instant::now() + Duration::from_millis(200)).await;
    assert_eq!(late.map(drop), Err(Fault::TimedOut));
    // Both threads are free again long before the work could have been done.
    let abs = Sketch::new("abs").input("x", Element::Fp32, "1").op("Abs", "x", "y").output("y");
    let abs = accelerator.load(&abs.graph()).await.unwrap();
    let one = Tensor::from_slice(Element::Fp32, [1], &[-1.0f32]).unwrap();
    let (first, second) = tokio::join!(abs.run(vec![one.clone()], soon()), abs.run(vec![one], soon()));
    assert!(first.is_ok() && second.is_ok());
}

#[tokio::test]
async fn sessions_share_an_arena_that_is_counted() {
    let accelerator = accelerator();
    let sketch = Sketch::new("sum").input("x", Element::Fp32, "N").op("Exp", "x", "y").output("y");
    let program = accelerator.load(&sketch.graph()).await.unwrap();
    let x = Tensor::from_slice(Element::Fp32, [1 << 20], &vec![0.0f32; 1 << 20]).unwrap();
    let y = program.run(vec![x], soon()).await.unwrap();
    // Its result is in the arena for as long as somebody has it.
    let arena = accelerator.arena().unwrap();
    assert!(arena.used_bytes >= 4 << 20 && arena.held_bytes >= arena.used_bytes, "{arena:?}");
    drop(y);
}

#[test]
fn runs_of_many_threads_share_a_session() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let accelerator = accelerator();
    let sketch = Sketch::new("add").input("x", Element::Fp32, "N").op("Add", "x x", "y").output("y");
    let program = runtime.block_on(accelerator.load(&sketch.graph())).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let program = program.clone();
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                for round in 0..200 {
                    let number = (thread * 1000 + round) as f32;
                    let x = Tensor::from_slice(Element::Fp32, [2], &[number, 1.0]).unwrap();
                    let y = runtime.block_on(program.run(vec![x], soon())).unwrap();
                    assert_eq!(y[0].to_vec::<f32>(), Some(vec![2.0 * number, 2.0]));
                }
            });
        }
    });
}

#[tokio::test]
async fn models_with_several_recurrent_operators_load() {
    let weights = |count: usize| Tensor::from_slice(Element::Fp32, [1, 2, count], &vec![0.5f32; 2 * count]).unwrap();
    let sizes = || [("hidden_size", Attribute::Int(2))];
    let sketch = Sketch::new("two").input("x", Element::Fp32, "S B 3").constant("w", weights(3));
    let sketch =
        sketch.constant("r", weights(2)).constant("axis", Tensor::from_slice(Element::I64, [1], &[1i64]).unwrap());
    let sketch = sketch.op_with("RNN", "x w r", "four", sizes()).op("Squeeze", "four axis", "h");
    let sketch = sketch.op_with("RNN", "h r r", "y", sizes()).output("y");
    let x = |batch: usize| Tensor::from_slice(Element::Fp32, [2, batch, 3], &vec![1.0f32; 6 * batch]).unwrap();
    let y = run(sketch.clone(), vec![x(1)]).await.unwrap();
    assert_eq!(y[0].spec().shape.extents(), [2, 1, 1, 2]);
    assert!(matches!(run(sketch, vec![x(0)]).await, Err(Fault::Unsupported(_))), "an empty batch");
}

#[tokio::test]
async fn weights_that_nobody_uses_are_left_out() {
    let weight = Tensor::from_slice(Element::Fp32, [1024], &[1.5f32; 1024]).unwrap();
    let sketch = Sketch::new("unused").input("x", Element::Fp32, "1").constant("w", weight);
    let x = Tensor::from_slice(Element::Fp32, [1], &[-1.0f32]).unwrap();
    let y = run(sketch.op("Abs", "x", "y").output("y"), vec![x]).await.unwrap();
    assert_eq!(y[0].to_vec::<f32>(), Some(vec![1.0]));
}

/// An inner constant has the name of an outer one, in two branches and in a branch of a branch.
#[tokio::test]
async fn inner_values_hide_outer_ones() {
    let one = |value: f32| Tensor::from_slice(Element::Fp32, [1], &[value]).unwrap();
    let branch = |value: f32| Sketch::new("branch").constant("w", one(value)).op("Add", "x w", "q").output("q").graph();
    let choice = |then: Graph, other: Graph| {
        [("then_branch", Attribute::Graph(Box::new(then))), ("else_branch", Attribute::Graph(Box::new(other)))]
    };
    let deep = Sketch::new("deep").constant("w", one(5.0));
    let deep = deep.op_with("If", "c", "p", choice(branch(100.0), branch(200.0))).op("Add", "p w", "q").output("q");
    let sketch = Sketch::new("hidden").input("x", Element::Fp32, "1").input("c", Element::Bool, "1");
    // A name that a new one might be taken for.
    let sketch = sketch.constant("w", one(1000.0)).constant("w@1", one(0.5));
    let sketch = sketch.op_with("If", "c", "a", choice(deep.graph(), branch(7.0))).op("Add", "a w", "y").output("y");
    for (condition, expected) in [(1u8, 1107.0), (0, 1009.0)] {
        let c = Tensor::from_slice(Element::Bool, [1], &[condition]).unwrap();
        let y = run(sketch.clone(), vec![one(2.0), c]).await.unwrap();
        assert_eq!(y[0].to_vec::<f32>(), Some(vec![expected]), "{condition}");
    }
}

/// A model that tells another rank and another extent than it gives.
#[tokio::test]
async fn what_a_model_says_of_its_results_is_compared() {
    let sketch = Sketch::new("lies").input("x", Element::Fp32, "2 3").op("Abs", "x", "y").op("Neg", "x", "z");
    let mut graph = sketch.output("y").output("z").graph();
    graph.outputs[0].shape = Some(vec![Extent::Named("n".into())]);
    graph.outputs[1].shape = Some(vec![Extent::Fixed(7), Extent::Fixed(3)]);
    let program = accelerator().load(&graph).await.unwrap();
    let told: Vec<_> = program.signature().outputs.iter().map(|port| port.shape.clone().unwrap()).collect();
    assert_eq!(told, [vec![Extent::Any, Extent::Any], vec![Extent::Any, Extent::Fixed(3)]]);
}

/// What the newest libraries write, and names that an exporter gave twice.
#[tokio::test]
async fn newer_stamps_and_double_names_load() {
    let sketch = Sketch::new("new").input("x", Element::Fp32, "2").op("Abs", "x", "a").op("Neg", "a", "y").output("y");
    let mut graph = sketch.graph();
    (graph.ir_version, graph.opsets[0].version) = (14, 28);
    graph.ops.iter_mut().for_each(|op| op.name = "node".into());
    let x = Tensor::from_slice(Element::Fp32, [2], &[-1.0f32, 2.0]).unwrap();
    let y = accelerator().load(&graph).await.unwrap().run(vec![x], soon()).await.unwrap();
    assert_eq!(y[0].to_vec::<f32>(), Some(vec![-1.0, -2.0]));
}
