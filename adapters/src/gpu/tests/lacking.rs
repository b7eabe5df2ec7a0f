//! An element type that an operator lacks is found when a model is loaded, whatever its shapes are.

use super::{
    lavapipe::{Lavapipe, floats, longs},
    open,
};
use crate::{conformance::Sketch, cpu::CpuAccelerator, fallback::Fallback};
use burst_host::{
    nouns::{Attribute, Element, Fault, Tensor},
    ports::{Accelerator, DeviceKind},
};
use std::{num::NonZeroUsize, sync::Arc};

const TO_DOUBLE: [(&str, Attribute); 1] = [("to", Attribute::Int(11))];

/// `kind` on FP64, behind what hides its shape.
fn sketches(kind: &str) -> Vec<(&'static str, Sketch)> {
    let open = Sketch::new("open").input("x", Element::Fp64, "N ?").op(kind, "x", "y").output("y");
    let shaped = Sketch::new("shaped").input("x", Element::Fp64, "N").input("s", Element::I64, "2");
    let shaped = shaped.op("Reshape", "x s", "z").op(kind, "z", "y").output("y");
    let counted = Sketch::new("counted").input("x", Element::Fp32, "4").op("NonZero", "x", "i");
    let counted = counted.op_with("Cast", "i", "z", TO_DOUBLE).op(kind, "z", "y").output("y");
    let branch = |kind: &str| Sketch::new("branch").op(kind, "x", "z").output("z").subgraph();
    let chosen = Sketch::new("chosen").input("x", Element::Fp64, "3").input("c", Element::Bool, "");
    let branches = [("then_branch", branch("Abs")), ("else_branch", branch(kind))];
    let chosen = chosen.op_with("If", "c", "y", branches).output("y");
    let body = Sketch::new("body").input("round", Element::I64, "").input("go", Element::Bool, "");
    let body = body.input("before", Element::Fp64, "3").op("Identity", "go", "on").op(kind, "before", "after");
    let body = [("body", body.output("on").output("after").subgraph())];
    let repeated = Sketch::new("repeated").input("x", Element::Fp64, "3").input("n", Element::I64, "");
    let repeated = repeated.op_with("Loop", "n _ x", "y", body).output("y");
    vec![("open", open), ("shaped", shaped), ("counted", counted), ("chosen", chosen), ("repeated", repeated)]
}

#[test]
fn doubles_are_refused_by_name_at_load() {
    let Some(gpu) = Lavapipe::open() else { return };
    for (what, sketch) in sketches("Sin") {
        let refused = gpu.load(sketch).map(drop);
        let named = |why: &str| why.contains("`Sin`") && why.contains("FP64");
        assert!(matches!(&refused, Err(Fault::Unsupported(why)) if named(why)), "{what}: {refused:?}");
    }
    // What it has for doubles stays.
    for (what, sketch) in sketches("Neg") {
        let loaded = gpu.load(sketch).map(drop);
        assert!(loaded.is_ok(), "{what}: {loaded:?}");
    }
}

#[tokio::test]
async fn a_driver_without_doubles_refuses_all_of_them() {
    let Some(gpu) = open("SwiftShader").await else { return };
    for (what, sketch) in sketches("Neg") {
        let refused = gpu.load(&sketch.graph()).await.map(drop);
        assert!(matches!(&refused, Err(Fault::Unsupported(why)) if why.contains("FP64")), "{what}: {refused:?}");
    }
}

#[test]
fn texts_are_refused_by_name_at_load() {
    let Some(gpu) = Lavapipe::open() else { return };
    let sketch = Sketch::new("texts").input("x", Element::Bytes, "N").constant("s", longs(&[2], &[-1, 1]));
    let refused = gpu.load(sketch.op("Reshape", "x s", "y").output("y")).map(drop);
    let named = |why: &str| why.contains("`Reshape`") && why.contains("BYTES");
    assert!(matches!(&refused, Err(Fault::Unsupported(why)) if named(why)), "{refused:?}");
}

/// Extents that are made up decide over nothing else: what they don't fit is planned at those that come.
#[test]
fn shapes_that_nobody_made_up_are_computed() {
    let Some(gpu) = Lavapipe::open() else { return };
    let sketch = Sketch::new("fits").input("x", Element::Fp32, "N").constant("s", longs(&[2], &[7, -1]));
    let sketch = sketch.op("Reshape", "x s", "z").constant("w", floats(&[3], &[1.0, 2.0, 3.0]));
    let found = gpu.run(sketch.op("Add", "z w", "y").output("y"), &[floats(&[21], &[0.5; 21])]).unwrap();
    assert_eq!(found[0].spec().shape.extents(), [7, 3]);
    assert_eq!(found[0].to_vec::<f32>().unwrap()[..3], [1.5, 2.5, 3.5]);
}

#[tokio::test]
async fn a_fallback_is_chosen_at_load() {
    let Some(gpu) = open("llvmpipe").await else { return };
    let cpu = Arc::new(CpuAccelerator::new(NonZeroUsize::MIN).unwrap());
    let both = Fallback { first: Arc::new(gpu), second: cpu };
    for (kind, expected) in [("Sin", DeviceKind::Cpu), ("Neg", DeviceKind::Gpu)] {
        let sketch = Sketch::new("open").input("x", Element::Fp64, "N").op(kind, "x", "y").output("y");
        let program = both.load(&sketch.graph()).await.unwrap();
        assert_eq!(program.device().kind, expected, "{kind}, before it ran");
        let x = Tensor::from_slice(Element::Fp64, [2], &[0.5f64, -0.25]).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        let (y, device) = program.run_told(vec![x], deadline).await.unwrap();
        assert_eq!(device.kind, expected, "{kind}");
        let found = both.download(&y[0]).await.unwrap().to_vec::<f64>().unwrap();
        let wanted = if kind == "Sin" { 0.5f64.sin() } else { -0.5 };
        assert!((found[0] - wanted).abs() < 1e-12, "{kind}: {found:?}");
    }
}
