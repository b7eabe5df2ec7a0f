//! Arithmetic and conversions of elements that few models have, beside that of this machine.

use super::{check, compute, floats, open};
use crate::conformance::Sketch;
use burst_host::{
    nouns::{Attribute, Element, Narrow, Tensor},
    ports::Accelerator,
};

/// From far below one to far above, both signs, zero, and what is no number.
fn doubles() -> Vec<f64> {
    let sizes = (-60..60).map(|power| 1.37 * f64::from(power).exp2());
    let mut values: Vec<f64> = sizes.flat_map(|size| [size, -size]).collect();
    values.extend((-80..80).map(|step| f64::from(step) / 9.0));
    values.extend([0.0, -0.0, 700.0, -700.0, -745.0, 1e300, 5e-320, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
    values
}

async fn check_doubles(kind: &str, tolerance: f64, expected: impl Fn(f64) -> f64) {
    let Some(gpu) = open("llvmpipe").await else { return };
    let values = doubles();
    let x = Tensor::from_slice(Element::Fp64, [values.len()], &values).unwrap();
    let sketch = Sketch::new(kind).input("x", Element::Fp64, "?").op(kind, "x", "y").output("y");
    let found = compute(&gpu, sketch, &[x]).await.unwrap();
    for (x, found) in values.into_iter().zip(found[0].to_vec::<f64>().unwrap()) {
        let expected = expected(x);
        // What is below the normal numbers a device may take for zero.
        let close = (found - expected).abs() <= tolerance * expected.abs() + 1e-300;
        assert!(
            close || found == expected || found.is_nan() && expected.is_nan(),
            "{kind}({x}) is {found}, {expected}"
        );
    }
}

#[tokio::test]
async fn doubles_keep_their_digits() {
    check_doubles("Exp", 1e-15, f64::exp).await;
    check_doubles("Log", 1e-15, f64::ln).await;
    check_doubles("Sqrt", 1e-15, f64::sqrt).await;
    check_doubles("Tanh", 1e-14, f64::tanh).await;
    check_doubles("Sigmoid", 1e-14, |x| 1.0 / (1.0 + (-x).exp())).await;
    check_doubles("Softplus", 1e-14, |x| x.max(0.0) + (-x.abs()).exp().ln_1p()).await;
}

#[tokio::test]
async fn what_doubles_lack_is_refused_by_name() {
    let Some(gpu) = open("llvmpipe").await else { return };
    for kind in ["Sin", "Erf", "Gelu"] {
        let sketch = Sketch::new(kind).input("x", Element::Fp64, "3").op(kind, "x", "y").output("y");
        let fault = gpu.load(&sketch.graph()).await.err().unwrap().to_string();
        assert!(fault.contains(kind) && fault.contains("FP64"), "{fault}");
    }
}

/// Known operands of a word are numbers of the kernel only where they are floats.
#[tokio::test]
async fn known_integers_are_no_floats() {
    let ints = |values: &[i32]| Tensor::from_slice(Element::I32, [values.len()], values).unwrap();
    let one = |value: i32| Tensor::from_slice(Element::I32, [], &[value]).unwrap();
    let inputs = [("x", ints(&[-5, 2, 9])), ("clow", one(0)), ("chigh", one(5))];
    check("bounds", "Clip", 13, &[], &inputs, &[ints(&[0, 2, 5])]).await;
    let inputs = [("x", floats(&[3], &[-1.5, 2.0, 3.0])), ("cpower", one(2))];
    check("a power", "Pow", 15, &[], &inputs, &[floats(&[3], &[2.25, 4.0, 9.0])]).await;
}

/// Rounding a double to a half in two steps would be wrong next to the middle of two halves.
#[tokio::test]
async fn doubles_are_rounded_once() {
    let Some(gpu) = open("llvmpipe").await else { return };
    let middle = 1.0 + 0.5f64.powi(11);
    let above = 1.0 + 0.5f32.powi(10);
    let pairs = [
        (middle, 1.0),
        (middle + 1e-12, above),
        (middle - 1e-12, 1.0),
        (-middle - 1e-12, -above),
        (65519.999999, 65504.0),
        (65520.0, f32::INFINITY),
        (1e-7, 0.5f32.powi(23)),
    ];
    let x = Tensor::from_slice(Element::Fp64, [7], &pairs.map(|(value, _)| value)).unwrap();
    let to = [("to", Attribute::Int(10))];
    let sketch = Sketch::new("halves").input("x", Element::Fp64, "7").op_with("Cast", "x", "y", to).output("y");
    let found = compute(&gpu, sketch, &[x]).await.unwrap()[0].to_vec::<half::f16>().unwrap();
    for ((value, expected), found) in pairs.into_iter().zip(found) {
        assert_eq!(found.to_f32(), expected, "{value}");
    }
}

#[tokio::test]
async fn integers_keep_their_sign_as_floats() {
    let Some(gpu) = open("llvmpipe").await else { return };
    let values = [-1i64, 1, 0, -5, -(1 << 24), (1 << 33) + 1024, -(1 << 33) - 1024, i64::MIN, i64::MAX];
    let x = Tensor::from_slice(Element::I64, [9], &values).unwrap();
    let to = [("to", Attribute::Int(1))];
    let sketch = Sketch::new("signs").input("x", Element::I64, "9").op_with("Cast", "x", "y", to).output("y");
    let found = compute(&gpu, sketch, &[x]).await.unwrap()[0].to_vec::<f32>().unwrap();
    assert_eq!(found, values.map(|value| value as f32));
}

/// Bits of exponent and mantissa, bias.
const FORMATS: [(Narrow, i64, i32, i32); 5] = [
    (Narrow::F8E4M3Fn, 17, 3, 7),
    (Narrow::F8E4M3FnUz, 18, 3, 8),
    (Narrow::F8E5M2, 19, 2, 15),
    (Narrow::F8E5M2FnUz, 20, 2, 16),
    (Narrow::F4E2M1, 23, 1, 1),
];

/// The definition of a small float.
fn meaning(element: Narrow, code: u8, mantissa: i32, bias: i32) -> f32 {
    let sign_at = element.bits() as u32 - 1;
    let magnitude = i32::from(code) & ((1 << sign_at) - 1);
    let (exponent, rest) = (magnitude >> mantissa, magnitude & ((1 << mantissa) - 1));
    let sign = if code >> sign_at == 1 { -1.0 } else { 1.0 };
    match (element, code & 0x7f) {
        (Narrow::F8E4M3Fn, 0x7f) => return f32::NAN,
        (Narrow::F8E4M3FnUz | Narrow::F8E5M2FnUz, 0) if code == 0x80 => return f32::NAN,
        (Narrow::F8E5M2, 0x7c) => return sign * f32::INFINITY,
        (Narrow::F8E5M2, 0x7d..) => return f32::NAN,
        _ => {}
    }
    let part = rest as f32 / (mantissa as f32).exp2();
    let size = if exponent == 0 { part * 2.0f32.powi(1 - bias) } else { (1.0 + part) * 2.0f32.powi(exponent - bias) };
    sign * size
}

/// Every code is what it means, and what lies between two of them goes to the nearer.
#[tokio::test]
async fn small_floats_mean_what_they_should() {
    let Some(gpu) = open("llvmpipe").await else { return };
    for (narrow, number, mantissa, bias) in FORMATS {
        let element = Element::Narrow(narrow);
        let codes: Vec<u8> = (0..=u8::MAX).filter(|&code| narrow.holds(code)).collect();
        let meanings: Vec<f32> = codes.iter().map(|&code| meaning(narrow, code, mantissa, bias)).collect();
        let to = |number: i64| [("to", Attribute::Int(number))];
        let sketch = Sketch::new("decode").input("x", element, "?").op_with("Cast", "x", "y", to(1)).output("y");
        let x = Tensor::from_slice(element, [codes.len()], &codes).unwrap();
        let found = compute(&gpu, sketch, &[x]).await.unwrap()[0].to_vec::<f32>().unwrap();
        for ((code, found), expected) in codes.iter().zip(&found).zip(&meanings) {
            let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
            assert!(same, "{narrow} {code:#x} is {found}, {expected}");
        }
        let mut finite: Vec<f32> = meanings.iter().copied().filter(|value| value.is_finite()).collect();
        finite.sort_by(f32::total_cmp);
        finite.dedup();
        let between = finite.windows(2).flat_map(|pair| [0.25, 0.75].map(|part| pair[0] + part * (pair[1] - pair[0])));
        let values: Vec<f32> = finite.iter().copied().chain(between).collect();
        let nearest =
            |value: f32| finite.iter().copied().min_by(|a, b| (a - value).abs().total_cmp(&(b - value).abs()));
        let sketch = Sketch::new("round").input("x", Element::Fp32, "?");
        let sketch = sketch.op_with("Cast", "x", "z", to(number)).op_with("Cast", "z", "y", to(1)).output("y");
        let x = Tensor::from_slice(Element::Fp32, [values.len()], &values).unwrap();
        let found = compute(&gpu, sketch, &[x]).await.unwrap()[0].to_vec::<f32>().unwrap();
        for (value, found) in values.into_iter().zip(found) {
            assert_eq!(Some(found), nearest(value), "{value} as {narrow}");
        }
    }
}

/// Sums of integers that no float holds.
#[tokio::test]
async fn folds_of_integers_are_exact() {
    let Some(gpu) = open("llvmpipe").await else { return };
    let values = [1i64 << 60, 3, -5, (1 << 53) + 1, 0, i64::MIN + 7, 11, -(1 << 40)];
    let x = Tensor::from_slice(Element::I64, [2, 4], &values).unwrap();
    type Fold = fn(&[i64]) -> i64;
    let folds: [(&str, Fold); 6] = [
        ("ReduceSum", |run| run.iter().fold(0, |sum, value| sum.wrapping_add(*value))),
        ("ReduceMax", |run| run.iter().copied().max().unwrap()),
        ("ReduceMin", |run| run.iter().copied().min().unwrap()),
        ("ReduceProd", |run| run.iter().fold(1, |product, value| product.wrapping_mul(*value))),
        ("ReduceL1", |run| run.iter().fold(0, |sum, value| sum.wrapping_add(value.wrapping_abs()))),
        ("ReduceMean", |run| run.iter().fold(0, |sum: i64, value| sum.wrapping_add(*value)) / run.len() as i64),
    ];
    for (kind, fold) in folds {
        let axes = [("axes", Attribute::Ints(vec![1])), ("keepdims", Attribute::Int(0))];
        let axis = Tensor::from_slice(Element::I64, [1], &[1i64]).unwrap();
        let sketch = Sketch::new(kind).input("x", Element::I64, "2 4").constant("axis", axis);
        let inputs = if kind == "ReduceSum" { "x axis" } else { "x" };
        let sketch = sketch.op_with(kind, inputs, "y", axes).output("y");
        let found = compute(&gpu, sketch, std::slice::from_ref(&x)).await.unwrap()[0].to_vec::<i64>().unwrap();
        assert_eq!(found, values.chunks(4).map(fold).collect::<Vec<_>>(), "{kind}");
    }
}
