//! Long runs of elements, which a workgroup goes through where it can, beside a reference in f64.

use super::{
    lavapipe::{Lavapipe, floats, longs},
    numbers,
};
use burst_host::nouns::{Attribute, Tensor};

/// Rows and elements of each: a few for each invocation, and not the same count for all of them.
const ROWS: usize = 3;
const LENGTHS: [usize; 3] = [64, 300, 1_537];

/// An operator on rows, on every kernel family.
fn check<const N: usize>(
    kind: &str,
    others: &[Tensor],
    attributes: [(&str, Attribute); N],
    of_row: impl Fn(&[f64]) -> Vec<f64>,
) {
    for gpu in Lavapipe::families() {
        for length in LENGTHS {
            let x = numbers(ROWS * length, 7);
            let inputs = [floats(&[ROWS, length], &x)].into_iter().chain(others.iter().cloned());
            let inputs: Vec<_> = inputs.map(Some).collect();
            let found = gpu.apply(kind, &inputs, "y", attributes.clone()).unwrap()[0].to_vec::<f32>().unwrap();
            let wide: Vec<f64> = x.iter().copied().map(f64::from).collect();
            let expected: Vec<f64> = wide.chunks(length).flat_map(&of_row).collect();
            assert_eq!(found.len(), expected.len(), "{kind}");
            for (found, expected) in found.iter().zip(&expected) {
                let room = 1e-5 * expected.abs().max(1.0);
                assert!((f64::from(*found) - expected).abs() <= room, "{kind} of {length}: {found} for {expected}");
            }
        }
    }
}

#[test]
fn rows_are_folded() {
    let fold = |kind: &str, of_row: fn(&[f64]) -> f64| {
        check(kind, &[longs(&[1], &[1])], [("keepdims", Attribute::Int(0))], move |row| vec![of_row(row)]);
    };
    fold("ReduceSum", |row| row.iter().sum());
    // Axes are an attribute before opset 18.
    let attribute = |kind: &str, of_row: fn(&[f64]) -> f64| {
        let attributes = [("keepdims", Attribute::Int(0)), ("axes", Attribute::Ints(vec![1]))];
        check(kind, &[], attributes, move |row| vec![of_row(row)]);
    };
    attribute("ReduceMean", |row| row.iter().sum::<f64>() / row.len() as f64);
    attribute("ReduceMax", |row| row.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    attribute("ReduceMin", |row| row.iter().copied().fold(f64::INFINITY, f64::min));
    attribute("ReduceProd", |row| row.iter().product());
    attribute("ReduceL1", |row| row.iter().map(|x| x.abs()).sum());
    attribute("ReduceL2", |row| row.iter().map(|x| x * x).sum::<f64>().sqrt());
    attribute("ReduceLogSumExp", |row| row.iter().map(|x| x.exp()).sum::<f64>().ln());
}

#[test]
fn rows_are_shared_out() {
    let soft = |row: &[f64]| {
        let sum: f64 = row.iter().map(|x| x.exp()).sum();
        row.iter().map(|x| x.exp() / sum).collect::<Vec<_>>()
    };
    check("Softmax", &[], [], soft);
    check("LogSoftmax", &[], [], move |row| soft(row).iter().map(|share| share.ln()).collect());
    check("Hardmax", &[], [], |row| {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let first = row.iter().position(|x| *x == largest);
        (0..row.len()).map(|at| f64::from(Some(at) == first)).collect()
    });
}

#[test]
fn rows_are_normalised() {
    for gpu in Lavapipe::families() {
        for length in LENGTHS {
            let (x, scale, shift) = (numbers(ROWS * length, 3), numbers(length, 4), numbers(length, 5));
            let inputs = [floats(&[ROWS, length], &x), floats(&[length], &scale), floats(&[length], &shift)].map(Some);
            let found = gpu.apply("LayerNormalization", &inputs, "y", []).unwrap()[0].to_vec::<f32>().unwrap();
            for (row, found) in x.chunks(length).zip(found.chunks(length)) {
                let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / length as f64;
                let variance = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / length as f64;
                for (at, found) in found.iter().enumerate() {
                    let normal = (f64::from(row[at]) - mean) / (variance + 1e-5).sqrt();
                    let expected = normal * f64::from(scale[at]) + f64::from(shift[at]);
                    assert!((f64::from(*found) - expected).abs() <= 1e-4, "of {length}: {found} for {expected}");
                }
            }
        }
    }
}
