//! Numbers at the edges: NaN, infinities, zero divisors and integers too large for a float.

use super::{
    check,
    lavapipe::{Lavapipe, floats, longs},
};
use burst_host::nouns::{Attribute, Element, Fault, Tensor};

const INF: f32 = f32::INFINITY;
const NAN: f32 = f32::NAN;

/// The same bits, or no number both.
fn same(what: &str, found: &Tensor, expected: &[f32]) {
    let found = found.to_vec::<f32>().unwrap();
    let alike = |(a, b): (&f32, &f32)| a == b || a.is_nan() && b.is_nan();
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(alike),
        "{what}: {found:?}, not {expected:?}"
    );
}

#[test]
fn what_is_no_number_stays_none() {
    let Some(gpu) = Lavapipe::open() else { return };
    for kind in ["Sign", "Atan", "Tanh", "HardSigmoid", "HardSwish", "Celu", "Relu", "Sigmoid", "Softplus", "Selu"] {
        let found = gpu.apply(kind, &[Some(floats(&[1], &[NAN]))], "y", []).unwrap();
        same(kind, &found[0], &[NAN]);
    }
    let rows = floats(&[3, 2], &[NAN, 1.0, 1.0, NAN, 1.0, 2.0]);
    for (kind, last) in [("ReduceMax", 2.0), ("ReduceMin", 1.0)] {
        let found = gpu.apply(kind, &[Some(rows.clone())], "y", [("axes", Attribute::Ints(vec![1]))]).unwrap();
        same(kind, &found[0], &[NAN, NAN, last]);
    }
    let kernel = [("kernel_shape", Attribute::Ints(vec![2]))];
    let line = floats(&[1, 1, 5], &[NAN, 1.0, 3.0, 2.0, NAN]);
    same("MaxPool", &gpu.apply("MaxPool", &[Some(line)], "y", kernel).unwrap()[0], &[NAN, 3.0, 3.0, NAN]);
    let (x, y) = (floats(&[4], &[NAN, NAN, 1.0, 2.0]), floats(&[4], &[2.0, 0.0, NAN, NAN]));
    same("Pow", &gpu.apply("Pow", &[Some(x), Some(y)], "y", []).unwrap()[0], &[NAN, 1.0, 1.0, NAN]);
}

#[tokio::test]
async fn steps_without_axes_are_done_all_the_same() {
    let noop = [("noop_with_empty_axes", Attribute::Int(1))];
    let x = || [("x", floats(&[2], &[-0.25, 0.25]))];
    check("squares", "ReduceSumSquare", 18, &noop, &x(), &[floats(&[2], &[0.0625, 0.0625])]).await;
    check("sizes", "ReduceL1", 18, &noop, &x(), &[floats(&[2], &[0.25, 0.25])]).await;
    check("lengths", "ReduceL2", 18, &noop, &x(), &[floats(&[2], &[0.25, 0.25])]).await;
    check("sums", "ReduceSum", 18, &noop, &x(), &[floats(&[2], &[-0.25, 0.25])]).await;
    check("powers", "ReduceLogSumExp", 18, &noop, &x(), &[floats(&[2], &[-0.25, 0.25])]).await;
}

#[test]
fn infinities_are_summed_as_exponents() {
    for gpu in Lavapipe::families() {
        let rows = [[INF, 1.0], [-INF, -INF], [INF, -INF], [NAN, 1.0], [-INF, 1.0]];
        for element in [Element::Fp32, Element::Fp64] {
            let x = match element {
                Element::Fp64 => Tensor::from_slice(
                    element,
                    [5, 2],
                    &rows.as_flattened().iter().map(|x| f64::from(*x)).collect::<Vec<_>>(),
                ),
                _ => Tensor::from_slice(element, [5, 2], rows.as_flattened()),
            };
            let axes = [("axes", Attribute::Ints(vec![1]))];
            let found = gpu.apply("ReduceLogSumExp", &[Some(x.unwrap())], "y", axes).unwrap().remove(0);
            let found = match element {
                Element::Fp64 => {
                    floats(&[5], &found.to_vec::<f64>().unwrap().iter().map(|x| *x as f32).collect::<Vec<_>>())
                }
                _ => found,
            };
            same("ReduceLogSumExp", &found, &[INF, -INF, INF, NAN, 1.0]);
        }
    }
}

#[test]
fn neighbours_of_infinities_are_not_touched() {
    let Some(gpu) = Lavapipe::open() else { return };
    let x = || Some(floats(&[1, 1, 1, 4], &[1.0, INF, 3.0, NAN]));
    let scales = || Some(floats(&[4], &[1.0, 1.0, 1.0, 2.0]));
    let nearest = [
        ("coordinate_transformation_mode", Attribute::Text("asymmetric".into())),
        ("nearest_mode", Attribute::Text("floor".into())),
    ];
    let found = gpu.apply("Resize", &[x(), None, scales()], "y", nearest).unwrap();
    same("nearest", &found[0], &[1.0, 1.0, INF, INF, 3.0, 3.0, NAN, NAN]);
    // As ONNX Runtime has it: both neighbours are multiplied, the next one even by zero.
    let linear = [
        ("coordinate_transformation_mode", Attribute::Text("asymmetric".into())),
        ("mode", Attribute::Text("linear".into())),
    ];
    let found = gpu.apply("Resize", &[x(), None, scales()], "y", linear).unwrap();
    same("linear", &found[0], &[NAN, INF, INF, INF, NAN, NAN, NAN, NAN]);
}

/// What lies between two floats goes to the nearer, and from the middle to the even one, at once.
#[test]
fn long_integers_are_rounded_once() {
    let Some(gpu) = Lavapipe::open() else { return };
    let mut values: Vec<i64> = vec![0, 1, -1, i64::MIN, i64::MAX, (1 << 53) + 1, 16_777_217, -16_777_219];
    for power in 24..63 {
        for near in [-129, -128, -1, 1, 63, 64, 65, 127, 128, 129] {
            let middle = (1i64 << power) + (1i64 << (power - 24));
            values.extend([middle.wrapping_add(near), middle.wrapping_add(near).wrapping_neg()]);
        }
    }
    let float = [("to", Attribute::Int(1))];
    let found = gpu.apply("Cast", &[Some(longs(&[values.len()], &values))], "y", float.clone()).unwrap();
    same("INT64", &found[0], &values.iter().map(|value| *value as f32).collect::<Vec<_>>());
    let unsigned: Vec<u64> = values.iter().map(|value| *value as u64).collect();
    let x = Tensor::from_slice(Element::U64, [unsigned.len()], &unsigned).unwrap();
    let found = gpu.apply("Cast", &[Some(x)], "y", float).unwrap();
    same("UINT64", &found[0], &unsigned.iter().map(|value| *value as f32).collect::<Vec<_>>());
    let to = [("to", Attribute::Int(7))];
    let large = floats(&[4], &[1e30, -1e30, 3e9, INF]);
    let found = gpu.apply("Cast", &[Some(large)], "y", to).unwrap()[0].to_vec::<i64>().unwrap();
    assert_eq!(found, [i64::MAX, i64::MIN, 3_000_000_000, i64::MAX]);
}

#[test]
fn integers_are_not_divided_by_zero() {
    let Some(gpu) = Lavapipe::open() else { return };
    let x = || Some(longs(&[2], &[5, 6]));
    for kind in ["Div", "Mod"] {
        let fault = gpu.apply(kind, &[x(), Some(longs(&[2], &[0, 2]))], "y", []);
        assert!(matches!(&fault, Err(Fault::Invalid(why)) if why.contains("division by zero")), "{kind}: {fault:?}");
        assert!(gpu.apply(kind, &[x(), Some(longs(&[2], &[1, 2]))], "y", []).is_ok());
    }
    let small = |values: [i8; 2]| Some(Tensor::from_slice(Element::I8, [2], &values).unwrap());
    assert!(gpu.apply("Div", &[small([5, 6]), small([0, 2])], "y", []).is_err());
    let found = gpu.apply("Div", &[small([-128, 6]), small([-1, 2])], "y", []).unwrap();
    assert_eq!(found[0].to_vec::<i8>().unwrap(), [-128, 3]);
    // Floats are: that is what infinities are for.
    let found = gpu.apply("Div", &[Some(floats(&[1], &[1.0])), Some(floats(&[1], &[0.0]))], "y", []).unwrap();
    same("Div", &found[0], &[INF]);
}

#[test]
fn whole_numbers_have_whole_powers() {
    let Some(gpu) = Lavapipe::open() else { return };
    let (x, y) = ([2, 1, -1, -1, 3, 10, -2], [-1, -5, -3, -2, 4, 18, 63]);
    let expected = [0, 1, -1, 1, 81, 1_000_000_000_000_000_000, i64::MIN];
    let found = gpu.apply("Pow", &[Some(longs(&[7], &x)), Some(longs(&[7], &y))], "y", []).unwrap();
    assert_eq!(found[0].to_vec::<i64>().unwrap(), expected);
}

#[tokio::test]
async fn a_mask_that_nobody_reads_is_no_hindrance() {
    let x = floats(&[1, 3], &[1.0, -2.0, 3.0]);
    let ones = Tensor::from_slice(Element::Bool, [1, 3], &[1u8; 3]).unwrap();
    check("a mask", "Dropout", 12, &[], &[("x", x.clone())], &[x.clone(), ones]).await;
    let Some(gpu) = super::open("llvmpipe").await else { return };
    let sketch = crate::conformance::Sketch::new("unread").input("x", Element::Fp32, "1 3");
    let mut graph = sketch.op("Dropout", "x", "d mask").op("Relu", "d", "y").output("y").graph();
    graph.opsets[0].version = 9;
    let program = burst_host::ports::Accelerator::load(&gpu, &graph).await;
    assert!(program.is_ok(), "{:?}", program.err());
}
