//! Operators that are made of ONNX's own before any accelerator sees them. What is expected is what ONNX Runtime 1.32
//! gives on its CPU provider, unless it is said.

use super::{Case, Run, Sketch};
use burst_host::nouns::{Attribute, Element, Graph, Tensor};

const MICROSOFT: &str = "com.microsoft";
const LEARNED: &str = "ai.onnx.ml";

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        broadcast(),
        upsample(),
        skip_norm(),
        fused_product(),
        quantised_sum(),
        packed_product(),
        rotary_offset(),
        attention(),
        grouped_attention(),
        dynamic_product(),
    ];
    cases.extend([classes(), labels(), normalised(), support_vectors()]);
    cases
}

fn floats(extents: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_slice(Element::Fp32, extents, values).unwrap()
}

fn longs(extents: &[usize], values: &[i64]) -> Tensor {
    Tensor::from_slice(Element::I64, extents, values).unwrap()
}

fn bytes(extents: &[usize], values: &[u8]) -> Tensor {
    Tensor::from_slice(Element::U8, extents, values).unwrap()
}

fn case(name: &str, graph: Graph, inputs: Vec<Tensor>, expected: Vec<Tensor>) -> Case {
    Case { name: name.into(), graph, runs: vec![Run { inputs, expected }] }
}

/// A graph of an early operator set.
fn early(sketch: Sketch, version: i64) -> Graph {
    let mut graph = sketch.graph();
    graph.opsets[0].version = version;
    graph
}

/// `[1, -2, 3, -4, 5, -6]` as `[2, 3]`.
fn x() -> Tensor {
    floats(&[2, 3], &[1.0, -2.0, 3.0, -4.0, 5.0, -6.0])
}

fn int(value: i64) -> Attribute {
    Attribute::Int(value)
}

fn text(value: &str) -> Attribute {
    Attribute::Text(value.into())
}

/// Before opset 7 the second value stands where `axis` says. Expected by hand.
fn broadcast() -> Case {
    let sketch = Sketch::new("broadcast")
        .input("x", Element::Fp32, "2 3")
        .constant("c", floats(&[2], &[10.0, 20.0]))
        .op_with("Add", "x c", "y", [("broadcast", int(1)), ("axis", int(0))])
        .output("y");
    let expected = floats(&[2, 3], &[11.0, 8.0, 13.0, 16.0, 25.0, 14.0]);
    case("Add of opset 6", early(sketch, 6), vec![x()], vec![expected])
}

/// Scales are an attribute. Expected by hand.
fn upsample() -> Case {
    let scales = Attribute::Floats(vec![1.0, 1.0, 1.0, 3.0]);
    let sketch = Sketch::new("upsample")
        .input("x", Element::Fp32, "1 1 2 1")
        .op_with("Upsample", "x", "y", [("scales", scales), ("mode", text("nearest"))])
        .output("y");
    let expected = floats(&[1, 1, 2, 3], &[5.0, 5.0, 5.0, -7.0, -7.0, -7.0]);
    case("Upsample of opset 7", early(sketch, 7), vec![floats(&[1, 1, 2, 1], &[5.0, -7.0])], vec![expected])
}

fn skip_norm() -> Case {
    let graph = Sketch::new("skip norm")
        .input("x", Element::Fp32, "2 3")
        .constant("k", floats(&[2, 3], &[0.5, 1.0, -1.0, 2.0, 0.0, 1.0]))
        .constant("g", floats(&[3], &[1.0, 2.0, 0.5]))
        .constant("b", floats(&[3], &[0.0, 0.1, 0.2]))
        .op_with("SkipLayerNormalization", "x k g b", "y", [("epsilon", Attribute::Float(1e-5))])
        .in_domain(MICROSOFT)
        .output("y");
    let expected = [0.507_999_06, -2.693_994_5, 0.644_499_2, -0.318_222_82, 2.804_894_2, -0.317_112_1];
    case("SkipLayerNormalization", graph.graph(), vec![x()], vec![floats(&[2, 3], &expected)])
}

fn fused_product() -> Case {
    let graph = Sketch::new("fused product")
        .input("x", Element::Fp32, "2 3")
        .op_with("FusedMatMul", "x x", "y", [("transB", int(1)), ("alpha", Attribute::Float(0.5))])
        .in_domain(MICROSOFT)
        .output("y");
    case("FusedMatMul", graph.graph(), vec![x()], vec![floats(&[2, 2], &[7.0, -16.0, -16.0, 38.5])])
}

fn quantised_sum() -> Case {
    let graph = Sketch::new("quantised sum")
        .input("x", Element::U8, "5")
        .constant("s", floats(&[], &[0.5]))
        .constant("z", bytes(&[], &[128]))
        .constant("t", floats(&[], &[0.75]))
        .constant("u", bytes(&[], &[100]))
        .op("QLinearAdd", "x s z x s z t u", "y")
        .in_domain(MICROSOFT)
        .output("y");
    let (x, y) = (bytes(&[5], &[0, 100, 128, 200, 255]), bytes(&[5], &[0, 63, 100, 196, 255]));
    case("QLinearAdd", graph.graph(), vec![x], vec![y])
}

fn packed_product() -> Case {
    let weights: Vec<u8> = (0..32u8).map(|at| at.wrapping_mul(7)).collect();
    let graph = Sketch::new("packed product")
        .input("x", Element::Fp32, "1 32")
        .constant("w", bytes(&[2, 1, 16], &weights))
        .constant("s", floats(&[2, 1], &[0.5, 0.25]))
        .constant("z", bytes(&[2, 1], &[3, 12]))
        .op_with(
            "MatMulNBits",
            "x w s z",
            "y",
            [("K", int(32)), ("N", int(2)), ("bits", int(4)), ("block_size", int(32))],
        )
        .in_domain(MICROSOFT)
        .output("y");
    let x: Vec<f32> = (0..32).map(|at| (at as f32 - 16.0) / 8.0).collect();
    case("MatMulNBits", graph.graph(), vec![floats(&[1, 32], &x)], vec![floats(&[1, 2], &[18.3125, 13.65625])])
}

/// All positions are counted from one number.
fn rotary_offset() -> Case {
    let cosines = floats(&[4, 2], &[1.0, 0.0, 0.6, 0.8, 0.0, 1.0, -0.6, 0.8]);
    let sines = floats(&[4, 2], &[0.0, 1.0, 0.8, 0.6, 1.0, 0.0, 0.8, -0.6]);
    let graph = Sketch::new("rotary offset")
        .input("x", Element::Fp32, "1 1 2 4")
        .input("p", Element::I64, "1")
        .constant("c", cosines)
        .constant("s", sines)
        .op("RotaryEmbedding", "x p c s", "y")
        .in_domain(MICROSOFT)
        .output("y");
    let x = floats(&[1, 1, 2, 4], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    let y = floats(&[1, 1, 2, 4], &[-1.6, -1.0, 1.2, 3.0, -6.0, 5.0, 4.0, 7.0]);
    case("RotaryEmbedding", graph.graph(), vec![x, longs(&[1], &[1])], vec![y])
}

/// One product for queries, keys and values; the last key is hidden.
fn attention() -> Case {
    let weights = [0.5, 1.0, -0.5, 0.25, 1.0, 0.0, 1.0, -1.0, 0.5, 0.75, 0.0, 1.0];
    let graph = Sketch::new("attention")
        .input("x", Element::Fp32, "1 3 2")
        .input("m", Element::I32, "1 3")
        .constant("w", floats(&[2, 6], &weights))
        .constant("b", floats(&[6], &[0.1, 0.2, 0.3, 0.0, 0.0, 0.5]))
        .op_with("Attention", "x w b m", "y", [("num_heads", int(2))])
        .in_domain(MICROSOFT)
        .output("y");
    let x = floats(&[1, 3, 2], &[1.0, 2.0, 3.0, -1.0, 0.0, 1.0]);
    let mask = Tensor::from_slice(Element::I32, [1, 3], &[1i32, 1, 0]).unwrap();
    let y = [1.003_002_3, 0.093_448_37, 1.364_851, 2.498_073_6, 1.120_173_2, 0.093_448_37];
    case("com.microsoft.Attention", graph.graph(), vec![x, mask], vec![floats(&[1, 3, 2], &y)])
}

/// Two heads share keys; a window of one lets only the newest through.
fn grouped_attention() -> Case {
    let ramp = |extents: &[usize], step: f32, from: f32| {
        let count = extents.iter().product::<usize>();
        floats(extents, &(0..count).map(|at| at as f32 * step + from).collect::<Vec<_>>())
    };
    let int32 = |extents: &[usize], value: i32| Tensor::from_slice(Element::I32, extents, &[value]).unwrap();
    let graph = Sketch::new("grouped attention")
        .input("q", Element::Fp32, "1 1 16")
        .input("k", Element::Fp32, "1 1 8")
        .input("v", Element::Fp32, "1 1 8")
        .input("pk", Element::Fp32, "1 1 2 8")
        .input("pv", Element::Fp32, "1 1 2 8")
        .constant("sl", int32(&[1], 2))
        .constant("tl", int32(&[], 3))
        .op_with(
            "GroupQueryAttention",
            "q k v pk pv sl tl",
            "y ok ov",
            [("num_heads", int(2)), ("kv_num_heads", int(1)), ("local_window_size", int(1))],
        )
        .in_domain(MICROSOFT)
        .output("y")
        .output("ok")
        .output("ov");
    let (old, new) = (ramp(&[1, 1, 2, 8], 0.125, 0.0), ramp(&[1, 1, 8], 0.25, 0.0));
    let (values, last) = (ramp(&[1, 1, 2, 8], 1.0, 0.0), ramp(&[1, 1, 8], 1.0, -3.0));
    let joined = |a: &Tensor, b: &Tensor| {
        let all = [a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap()].concat();
        floats(&[1, 1, 3, 8], &all)
    };
    let twice = [last.to_vec::<f32>().unwrap(), last.to_vec::<f32>().unwrap()].concat();
    let expected = vec![floats(&[1, 1, 16], &twice), joined(&old, &new), joined(&values, &last)];
    let inputs = vec![ramp(&[1, 1, 16], 0.125, 0.0), new, last, old, values];
    case("GroupQueryAttention", graph.graph(), inputs, expected)
}

fn dynamic_product() -> Case {
    let weights = Tensor::from_slice(Element::I8, [3, 2], &[1i8, -2, 30, 4, -50, 60]).unwrap();
    let graph = Sketch::new("dynamic product")
        .input("x", Element::Fp32, "2 3")
        .constant("w", weights)
        .constant("s", floats(&[], &[0.1]))
        .op("DynamicQuantizeMatMul", "x w s", "y")
        .in_domain(MICROSOFT)
        .output("y");
    let expected = floats(&[2, 2], &[-20.951_765, 17.125_49, 44.590_98, -33.172_55]);
    case("DynamicQuantizeMatMul", graph.graph(), vec![x()], vec![expected])
}

/// A scaled logistic regression.
fn classes() -> Case {
    let numbers = |values: &[f32]| Attribute::Floats(values.into());
    let graph = Sketch::new("classes")
        .input("x", Element::Fp32, "N 3")
        .op_with("Scaler", "x", "t", [("offset", numbers(&[1.0, 0.0, -1.0])), ("scale", numbers(&[0.5, 1.0, 2.0]))])
        .in_domain(LEARNED)
        .op_with(
            "LinearClassifier",
            "t",
            "l p",
            [
                ("coefficients", numbers(&[0.3, -0.2, 0.1, -0.3, 0.2, -0.1])),
                ("intercepts", numbers(&[0.1, -0.1])),
                ("classlabels_ints", Attribute::Ints(vec![3, 8])),
                ("post_transform", text("SOFTMAX")),
            ],
        )
        .in_domain(LEARNED)
        .output("l")
        .output("p");
    let shares = floats(&[2, 2], &[0.930_861_6, 0.069_138_41, 0.004_966_8, 0.995_033_15]);
    case("LinearClassifier", graph.graph(), vec![x()], vec![longs(&[2], &[3, 8]), shares])
}

fn labels() -> Case {
    let graph = Sketch::new("labels")
        .input("x", Element::I64, "3")
        .op_with(
            "LabelEncoder",
            "x",
            "y",
            [
                ("keys_int64s", Attribute::Ints(vec![1, 5])),
                ("values_floats", Attribute::Floats(vec![0.5, 2.5])),
                ("default_float", Attribute::Float(-1.0)),
            ],
        )
        .in_domain(LEARNED)
        .output("y");
    case("LabelEncoder", graph.graph(), vec![longs(&[3], &[1, 2, 5])], vec![floats(&[3], &[0.5, -1.0, 2.5])])
}

/// By the largest number, not by the largest absolute.
fn normalised() -> Case {
    let graph = Sketch::new("normalised")
        .input("x", Element::Fp32, "2 3")
        .op_with("Normalizer", "x", "y", [("norm", text("MAX"))])
        .in_domain(LEARNED)
        .output("y");
    let expected = floats(&[2, 3], &[0.333_333_34, -0.666_666_7, 1.0, -0.8, 1.0, -1.2]);
    case("Normalizer", graph.graph(), vec![x()], vec![expected])
}

fn support_vectors() -> Case {
    let numbers = |values: &[f32]| Attribute::Floats(values.into());
    let graph = Sketch::new("support vectors")
        .input("x", Element::Fp32, "2 3")
        .op_with(
            "SVMRegressor",
            "x",
            "y",
            [
                ("kernel_type", text("RBF")),
                ("kernel_params", numbers(&[0.1, 0.0, 3.0])),
                ("support_vectors", numbers(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
                ("n_supports", int(2)),
                ("coefficients", numbers(&[1.0, -1.0])),
                ("rho", numbers(&[0.1])),
            ],
        )
        .in_domain(LEARNED)
        .output("y");
    case("SVMRegressor", graph.graph(), vec![x()], vec![floats(&[2, 1], &[0.300_665_62, 0.100_010_134])])
}
