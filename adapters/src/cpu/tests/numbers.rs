//! Numbers that tract by itself gets wrong, and graphs that it refuses though they are right.

use super::{accelerator, longs, soon};
use crate::conformance::Sketch;
use burst_host::{
    nouns::{Attribute, Element, Fault, Graph, Tensor},
    ports::Accelerator,
};

/// Outputs of a graph of an opset.
pub(super) async fn run(sketch: Sketch, opset: i64, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, Fault> {
    let mut graph = sketch.graph();
    graph.opsets[0].version = opset;
    load_and_run(&graph, inputs).await
}

async fn load_and_run(graph: &Graph, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, Fault> {
    accelerator(1).load(graph).await?.run(inputs, soon()).await
}

pub(super) fn floats(extents: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_slice(Element::Fp32, extents, values).unwrap()
}

pub(super) fn doubles(extents: &[usize], values: &[f64]) -> Tensor {
    Tensor::from_slice(Element::Fp64, extents, values).unwrap()
}

pub(super) fn halves(values: &[f32]) -> Tensor {
    let values: Vec<_> = values.iter().copied().map(half::f16::from_f32).collect();
    Tensor::from_slice(Element::Fp16, [values.len()], &values).unwrap()
}

/// `kind` on `x`: what is asked for is computed when it runs, and when it is loaded.
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
    let constant = Sketch::new(kind).constant("x", x.clone());
    for (sketch, inputs) in [(given, vec![x.clone()]), (constant, Vec::new())] {
        let sketch = sketch.op_with(kind, "x", "y", attributes.clone()).output("y");
        let found = run(sketch, opset, inputs).await.unwrap_or_else(|fault| panic!("{kind}: {fault}")).remove(0);
        let found = numbers(&found);
        let near = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= within * b.abs();
        assert!(
            found.len() == expected.len() && found.iter().zip(expected).all(near),
            "{kind}: {found:?} instead of {expected:?}"
        );
    }
}

pub(super) fn numbers(tensor: &Tensor) -> Vec<f64> {
    match tensor.spec().element {
        Element::Fp16 => tensor.to_vec::<half::f16>().unwrap().into_iter().map(f64::from).collect(),
        Element::Fp32 => tensor.to_vec::<f32>().unwrap().into_iter().map(f64::from).collect(),
        Element::Fp64 => tensor.to_vec::<f64>().unwrap(),
        Element::I64 => tensor.to_vec::<i64>().unwrap().into_iter().map(|x| x as f64).collect(),
        Element::U8 => tensor.to_vec::<u8>().unwrap().into_iter().map(f64::from).collect(),
        Element::I8 => tensor.to_vec::<i8>().unwrap().into_iter().map(f64::from).collect(),
        Element::Bool => tensor.contents().unwrap().iter().map(|byte| f64::from(*byte)).collect(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn casts_to_long_keep_64_bits() {
    let to = || [("to", Attribute::Int(7))];
    check("Cast", 13, to(), &floats(&[2], &[3e9, -5e9]), &[3e9, -5e9], 0.0).await;
    check("Cast", 13, to(), &doubles(&[1], &[1.764468e12]), &[1.764468e12], 0.0).await;
    let most = Tensor::from_slice(Element::U32, [1], &[u32::MAX]).unwrap();
    check("Cast", 13, to(), &most, &[4294967295.0], 0.0).await;
}

#[tokio::test]
async fn sums_have_the_width_they_need() {
    let longs = |values: &[i64]| Tensor::from_slice(Element::I64, [1, values.len()], values).unwrap();
    check("ReduceSum", 13, [], &longs(&[2_000_000_000; 3]), &[6e9], 0.0).await;
    check("ReduceMean", 13, [], &longs(&[3_000_000_000, 3_000_000_002]), &[3_000_000_001.0], 0.0).await;
    check("ReduceL1", 13, [], &longs(&[-3_000_000_000]), &[3e9], 0.0).await;
    check("ReduceSumSquare", 13, [], &longs(&[-3, 4]), &[25.0], 0.0).await;
    check("ReduceL2", 13, [], &floats(&[2], &[3e19, 4e19]), &[5e19], 1e-6).await;
    check("ReduceL2", 13, [], &halves(&[200.0, 200.0]), &[282.84], 1e-3).await;
    check("ReduceMean", 13, [], &halves(&[100.0; 800]), &[100.0], 0.0).await;
    check("ReduceSum", 13, [], &floats(&[1 << 15], &[0.1; 1 << 15]), &[3276.8], 1e-7).await;
    check("ReduceLogSumExp", 13, [], &floats(&[2], &[90.0, 89.0]), &[90.313_26], 1e-6).await;
    check("ReduceLogSumExp", 13, [], &floats(&[2], &[-110.0, -111.0]), &[-109.686_74], 1e-6).await;
    let image = floats(&[1, 1, 2, 2], &[-1.0, 2.0, -3.0, 4.0]);
    check("GlobalLpPool", 13, [("p", Attribute::Int(1))], &image, &[10.0], 1e-6).await;
    check("GlobalLpPool", 13, [], &image, &[30f64.sqrt()], 1e-6).await;
    let far = floats(&[1, 1, 1, 2], &[1000.0, 1000.5]);
    check("MeanVarianceNormalization", 13, [], &far, &[-1.0, 1.0], 1e-4).await;
    let equation = || [("equation", Attribute::Text(b"ij->".to_vec()))];
    check("Einsum", 13, equation(), &floats(&[2, 3], &[1.0; 6]), &[6.0], 0.0).await;
}

#[tokio::test]
async fn what_is_no_number_stays_none() {
    let nan = f64::NAN;
    let x = floats(&[3], &[f32::NAN, -2.0, 3.0]);
    check("Relu", 14, [], &x, &[nan, 0.0, 3.0], 0.0).await;
    check("Tanh", 13, [], &x, &[nan, (-2f64).tanh(), 3f64.tanh()], 1e-6).await;
    check("Sigmoid", 13, [], &x, &[nan, 0.119_202_92, 0.952_574_13], 1e-6).await;
    check("HardSigmoid", 6, [], &x, &[nan, 0.1, 1.0], 1e-6).await;
    check("Celu", 12, [], &x, &[nan, (-2f64).exp() - 1.0, 3.0], 1e-6).await;
    check("Clip", 6, [("min", Attribute::Float(-1.0)), ("max", Attribute::Float(1.0))], &x, &[nan, -1.0, 1.0], 0.0)
        .await;
    for (kind, expected) in [("Max", [nan, nan, 3.0]), ("Min", [nan, nan, 1.0])] {
        let sketch = Sketch::new(kind).input("a", Element::Fp32, "3").input("b", Element::Fp32, "3");
        let inputs = vec![floats(&[3], &[f32::NAN, 1.0, 3.0]), floats(&[3], &[10.0, f32::NAN, 1.0])];
        let found = run(sketch.op(kind, "a b", "y").output("y"), 13, inputs).await.unwrap();
        let found = numbers(&found[0]);
        assert!(found.iter().zip(expected).all(|(a, b)| *a == b || a.is_nan() && b.is_nan()), "{kind}: {found:?}");
    }
}

#[tokio::test]
async fn activations_are_good_to_the_last_digits() {
    let x: Vec<f32> = (-400..=400).map(|step| step as f32 * 0.05 + 1e-3).chain([1e-6, -1e-8, 30.0, -30.0]).collect();
    let wide = |of: fn(f64) -> f64| x.iter().map(|x| of(f64::from(*x))).collect::<Vec<f64>>();
    let given = floats(&[x.len()], &x);
    check("Sigmoid", 13, [], &given, &wide(|x| 1.0 / (1.0 + (-x).exp())), 1e-6).await;
    check("Tanh", 13, [], &given, &wide(f64::tanh), 1e-6).await;
    check("Softplus", 1, [], &given, &wide(|x| x.max(0.0) + (-x.abs()).exp().ln_1p()), 1e-6).await;
    check("Softplus", 1, [], &floats(&[2], &[100.0, 1e10]), &[100.0, 1e10], 0.0).await;
    let known = floats(&[5], &[1e-6, 0.5, -1.0, 2.0, 5.0]);
    let erf = [1.128_379_167e-6, 0.520_499_878, -0.842_700_793, 0.995_322_265, 1.0];
    check("Erf", 13, [], &known, &erf, 1e-6).await;
    let same: Vec<f64> = numbers(&known);
    let erf =
        [1.128_379_167_095e-6, 0.520_499_877_813_05, -0.842_700_792_949_71, 0.995_322_265_018_95, 0.999_999_999_998_46];
    check("Erf", 13, [], &doubles(&[5], &same), &erf, 1e-7).await;
    let x = floats(&[1, 3], &[1e30, 1e30, -1e30]);
    let half = 0.5f64.ln();
    check("LogSoftmax", 13, [], &x, &[half, half, -2e30], 1e-6).await;
}

#[tokio::test]
async fn softmaxes_between_bytes_are_softmaxes() {
    let scale = |value: f32| floats(&[], &[value]);
    let byte = |value: u8| Tensor::from_slice(Element::U8, [], &[value]).unwrap();
    let sketch =
        Sketch::new("between").input("x", Element::U8, "1 4").constant("s", scale(0.05)).constant("z", byte(128));
    let sketch = sketch.constant("t", scale(1.0 / 256.0)).constant("o", byte(0)).op("DequantizeLinear", "x s z", "a");
    let sketch = sketch.op_with("Softmax", "a", "b", [("axis", Attribute::Int(-1))]).op("QuantizeLinear", "b t o", "y");
    let x = Tensor::from_slice(Element::U8, [1, 4], &[100u8, 120, 140, 160]).unwrap();
    let powers: Vec<f64> = [-1.4f64, -0.4, 0.6, 1.6].iter().map(|x| x.exp()).collect();
    let total: f64 = powers.iter().sum();
    let expected: Vec<f64> = powers.iter().map(|power| (power / total * 256.0).round()).collect();
    assert_eq!(numbers(&run(sketch.output("y"), 13, vec![x]).await.unwrap()[0]), expected);
}

#[tokio::test]
async fn quantizing_saturates() {
    let quantized = async |x: &[f32], zeros: Tensor, opset: i64| {
        let sketch = Sketch::new("levels").input("x", Element::Fp32, &x.len().to_string());
        let sketch = sketch.constant("s", floats(&[], &[1.0])).constant("z", zeros);
        let sketch = sketch.op("QuantizeLinear", "x s z", "y").output("y");
        run(sketch, opset, vec![floats(&[x.len()], x)]).await.unwrap().remove(0)
    };
    let x = [f32::INFINITY, 3e9, -3e9, 0.5, 1.5, -2.5];
    let found = quantized(&x, Tensor::from_slice(Element::U8, [], &[128u8]).unwrap(), 13).await;
    assert_eq!(numbers(&found), [255.0, 255.0, 0.0, 128.0, 130.0, 126.0]);
    let found = quantized(&x, Tensor::from_slice(Element::I8, [], &[5i8]).unwrap(), 13).await;
    assert_eq!(numbers(&found), [127.0, 127.0, -128.0, 5.0, 7.0, 3.0]);
    let found = quantized(&x, Tensor::from_slice(Element::U16, [], &[1000u16]).unwrap(), 21).await;
    assert_eq!(found.to_vec::<u16>().unwrap(), [65535, 65535, 0, 1000, 1002, 998]);
}

#[tokio::test]
async fn the_largest_are_found_beside_what_is_no_number() {
    let first = async |x: &[f32], count: i64, largest: i64| {
        let sketch =
            Sketch::new("largest").input("x", Element::Fp32, &x.len().to_string()).constant("k", longs(&[count]));
        let sketch =
            sketch.op_with("TopK", "x k", "v i", [("largest", Attribute::Int(largest))]).output("v").output("i");
        run(sketch, 11, vec![floats(&[x.len()], x)]).await.map(|found| found[1].to_vec::<i64>().unwrap())
    };
    let x = [1.0, 5.0, f32::NAN, 5.0, -2.0];
    assert_eq!(first(&x, 3, 1).await.unwrap(), [2, 1, 3]);
    assert_eq!(first(&x, 3, 0).await.unwrap(), [4, 0, 1]);
    assert!(first(&x, 6, 1).await.is_err(), "more than there are");
}

#[tokio::test]
async fn nearest_places_are_exact() {
    let image: Vec<f32> = (0..20).map(|x| x as f32).collect();
    let sketch = Sketch::new("nearest").input("x", Element::Fp32, "1 1 1 20").constant("n", longs(&[1, 1, 1, 6]));
    let sketch =
        sketch.op_with("Resize", "x _ _ n", "y", [("nearest_mode", Attribute::Text(b"round_prefer_ceil".into()))]);
    let found = run(sketch.output("y"), 13, vec![floats(&[1, 1, 1, 20], &image)]).await.unwrap();
    assert_eq!(numbers(&found[0]), [1.0, 5.0, 8.0, 11.0, 15.0, 18.0]);
    let sketch =
        Sketch::new("early").input("x", Element::Fp32, "1 1 1 2").constant("s", floats(&[4], &[1.0, 1.0, 1.0, 3.0]));
    let found = run(sketch.op("Resize", "x s", "y").output("y"), 10, vec![floats(&[1, 1, 1, 2], &[0.0, 1.0])]).await;
    assert_eq!(numbers(&found.unwrap()[0]), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
}

#[tokio::test]
async fn transposed_convolutions_are_padded_where_the_standard_says() {
    let shape = async |attributes: Vec<(&str, Attribute)>| {
        let mut sketch = Sketch::new("padded")
            .input("x", Element::Fp32, "1 1 3")
            .constant("w", floats(&[1, 1, 3], &[1.0, 10.0, 100.0]));
        sketch = sketch.op("ConvTranspose", "x w", "y").output("y");
        let mut graph = sketch.graph();
        graph.ops[0].attributes.extend(attributes.into_iter().map(|(name, value)| (name.to_owned(), value)));
        numbers(&load_and_run(&graph, vec![floats(&[1, 1, 3], &[1.0, 2.0, 3.0])]).await.unwrap()[0])
    };
    let strides = || ("strides", Attribute::Ints(vec![2]));
    let same = |text: &str| ("auto_pad", Attribute::Text(text.as_bytes().to_vec()));
    // Whole: 1 10 102 20 203 30 300.
    let wanted = || ("output_shape", Attribute::Ints(vec![6]));
    assert_eq!(shape(vec![strides(), wanted()]).await, [10.0, 102.0, 20.0, 203.0, 30.0, 300.0]);
    assert_eq!(shape(vec![strides(), wanted(), same("SAME_UPPER")]).await, [1.0, 10.0, 102.0, 20.0, 203.0, 30.0]);
    let extra = ("output_padding", Attribute::Ints(vec![1]));
    assert_eq!(shape(vec![strides(), same("SAME_UPPER"), extra]).await, [10.0, 102.0, 20.0, 203.0, 30.0, 300.0]);
}

#[tokio::test]
async fn integers_are_multiplied_and_raised() {
    let x = longs(&[3, -4]);
    let sketch = || Sketch::new("whole").input("x", Element::I64, "2");
    let found = run(sketch().op("Mul", "x x", "y").output("y"), 13, vec![x.clone()]).await.unwrap();
    assert_eq!(numbers(&found[0]), [9.0, 16.0]);
    let raised = async |exponent: i64, x: &[i64]| {
        let sketch =
            Sketch::new("raised").input("x", Element::I64, &x.len().to_string()).constant("e", longs(&[exponent]));
        numbers(&run(sketch.op("Pow", "x e", "y").output("y"), 13, vec![longs(x)]).await.unwrap()[0])
    };
    assert_eq!(raised(2, &[3, -4]).await, [9.0, 16.0]);
    assert_eq!(raised(-3, &[1, -1, 2]).await, [1.0, -1.0, 0.0]);
    let dots = run(sketch().op("MatMul", "x x", "y").output("y"), 13, vec![x.clone()]).await.unwrap();
    assert_eq!((numbers(&dots[0]), dots[0].spec().shape.extents().len()), (vec![25.0], 0));
    let row = floats(&[2], &[3.0, -4.0]);
    let sketch = Sketch::new("row").input("x", Element::Fp32, "2").op("MatMul", "x x", "y").output("y");
    assert_eq!(numbers(&run(sketch, 13, vec![row]).await.unwrap()[0]), [25.0]);
    let sketch = Sketch::new("by zero").input("x", Element::I64, "2").input("z", Element::I64, "2");
    let answer = run(sketch.op("Div", "x z", "y").output("y"), 13, vec![x.clone(), longs(&[1, 0])]).await;
    assert_eq!(answer.map(drop), Err(Fault::Invalid("an integer is divided by zero".into())));
    let truths = |values: [u8; 2]| Tensor::from_slice(Element::Bool, [2], &values).unwrap();
    let sketch = Sketch::new("equal").input("a", Element::Bool, "2").input("b", Element::Bool, "2");
    let found = run(sketch.op("Equal", "a b", "y").output("y"), 13, vec![truths([0, 1]), truths([0, 0])]).await;
    assert_eq!(numbers(&found.unwrap()[0]), [1.0, 0.0]);
}

#[tokio::test]
async fn indices_count_from_the_end_too() {
    let data = floats(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let indices = Tensor::from_slice(Element::I64, [2, 2], &[-1i64, 0, 0, -1]).unwrap();
    let sketch = Sketch::new("gathered").input("x", Element::Fp32, "2 2").input("i", Element::I64, "2 2");
    let gathered = sketch.clone().op("GatherND", "x i", "y").output("y");
    assert_eq!(numbers(&run(gathered, 13, vec![data.clone(), indices.clone()]).await.unwrap()[0]), [3.0, 2.0]);
    let beyond = Tensor::from_slice(Element::I64, [2, 2], &[-3i64, 0, 0, 0]).unwrap();
    let gathered = sketch.clone().op("GatherND", "x i", "y").output("y");
    assert!(matches!(run(gathered, 13, vec![data.clone(), beyond]).await, Err(Fault::Invalid(_))), "of no element");
    let scattered = sketch.input("u", Element::Fp32, "2").op("ScatterND", "x i u", "y").output("y");
    let found = run(scattered, 16, vec![data, indices, floats(&[2], &[7.0, 8.0])]).await.unwrap();
    assert_eq!(numbers(&found[0]), [1.0, 8.0, 7.0, 4.0]);
    let hot = Sketch::new("hot")
        .input("i", Element::I64, "3")
        .constant("d", longs(&[3]))
        .constant("v", floats(&[2], &[0.0, 1.0]));
    let found = run(hot.op("OneHot", "i d v", "y").output("y"), 11, vec![longs(&[-1, 1, 3])]).await.unwrap();
    assert_eq!(numbers(&found[0]), [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let cut = Sketch::new("cut").input("x", Element::Fp32, "4").constant("p", longs(&[-1, 2]));
    let found =
        run(cut.op("Pad", "x p", "y").output("y"), 13, vec![floats(&[4], &[1.0, 2.0, 3.0, 4.0])]).await.unwrap();
    assert_eq!(numbers(&found[0]), [2.0, 3.0, 4.0, 0.0, 0.0]);
    let squeezed = Sketch::new("squeezed").input("x", Element::Fp32, "1 2 1").op("Squeeze", "x", "y").output("y");
    let found = run(squeezed, 11, vec![floats(&[1, 2, 1], &[1.0, 2.0])]).await.unwrap();
    assert_eq!(found[0].spec().shape.extents(), [2]);
}

#[tokio::test]
async fn the_branch_that_is_taken_decides() {
    let squeezing = Sketch::new("then").constant("a", longs(&[1])).op("Squeeze", "x a", "t").output("t").subgraph();
    // It gives a value from outside.
    let keeping = Sketch::new("else").output("x").subgraph();
    let sketch = Sketch::new("squeeze").input("x", Element::Fp32, "b n 3").op("Shape", "x", "s");
    let sketch = sketch.constant("one", Tensor::from_slice(Element::I64, [], &[1i64]).unwrap());
    let sketch = sketch.op("Gather", "s one", "d").op("Equal", "d one", "c");
    let branches = [("then_branch", squeezing), ("else_branch", keeping)];
    let graph = sketch.op_with("If", "c", "y", branches).output("y").graph();
    let x = |n: usize| floats(&[2, n, 3], &vec![1.0; 6 * n]);
    for (n, expected) in [(5, vec![2, 5, 3]), (1, vec![2, 3])] {
        let found = load_and_run(&graph, vec![x(n)]).await.unwrap();
        assert_eq!(found[0].spec().shape.extents(), expected);
    }
    // Two whose conditions come.
    let branch = |kind: &str| Sketch::new(kind).op(kind, "x", "inner").output("inner").subgraph();
    let mut sketch = Sketch::new("two").input("c", Element::Bool, "").input("x", Element::Fp32, "2");
    for name in ["y", "z"] {
        let branches = [("then_branch", branch("Abs")), ("else_branch", branch("Neg"))];
        sketch = sketch.op_with("If", "c", name, branches).output(name);
    }
    let no = Tensor::from_slice(Element::Bool, [], &[0u8]).unwrap();
    let found = run(sketch, 17, vec![no, floats(&[2], &[1.0, -2.0])]).await.unwrap();
    assert_eq!((numbers(&found[0]), numbers(&found[1])), (vec![-1.0, 2.0], vec![-1.0, 2.0]));
}

#[tokio::test]
async fn bodies_are_run_again_and_again() {
    let one = floats(&[], &[1.0]);
    let body =
        Sketch::new("body").input("i", Element::I64, "").input("c", Element::Bool, "").input("v", Element::Fp32, "2");
    let body = body.constant("one", one).op("Identity", "c", "d").op("Add", "v one", "w").op("Identity", "w", "p");
    let body = body.output("d").output("w").output("p").subgraph();
    let sketch = Sketch::new("loop").input("x", Element::Fp32, "2");
    let sketch = sketch.constant("n", Tensor::from_slice(Element::I64, [], &[3i64]).unwrap());
    let sketch = sketch.op_with("Loop", "n _ x", "y z", [("body", body)]).output("y").output("z");
    let found = run(sketch, 17, vec![floats(&[2], &[1.0, 2.0])]).await.unwrap();
    assert_eq!(numbers(&found[0]), [4.0, 5.0]);
    assert_eq!(
        (numbers(&found[1]), found[1].spec().shape.extents()),
        (vec![2.0, 3.0, 3.0, 4.0, 4.0, 5.0], &[3, 2][..])
    );
}

#[tokio::test]
async fn halves_round_where_the_model_casts() {
    // 2049 is no half: 2048 or 2050.
    let sketch = Sketch::new("rounds").input("x", Element::Fp16, "1").constant("one", halves(&[1.0]));
    let cast = |to: i64| [("to", Attribute::Int(to))];
    let sketch = sketch.op("Add", "x one", "a").op_with("Cast", "a", "b", cast(1)).op_with("Cast", "b", "c", cast(10));
    let sketch = sketch.op("Sub", "c x", "y").output("y").output("b");
    let found = run(sketch, 13, vec![halves(&[2048.0])]).await.unwrap();
    assert_eq!((numbers(&found[0]), numbers(&found[1])), (vec![0.0], vec![2048.0]));
    let sketch = Sketch::new("sums")
        .input("x", Element::Fp16, "4000")
        .constant("a", Tensor::from_slice(Element::I64, [], &[0i64]).unwrap());
    let found = run(sketch.op("CumSum", "x a", "y").output("y"), 14, vec![halves(&[1.0; 4000])]).await.unwrap();
    assert_eq!(numbers(&found[0])[3999], 4000.0);
}

#[tokio::test]
async fn integers_of_half_a_byte_are_dequantized() {
    let weights = Tensor::host(
        burst_host::nouns::Spec::new(Element::Narrow(burst_host::nouns::Narrow::I4), [3]).unwrap(),
        vec![-8i8 as u8, 7, -1i8 as u8],
    );
    let sketch = Sketch::new("weights").input("x", Element::Fp32, "3").constant("w", weights.unwrap());
    let sketch = sketch.constant("s", floats(&[], &[0.5])).op("DequantizeLinear", "w s", "d").op("Add", "d x", "y");
    let found = run(sketch.output("y"), 21, vec![floats(&[3], &[0.0; 3])]).await.unwrap();
    assert_eq!(numbers(&found[0]), [-4.0, 3.5, -0.5]);
}

#[tokio::test]
async fn open_extents_wait_for_those_that_come() {
    let pool = [
        ("kernel_shape", Attribute::Ints(vec![2, 2])),
        ("strides", Attribute::Ints(vec![2, 2])),
        ("ceil_mode", Attribute::Int(1)),
    ];
    let sketch = Sketch::new("pyramid").input("x", Element::Fp32, "1 2 h w").op_with("MaxPool", "x", "d", pool);
    let sketch = sketch.constant("s", floats(&[4], &[1.0, 1.0, 2.0, 2.0])).op("Resize", "d _ s", "u");
    let sketch = sketch.op_with("Concat", "x u", "y", [("axis", Attribute::Int(1))]).output("y");
    let found = run(sketch, 13, vec![floats(&[1, 2, 8, 8], &[1.0; 128])]).await.unwrap();
    assert_eq!(found[0].spec().shape.extents(), [1, 4, 8, 8]);
    let sketch = Sketch::new("steps").input("x", Element::Fp32, "t b 1").constant("w", floats(&[1, 1, 1], &[1.0]));
    let sketch = sketch.constant("r", floats(&[1, 1, 1], &[0.0]));
    let sketch = sketch.op_with("RNN", "x w r", "_ y", [("hidden_size", Attribute::Int(1))]).output("y");
    let found = run(sketch, 14, vec![floats(&[2, 1, 1], &[1.0, 0.5])]).await.unwrap();
    assert!((numbers(&found[0])[0] - 0.5f64.tanh()).abs() < 1e-6);
}
