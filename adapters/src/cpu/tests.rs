//! The conformance suite, and what only this accelerator promises.

mod extremes;
mod numbers;

use super::CpuAccelerator;
use crate::{
    conformance::{self, Sketch},
    onnx::{self, Limits},
};
use burst_host::{
    nouns::{Attribute, Element, Extent, Fault, Port, Signature, Spec, Tensor},
    ports::Accelerator,
};
use std::{
    fs,
    num::NonZeroUsize,
    path::Path,
    time::{Duration, Instant},
};

fn accelerator(threads: usize) -> CpuAccelerator {
    CpuAccelerator::new(NonZeroUsize::new(threads).unwrap()).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[tokio::test]
async fn one_thread_conforms() {
    conformance::check(&accelerator(1)).await;
}

#[tokio::test]
async fn four_threads_conform() {
    conformance::check(&accelerator(4)).await;
}

#[tokio::test]
async fn hostile_graphs_are_refused_by_their_cost() {
    conformance::check_budget(accelerator(2)).await;
}

#[tokio::test]
async fn the_signature_is_filled_in() {
    let check = async |sketch: Sketch, expected: &str| {
        let program = accelerator(1).load(&sketch.graph()).await.unwrap();
        assert_eq!(program.signature().to_string(), expected);
    };
    let fixed = Sketch::new("fixed").input("x", Element::Fp16, "2 3").op("Transpose", "x", "y").output("y");
    check(fixed, "(x: FP16[2, 3]) -> (y: FP16[3, 2])").await;
    let open = Sketch::new("open").input("x", Element::Fp32, "N ? 4").op("Transpose", "x", "y").output("y");
    check(open.op("Shape", "x", "s").output("s"), "(x: FP32[N, ?, 4]) -> (y: FP32[4, ?, N], s: INT64[3])").await;
}

#[tokio::test]
async fn what_tract_lacks_is_refused_at_load() {
    let check = async |sketch: Sketch, expected: &str| match accelerator(1).load(&sketch.graph()).await.map(drop) {
        Err(Fault::Unsupported(reason)) => assert!(reason.contains(expected), "{reason}"),
        other => panic!("{expected}: {other:?}"),
    };
    let pool = Sketch::new("pool").input("x", Element::Fp32, "1 1 2 2").op("LpPool", "x", "y").output("y");
    check(pool, "`LpPool`").await;
    let inner = Sketch::new("inner").op("Det", "x", "z").output("z").subgraph();
    let branch = Sketch::new("outer").input("x", Element::Fp32, "2 2").input("c", Element::Bool, "");
    let branch = branch.op_with("If", "c", "y", [("then_branch", inner.clone()), ("else_branch", inner)]).output("y");
    check(branch, "`Det`").await;
    let strings = Sketch::new("strings").input("x", Element::Bytes, "2").op("Identity", "x", "y").output("y");
    check(strings, "BYTES").await;
    let brain = Sketch::new("bf16").input("x", Element::Bf16, "2").op("Identity", "x", "y").output("y");
    check(brain, "BF16").await;
    // Known by name, impossible by type.
    let mixed = Sketch::new("mixed").input("x", Element::Fp32, "2 3").input("w", Element::Fp32, "2 3");
    check(mixed.op("MatMul", "x w", "y").output("y"), "operator `MatMul` on the CPU: ").await;
    // However its other inputs were known.
    let late = Sketch::new("late").input("x", Element::Fp32, "4").input("s", Element::I64, "2");
    check(late.op("Reshape", "x s", "z").op("Det", "z", "y").output("y"), "`Det`").await;
}

#[tokio::test]
async fn inputs_may_decide_over_shapes() {
    let sketch = Sketch::new("late").input("x", Element::Fp32, "N").input("s", Element::I64, "K");
    let sketch = sketch.input("axis", Element::I64, "1").constant("one", longs(&[1]));
    let sketch = sketch.op("Add", "axis one", "next").op("Reshape", "x s", "z").op("ReduceSum", "z next", "y");
    let program = accelerator(1).load(&sketch.output("y").graph()).await.unwrap();
    let run = async |shape: &[i64], axis: i64| {
        let x = Tensor::from_slice(Element::Fp32, [6], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        program.run(vec![x, longs(shape), longs(&[axis])], soon()).await.map(|found| found[0].to_vec::<f32>().unwrap())
    };
    // The first again: what it was planned for is not forgotten, and not taken for another.
    for _ in 0..2 {
        assert_eq!(run(&[2, 3], 0).await.unwrap(), [6.0, 15.0]);
        assert_eq!(run(&[2, 3], -1).await.unwrap(), [5.0, 7.0, 9.0]);
        assert_eq!(run(&[3, -1], 0).await.unwrap(), [3.0, 7.0, 11.0]);
    }
    let refused = run(&[4, 4], 0).await;
    assert!(refused.is_err(), "{refused:?}");
    let refused = run(&[1; 5_000], 0).await;
    assert!(matches!(&refused, Err(Fault::Unsupported(why)) if why.contains("input `s`")), "{refused:?}");
}

fn longs(values: &[i64]) -> Tensor {
    Tensor::from_slice(Element::I64, [values.len()], values).unwrap()
}

/// Beside the definition: what is spelled out in other operators.
#[tokio::test]
async fn what_tract_lacks_is_spelled_out() {
    let floats = |extents: &[usize], values: &[f32]| Tensor::from_slice(Element::Fp32, extents, values).unwrap();
    let run = async |sketch: Sketch, inputs: &[Tensor]| {
        let mut graph = sketch.output("y").graph();
        graph.opsets[0].version = 24;
        let program = accelerator(1).load(&graph).await.unwrap();
        program.run(inputs.to_vec(), soon()).await.unwrap().remove(0).to_vec::<f32>().unwrap()
    };
    let close = |what: &str, found: &[f32], expected: &[f32]| {
        let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
        assert!(
            found.len() == expected.len() && found.iter().zip(expected).all(near),
            "{what}: {found:?}, {expected:?}"
        );
    };
    let x = floats(&[2, 3], &[-1.0, -2.0, -3.0, -0.5, -0.25, -4.0]);
    for (reduction, expected) in [("none", vec![6.0, 0.0]), ("sum", vec![6.0]), ("mean", vec![3.0])] {
        let sketch = Sketch::new("loss").input("x", Element::Fp32, "N 3").input("t", Element::I64, "N");
        let sketch = sketch.constant("w", floats(&[3], &[1.0, 3.0, 2.0]));
        let attributes = [("reduction", Attribute::Text(reduction.into())), ("ignore_index", Attribute::Int(-7))];
        let sketch = sketch.op_with("NegativeLogLikelihoodLoss", "x t w", "y", attributes);
        let found = run(sketch, &[x.clone(), longs(&[2, -7])]).await;
        close(reduction, &found, &expected);
    }
    let celu = Sketch::new("celu").input("x", Element::Fp32, "3");
    let celu = celu.op_with("Celu", "x", "y", [("alpha", Attribute::Float(2.0))]);
    let expected = [-1.0f32, 3.0, -4.0].map(|x| x.max(0.0) + (2.0 * ((x / 2.0).exp() - 1.0)).min(0.0));
    close("Celu", &run(celu, &[floats(&[3], &[-1.0, 3.0, -4.0])]).await, &expected);

    let causal = Sketch::new("causal")
        .input("x", Element::Fp32, "1 2 3")
        .constant("w", floats(&[2, 1, 2], &[2.0, 3.0, 5.0, 7.0]));
    let x = floats(&[1, 2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let state = causal.clone().op("CausalConvWithState", "x w", "z y");
    let expected = [3.0, 8.0, 13.0, 28.0, 55.0, 67.0];
    close(
        "a convolution",
        &run(causal.op("CausalConvWithState", "x w", "y"), std::slice::from_ref(&x)).await,
        &expected,
    );
    close("its state", &run(state, std::slice::from_ref(&x)).await, &[3.0, 6.0]);
    let alone = Sketch::new("alone").input("x", Element::Fp32, "1 2 3").constant("w", floats(&[2, 1, 1], &[2.0, 3.0]));
    close("no state", &run(alone.op("CausalConvWithState", "x w", "z y"), &[x]).await, &[]);

    // Two queries behind one key of the past, of which two heads share what they attend to.
    let mut attention =
        Sketch::new("attention").input("q", Element::Fp32, "1 2 2 1").input("k", Element::Fp32, "1 1 2 1");
    attention = attention.input("v", Element::Fp32, "1 1 2 1").input("m", Element::Bool, "2 2");
    attention = attention.input("pk", Element::Fp32, "1 1 1 1").input("pv", Element::Fp32, "1 1 1 1");
    let attention = attention.op_with("Attention", "q k v m pk pv", "y", [("is_causal", Attribute::Int(1))]);
    let (q, k, v) = ([0.3f32, -0.7, 1.1, 0.4], [0.9f32, 0.2, -0.6], [5.0f32, 7.0, 11.0]);
    // What the mask lacks, a third key, nobody sees; the first query sees nothing.
    let mask = Tensor::from_slice(Element::Bool, [2, 2], &[0u8, 0, 1, 1]).unwrap();
    let inputs = [
        floats(&[1, 2, 2, 1], &q),
        floats(&[1, 1, 2, 1], &k[1..]),
        floats(&[1, 1, 2, 1], &v[1..]),
        mask,
        floats(&[1, 1, 1, 1], &k[..1]),
        floats(&[1, 1, 1, 1], &v[..1]),
    ];
    let found = run(attention, &inputs).await;
    let mixed = |q: f32| {
        let [a, b] = [(q * k[0]).exp(), (q * k[1]).exp()];
        (a * v[0] + b * v[1]) / (a + b)
    };
    close("Attention", &found, &[0.0, mixed(q[1]), 0.0, mixed(q[3])]);
}

#[tokio::test]
async fn what_tract_ignores_is_refused_unless_it_does_no_harm() {
    let check = async |sketch: Sketch, expected: Option<&str>| {
        let reason = match accelerator(1).load(&sketch.output("y").graph()).await.map(drop) {
            Err(Fault::Unsupported(reason)) => Some(reason),
            other => other.map(|()| None).unwrap(),
        };
        assert_eq!(reason.as_deref().and_then(|reason| reason.strip_prefix("operator ")), expected);
    };
    let image = |mode: &str| {
        let mode = ("mode", Attribute::Text(mode.into()));
        let sketch = Sketch::new("image").input("x", Element::Fp32, "1 1 2 2");
        sketch.op_with("SpaceToDepth", "x", "y", [("blocksize", Attribute::Int(2)), mode])
    };
    check(image("DCR"), None).await;
    check(image("CRD"), Some("`SpaceToDepth` on the CPU: this `mode`")).await;

    let recurrent = |name: &str, value: Attribute| {
        let sketch = Sketch::new("recurrent").input("x", Element::Fp32, "3 1 2");
        let sketch = sketch.input("w", Element::Fp32, "1 4 2").input("r", Element::Fp32, "1 4 4");
        sketch.op_with("RNN", "x w r", "y", [("hidden_size", Attribute::Int(4)), (name, value)])
    };
    let activations = |name: &str| Attribute::Texts(vec![name.into()]);
    check(recurrent("activations", activations("tanh")), None).await;
    check(recurrent("activations", activations("Relu")), Some("`RNN` on the CPU: this `activations`")).await;
    check(recurrent("clip", Attribute::Float(3.0)), Some("`RNN` on the CPU: this `clip`")).await;

    let dropout = |mode: u8| {
        let mode = Tensor::from_slice(Element::Bool, [], &[mode]).unwrap();
        Sketch::new("dropout").input("x", Element::Fp32, "2").constant("mode", mode).op("Dropout", "x _ mode", "y")
    };
    check(dropout(0), None).await;
    check(dropout(1), Some("`Dropout` on the CPU: training mode")).await;
}

#[tokio::test]
async fn what_tract_gets_wrong_is_mended() {
    let check = async |sketch: Sketch, inputs: Vec<Tensor>, expected: Tensor| {
        let program = accelerator(1).load(&sketch.output("y").graph()).await.unwrap();
        let found = program.run(inputs, soon()).await.unwrap();
        assert_eq!((found[0].spec(), found[0].contents()), (expected.spec(), expected.contents()));
    };
    let floats = |values: [f32; 2]| Tensor::from_slice(Element::Fp32, [2], &values).unwrap();
    for (kind, infinity) in [("ReduceMax", f32::NEG_INFINITY), ("ReduceMin", f32::INFINITY)] {
        let sketch = Sketch::new(kind).input("x", Element::Fp32, "2");
        let sketch = sketch.op_with(kind, "x", "y", [("keepdims", Attribute::Int(0))]);
        let expected = Tensor::from_slice(Element::Fp32, [], &[infinity]).unwrap();
        check(sketch, vec![floats([infinity; 2])], expected).await;
    }
    let bytes = |values: [i8; 5]| Tensor::from_slice(Element::I8, [5], &values).unwrap();
    for (direction, expected) in [("LEFT", [4, -2, 0, 0, 0]), ("RIGHT", [0, -1, 0, -1, -1])] {
        let sketch = Sketch::new("shift").input("x", Element::I8, "5").input("by", Element::I8, "5");
        let direction = ("direction", Attribute::Text(direction.into()));
        let inputs = vec![bytes([1, -1, 1, -1, -128]), bytes([2, 1, 8, -1, 127])];
        check(sketch.op_with("BitShift", "x by", "y", [direction]), inputs, bytes(expected)).await;
    }
    // In FP16, 2048 and 1 are 2048.
    let ones = |extents: [usize; 4]| Tensor::from_slice(Element::Fp16, extents, &[half::f16::ONE; 4096]).unwrap();
    let sketch = Sketch::new("half").input("x", Element::Fp16, "1 4096 1 1").constant("w", ones([1, 4096, 1, 1]));
    let sum = Tensor::from_slice(Element::Fp16, [1, 1, 1, 1], &[half::f16::from_f32(4096.0)]).unwrap();
    check(sketch.op("Conv", "x w", "y"), vec![ones([1, 4096, 1, 1])], sum.clone()).await;
    let sketch = Sketch::new("half").input("x", Element::Fp16, "1 1 1 4096").constant("w", ones([1, 1, 4096, 1]));
    check(sketch.op("MatMul", "x w", "y"), vec![ones([1, 1, 1, 4096])], sum).await;

    // Halves that are rounded once.
    let halves = |values: Vec<f64>| {
        let values: Vec<_> = values.into_iter().map(half::f16::from_f64).collect();
        Tensor::from_slice(Element::Fp16, [values.len()], &values).unwrap()
    };
    let x: Vec<f64> = (0..40).map(|step| f64::from(step % 7) / 4.0 - f64::from(step % 3)).collect();
    let total: f64 = x.iter().map(|x| x.exp()).sum();
    let sketch = Sketch::new("weights").input("x", Element::Fp16, "40").op("Softmax", "x", "y");
    check(sketch, vec![halves(x.clone())], halves(x.iter().map(|x| x.exp() / total).collect())).await;

    // The state of a network is its activation, to the last digit.
    let x: Vec<f32> = (-20..20).map(|step| 1e-4 * (step as f32).powi(3)).collect();
    let states = |values: &[f32]| Tensor::from_slice(Element::Fp32, [40, 1, 1], values).unwrap();
    let number = |number: f32| Tensor::from_slice(Element::Fp32, [1, 1, 1], &[number]).unwrap();
    let sketch = Sketch::new("states").input("x", Element::Fp32, "40 1 1").constant("w", number(1.0));
    let sketch = sketch.constant("r", number(0.0)).op_with("RNN", "x w r", "z", [("hidden_size", Attribute::Int(1))]);
    let sketch = sketch.constant("s", longs(&[40, 1, 1])).op("Reshape", "z s", "y");
    let expected: Vec<f32> = x.iter().map(|x| f64::from(*x).tanh() as f32).collect();
    check(sketch, vec![states(&x)], states(&expected)).await;

    for (kind, expected) in [("ReduceMax", [1u8, 1]), ("ReduceMin", [0, 1])] {
        let sketch = Sketch::new(kind).input("x", Element::Bool, "2 2").constant("a", longs(&[1]));
        let truths = |extents: &[usize], values: &[u8]| Tensor::from_slice(Element::Bool, extents, values).unwrap();
        let sketch = sketch.op_with(kind, "x a", "y", [("keepdims", Attribute::Int(0))]);
        let mut graph = sketch.output("y").graph();
        graph.opsets[0].version = 20;
        let program = accelerator(1).load(&graph).await.unwrap();
        let found = program.run(vec![truths(&[2, 2], &[0, 1, 1, 1])], soon()).await.unwrap();
        assert_eq!(found[0].contents(), truths(&[2], &expected).contents(), "{kind}");
    }
}

#[tokio::test]
async fn names_left_out_at_the_end_say_nothing() {
    for (kind, names) in [("ReduceSum", "x _"), ("Clip", "x _ _"), ("Dropout", "x _ _"), ("Identity", "x _")] {
        let sketch = Sketch::new(kind).input("x", Element::Fp32, "1").op(kind, names, "y _").output("y");
        let program = accelerator(1).load(&sketch.graph()).await.unwrap_or_else(|fault| panic!("{kind}: {fault}"));
        let x = Tensor::from_slice(Element::Fp32, [1], &[7.0f32]).unwrap();
        let y = program.run(vec![x.clone()], soon()).await.unwrap().remove(0);
        assert_eq!(y.contents(), x.contents(), "{kind}");
    }
}

#[tokio::test]
async fn extents_that_do_not_fit_are_the_callers_fault() {
    let sketch = Sketch::new("join").input("a", Element::Fp32, "N").input("b", Element::Fp32, "M");
    let program = accelerator(1).load(&sketch.op("Add", "a b", "y").output("y").graph()).await.unwrap();
    let zeros = |extent: usize| Tensor::from_slice(Element::Fp32, [extent], &vec![0.0f32; extent]).unwrap();
    let answer = program.run(vec![zeros(2), zeros(3)], soon()).await;
    assert!(matches!(answer, Err(Fault::Invalid(_))), "{answer:?}");
    assert!(program.run(vec![zeros(3), zeros(3)], soon()).await.is_ok());
}

#[tokio::test]
async fn guests_models_load_and_run() {
    for file in ["digits/model/digits.onnx", "recommend/model/recommend.onnx"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests").join(file);
        let graph = onnx::decode(&fs::read(path).unwrap().into(), &Limits::default()).unwrap();
        let program = accelerator(2).load(&graph).await.unwrap_or_else(|fault| panic!("{file}: {fault}"));
        program.run(zeros(program.signature()), soon()).await.unwrap_or_else(|fault| panic!("{file}: {fault}"));
    }
}

/// Inputs that a signature takes.
fn zeros(signature: &Signature) -> Vec<Tensor> {
    let zero = |port: &Port| {
        let extents: Vec<usize> = port.shape.iter().flatten().map(one_if_open).collect();
        let spec = Spec::new(port.element.unwrap(), extents).unwrap();
        let bytes = spec.bytes().unwrap();
        Tensor::host(spec, vec![0; bytes]).unwrap()
    };
    signature.inputs.iter().map(zero).collect()
}

fn one_if_open(extent: &Extent) -> usize {
    match extent {
        Extent::Fixed(fixed) => *fixed,
        Extent::Named(_) | Extent::Any => 1,
    }
}
