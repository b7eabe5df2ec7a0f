//! The largest, the smallest and what lies near: with what is no number, far from zero, at the ends of axes.

use super::{
    accelerator, longs,
    numbers::{doubles, floats, halves, numbers, run},
    soon,
};
use crate::conformance::Sketch;
use burst_host::{
    nouns::{Attribute, Element, Tensor},
    ports::Accelerator,
};

const NAN: f64 = f64::NAN;

fn ints<const N: usize>(name: &'static str, values: [i64; N]) -> (&'static str, Attribute) {
    (name, Attribute::Ints(values.to_vec()))
}

fn assert_same(found: &[f64], expected: &[f64], what: &str) {
    let same = |(a, b): (&f64, &f64)| a == b || a.is_nan() && b.is_nan();
    assert!(found.len() == expected.len() && found.iter().zip(expected).all(same), "{what}: {found:?}");
}

/// `kind` on an `x` that is given when it runs: of constants tract computes the extremes itself, without what is no
/// number.
async fn check<const N: usize>(
    kind: &str,
    opset: i64,
    attributes: [(&str, Attribute); N],
    x: &Tensor,
    expected: &[f64],
    within: f64,
) {
    let extents: Vec<String> = x.spec().shape.extents().iter().map(usize::to_string).collect();
    let given = Sketch::new(kind).input("x", x.spec().element, &extents.join(" "));
    // Computed once, when the model is loaded.
    let constant = Sketch::new(kind).constant("x", x.clone());
    for (sketch, inputs) in [(given, vec![x.clone()]), (constant, Vec::new())] {
        let sketch = sketch.op_with(kind, "x", "y", attributes.clone()).output("y");
        let found = numbers(&run(sketch, opset, inputs).await.unwrap()[0]);
        let near = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= within * b.abs();
        let right = found.len() == expected.len() && found.iter().zip(expected).all(near);
        assert!(right, "{kind}: {found:?} instead of {expected:?}");
    }
}

/// Rows with what is no number at the start, at the end and nowhere.
const ROWS: [f32; 12] = [f32::NAN, 2.0, 1.0, 4.0, 5.0, f32::NAN, 3.0, 3.0, 0.5, f32::NEG_INFINITY, -7.0, 8.0];

#[tokio::test]
async fn reductions_give_what_is_no_number() {
    let x = floats(&[4, 3], &ROWS);
    let along = |axis: i64| [ints("axes", [axis])];
    check("ReduceMax", 13, along(1), &x, &[NAN, NAN, 3.0, 8.0], 0.0).await;
    check("ReduceMin", 13, along(1), &x, &[NAN, NAN, 0.5, f64::NEG_INFINITY], 0.0).await;
    check("ReduceMax", 13, along(0), &x, &[NAN, 5.0, NAN], 0.0).await;
    check("ReduceMin", 13, [], &x, &[NAN], 0.0).await;
    check("ReduceMax", 13, along(0), &halves(&[1.0, f32::NAN]), &[NAN], 0.0).await;
    check("ReduceMin", 13, along(0), &doubles(&[2], &[1.0, NAN]), &[NAN], 0.0).await;
    let apart = floats(&[2, 2, 2], &[1.0, 2.0, 3.0, f32::NAN, 5.0, 6.0, 7.0, 8.0]);
    check("ReduceMax", 13, [ints("axes", [0, 2])], &apart, &[6.0, NAN], 0.0).await;
    let mut long = vec![0.5; 3000];
    long[1777] = f32::NAN;
    check("ReduceMax", 13, [], &floats(&[3000], &long), &[NAN], 0.0).await;
    let places = |axis: i64| [("axis", Attribute::Int(axis))];
    check("ArgMax", 13, places(1), &x, &[0.0, 2.0, 0.0, 2.0], 0.0).await;
    check("ArgMin", 13, places(1), &x, &[0.0, 2.0, 2.0, 0.0], 0.0).await;
    check("ArgMax", 13, places(0), &x, &[0.0, 1.0, 1.0], 0.0).await;
    let last = [("axis", Attribute::Int(1)), ("select_last_index", Attribute::Int(1))];
    check("ArgMax", 13, last, &x, &[0.0, 2.0, 1.0, 2.0], 0.0).await;
}

#[tokio::test]
async fn pools_give_what_is_no_number() {
    let kernel = |extents: &[i64]| ("kernel_shape", Attribute::Ints(extents.to_vec()));
    let x = floats(&[1, 1, 3, 4], &ROWS);
    check("GlobalMaxPool", 13, [], &x, &[NAN], 0.0).await;
    check("MaxPool", 13, [kernel(&[2, 2])], &x, &[NAN, NAN, 4.0, NAN, NAN, 8.0], 0.0).await;
    let row = |values: &[f32]| floats(&[1, 1, values.len()], values);
    let low = f32::NEG_INFINITY;
    check("MaxPool", 13, [kernel(&[2])], &row(&[low, low, 1.0]), &[f64::from(low), 1.0], 0.0).await;
    let wide = [kernel(&[2]), ints("dilations", [2]), ints("strides", [2]), ints("pads", [1, 1])];
    check("MaxPool", 13, wide, &row(&[5.0, 1.0, 2.0, 7.0, 3.0]), &[1.0, 7.0, 7.0], 0.0).await;
    let ceil = [kernel(&[2]), ints("strides", [2]), ("ceil_mode", Attribute::Int(1))];
    check("MaxPool", 13, ceil, &row(&[1.0, 2.0, f32::NAN]), &[2.0, NAN], 0.0).await;
    let cube: Vec<f32> = (0..27).map(|x| if x == 26 { f32::NAN } else { x as f32 }).collect();
    let cube = floats(&[1, 1, 3, 3, 3], &cube);
    check("MaxPool", 13, [kernel(&[2, 2, 2])], &cube, &[13.0, 14.0, 16.0, 17.0, 22.0, 23.0, 25.0, NAN], 0.0).await;
    let norm = [kernel(&[2, 2]), ints("strides", [1, 2]), ("p", Attribute::Int(1))];
    let ones = floats(&[1, 1, 2, 4], &[1.0, -2.0, 3.0, 4.0, 5.0, 6.0, -7.0, 8.0]);
    check("LpPool", 18, norm, &ones, &[14.0, 22.0], 1e-6).await;
}

#[tokio::test]
async fn places_of_pools_are_of_what_is_no_number() {
    let sketch = Sketch::new("places").input("x", Element::Fp32, "1 2 3");
    let kernel = [("kernel_shape", Attribute::Ints(vec![2]))];
    let sketch = sketch.op_with("MaxPool", "x", "y i", kernel).output("y").output("i");
    let x = floats(&[1, 2, 3], &[1.0, f32::NAN, 2.0, 4.0, 4.0, 5.0]);
    let found = run(sketch, 12, vec![x]).await.unwrap();
    assert_same(&numbers(&found[0]), &[NAN, NAN, 4.0, 5.0], "values");
    assert_same(&numbers(&found[1]), &[1.0, 1.0, 3.0, 5.0], "places");
}

#[tokio::test]
async fn scatters_give_what_is_no_number() {
    for (reduction, expected) in [("max", [NAN, 9.0, 3.0]), ("min", [NAN, 2.0, -1.0])] {
        let how = || [("reduction", Attribute::Text(reduction.as_bytes().to_vec()))];
        let given = || {
            let sketch = Sketch::new("scatter").input("x", Element::Fp32, "3").input("u", Element::Fp32, "4");
            sketch.output("y")
        };
        let inputs = || vec![floats(&[3], &[1.0, 2.0, 3.0]), floats(&[4], &[f32::NAN, 5.0, 9.0, -1.0])];
        let rows = Tensor::from_slice(Element::I64, [4, 1], &[0i64, 0, -2, -1]).unwrap();
        let sketch = given().constant("i", rows).op_with("ScatterND", "x i u", "y", how());
        assert_same(&numbers(&run(sketch, 18, inputs()).await.unwrap()[0]), &expected, "ScatterND");
        let sketch = given().constant("i", longs(&[0, 0, -2, -1])).op_with("ScatterElements", "x i u", "y", how());
        assert_same(&numbers(&run(sketch, 18, inputs()).await.unwrap()[0]), &expected, "ScatterElements");
        let constants = ["x", "u"].into_iter().zip(inputs());
        let sketch = constants.fold(Sketch::new("scatter"), |sketch, (name, value)| sketch.constant(name, value));
        let sketch = sketch.constant("i", longs(&[0, 0, -2, -1])).op_with("ScatterElements", "x i u", "y", how());
        let found = run(sketch.output("y"), 18, Vec::new()).await.unwrap();
        assert_same(&numbers(&found[0]), &expected, "ScatterElements of constants");
    }
}

#[tokio::test]
async fn layers_far_from_zero_keep_their_spread() {
    let x: Vec<f32> = [10000.0, 10000.5, 9999.5, 10000.0].to_vec();
    let spread = |value: f64| value / (0.125f64 + 1e-5).sqrt();
    let expected = [0.0, spread(0.5), spread(-0.5), 0.0];
    let sketch = Sketch::new("layer").input("x", Element::Fp32, "1 4").constant("s", floats(&[4], &[1.0; 4]));
    let sketch = sketch.op("LayerNormalization", "x s", "y m i").output("y").output("m").output("i");
    let found = run(sketch, 17, vec![floats(&[1, 4], &x)]).await.unwrap();
    let near = |found: &Tensor| numbers(found).iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near(&found[0]), "{:?}", numbers(&found[0]));
    assert_eq!((numbers(&found[1]), found[1].spec().shape.extents()), (vec![10000.0], &[1, 1][..]));
    assert!((numbers(&found[2])[0] - spread(1.0)).abs() < 1e-4);
    let wide = Sketch::new("wide").input("x", Element::Fp16, "2 2").constant("s", halves(&[2.0, 3.0]));
    let wide = wide.constant("b", halves(&[0.5, 0.0])).op("LayerNormalization", "x s b", "y").output("y");
    let x = Tensor::from_slice(Element::Fp16, [2, 2], &[1.0, 3.0, 200.0, 100.0].map(half::f16::from_f32)).unwrap();
    let found = run(wide, 17, vec![x]).await.unwrap();
    assert!(numbers(&found[0]).iter().zip([-1.5, 3.0, 2.5, -3.0]).all(|(a, b)| (a - b).abs() < 1e-2));
    let means = floats(&[2, 4], &[1e8, 1.0, 2.0, 3.0, -1e8, 1.0, 0.0, 5.0]);
    let sketch = Sketch::new("mean").input("x", Element::Fp32, "2 4");
    let sketch = sketch.op_with("ReduceMean", "x", "y", [("axes", Attribute::Ints(vec![0]))]).output("y");
    let found = run(sketch, 13, vec![means]).await.unwrap();
    assert_eq!(numbers(&found[0]), [0.0, 1.0, 1.0, 4.0]);
}

#[tokio::test]
async fn curves_hold_to_their_ends() {
    let low = f32::NEG_INFINITY;
    let x = floats(&[3], &[1e20, 2.0, 1.0]);
    check("Acosh", 9, [], &x, &[1e20f64.ln() + std::f64::consts::LN_2, 2f64.acosh(), 0.0], 1e-6).await;
    let x = floats(&[4], &[3e38, -3e38, 0.5, low]);
    let most = f64::from(3e38f32).ln() + std::f64::consts::LN_2;
    check("Asinh", 9, [], &x, &[most, -most, 0.5f64.asinh(), f64::NEG_INFINITY], 1e-6).await;
    let mish = |x: f64| x * (x.exp().ln_1p()).tanh();
    check("Mish", 18, [], &floats(&[3], &[-10.0, 0.5, 30.0]), &[mish(-10.0), mish(0.5), 30.0], 2e-6).await;
    let sketch = Sketch::new("zero").input("x", Element::Fp32, "1").op("Tanh", "x", "y").output("y");
    let zero = run(sketch, 13, vec![floats(&[1], &[-0.0])]).await.unwrap();
    assert!(numbers(&zero[0])[0].is_sign_negative());
    let sketch = Sketch::new("half").input("x", Element::Fp32, "4").constant("p", floats(&[], &[0.5]));
    let powers = run(sketch.op("Pow", "x p", "y").output("y"), 13, vec![floats(&[4], &[low, -1.0, -0.0, 4.0])]).await;
    let powers = numbers(&powers.unwrap()[0]);
    assert_same(&powers, &[f64::INFINITY, NAN, 0.0, 2.0], "powers");
    assert!(powers[2].is_sign_positive());
}

#[tokio::test]
async fn slices_take_any_step_and_nothing() {
    let sliced = async |start: i64, end: i64, step: i64| {
        let sketch = Sketch::new("sliced").input("x", Element::Fp32, "4").constant("s", longs(&[start]));
        let sketch = sketch.constant("e", longs(&[end])).constant("a", longs(&[0])).constant("p", longs(&[step]));
        let x = floats(&[4], &[0.0, 1.0, 2.0, 3.0]);
        numbers(&run(sketch.op("Slice", "x s e a p", "y").output("y"), 13, vec![x]).await.unwrap()[0])
    };
    assert_eq!(sliced(3, -i64::MAX, i64::MIN).await, [3.0]);
    assert_eq!(sliced(1, i64::MAX, i64::MAX).await, [1.0]);
    assert_eq!(sliced(0, 4, (1 << 32) + 1).await, [0.0]);
    assert!(sliced(2, 1, 1).await.is_empty());
    assert!(sliced(2, 1, i64::MAX).await.is_empty());
    assert!(sliced(1, 2, -1).await.is_empty());
    assert_eq!(sliced(-1, -3, -1).await, [3.0, 2.0]);
}

#[tokio::test]
async fn sequences_are_read_backwards() {
    let sketch = Sketch::new("turned").input("x", Element::Fp32, "2 3").constant("n", longs(&[2, 3]));
    let how = [("batch_axis", Attribute::Int(0)), ("time_axis", Attribute::Int(1))];
    let sketch = sketch.op_with("ReverseSequence", "x n", "y", how).output("y");
    let found = run(sketch, 10, vec![floats(&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])]).await.unwrap();
    assert_eq!(numbers(&found[0]), [1.0, 0.0, 2.0, 5.0, 4.0, 3.0]);
    let sketch = Sketch::new("backwards").input("x", Element::Fp32, "2 1 1").constant("w", floats(&[1, 1, 1], &[1.0]));
    let how = [("hidden_size", Attribute::Int(1)), ("direction", Attribute::Text(b"reverse".to_vec()))];
    let sketch = sketch.constant("r", floats(&[1, 1, 1], &[0.5])).op_with("RNN", "x w r", "y h", how);
    let found = run(sketch.output("y").output("h"), 14, vec![floats(&[2, 1, 1], &[1.0, 0.5])]).await.unwrap();
    let last = 0.5f64.tanh();
    let first = (1.0 + 0.5 * last).tanh();
    let near =
        |found: &Tensor, expected: &[f64]| numbers(found).iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(near(&found[0], &[first, last]) && near(&found[1], &[first]));
}

#[tokio::test]
async fn what_may_be_of_two_ranks_is_promised_neither() {
    let inner = |kind: &str| {
        let sketch = Sketch::new(kind).op(kind, if kind == "Squeeze" { "x one" } else { "x" }, "r").output("r");
        sketch.subgraph()
    };
    let branches = [("then_branch", inner("Squeeze")), ("else_branch", inner("Identity"))];
    let sketch = Sketch::new("branches").input("x", Element::Fp32, "b n 3").constant("one", longs(&[1]));
    let sketch = sketch.op("Shape", "x", "s").op("Gather", "s one", "d").op("Equal", "d one", "c");
    let sketch = sketch.op_with("If", "c", "y", branches).output("y");
    let program = accelerator(1).load(&sketch.graph()).await.unwrap();
    assert_eq!(program.signature().outputs[0].shape, None);
}

#[tokio::test]
async fn conditions_pick() {
    let picked = async |axis: Option<i64>, constant: bool| {
        let condition = Tensor::from_slice(Element::Bool, [3], &[0u8, 1, 1]).unwrap();
        let mut sketch = Sketch::new("picked").input("x", Element::Fp32, "2 3");
        let mut inputs = vec![floats(&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])];
        if constant {
            sketch = sketch.constant("c", condition);
        } else {
            sketch = sketch.input("c", Element::Bool, "3");
            inputs.push(condition);
        }
        let mut graph = sketch.op("Compress", "x c", "y").output("y").graph();
        graph.ops[0].attributes.extend(axis.map(|axis| ("axis".to_owned(), Attribute::Int(axis))));
        numbers(&accelerator(1).load(&graph).await.unwrap().run(inputs, soon()).await.unwrap()[0])
    };
    assert_eq!(picked(Some(-1), true).await, [1.0, 2.0, 4.0, 5.0]);
    assert_eq!(picked(None, false).await, [1.0, 2.0]);
}
