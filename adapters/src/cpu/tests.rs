//! The conformance suite, and what only this accelerator promises.

use super::CpuAccelerator;
use crate::{
    conformance::{self, Sketch},
    onnx::{self, Limits},
};
use burst_host::{
    nouns::{Element, Extent, Fault, Port, Signature, Spec, Tensor},
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
    let loops = Sketch::new("loop").input("x", Element::Fp32, "2").op("Loop", "x", "y").output("y");
    check(loops, "`Loop`").await;
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
    let late = Sketch::new("late").input("x", Element::Fp32, "4").input("s", Element::I64, "2");
    check(late.op("Reshape", "x s", "y").output("y"), "operator `Reshape` on the CPU: shape").await;
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
