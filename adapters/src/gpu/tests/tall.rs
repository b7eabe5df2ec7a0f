//! Products of more rows than a device starts workgroups for along an axis, beside sums in f64.

use super::{
    lavapipe::{Lavapipe, floats},
    numbers,
};
use burst_host::nouns::{Attribute, Tensor};

/// Just beyond what 65,535 tiles of 32 rows have: a prime, and a number of many divisors.
const PRIME: usize = 2_097_143;
const EVEN: usize = 2_097_152;
const K: usize = 2;
const N: usize = 3;

fn check(what: &str, found: &Tensor, shape: &[usize], expected: impl Fn(usize, usize) -> f64) {
    assert_eq!(found.spec().shape.extents(), shape, "{what}");
    let found = found.to_vec::<f32>().unwrap();
    for (at, found) in found.iter().enumerate() {
        let error = (f64::from(*found) - expected(at / N, at % N)).abs();
        assert!(error <= 1e-5, "{what} at {at}: {found}");
    }
}

#[test]
fn rows_beyond_the_grid_are_multiplied() {
    let Some(gpu) = Lavapipe::open() else { return };
    let b = numbers(2 * K * N, 2);
    let sum = |a: &[f32], b: &[f32], row: usize, column: usize| {
        (0..K).map(|k| f64::from(a[row * K + k]) * f64::from(b[k * N + column])).sum::<f64>()
    };
    // Of the last, the matrices are what there are too many of.
    for (what, extents) in [("cut", &[PRIME, K][..]), ("shared out", &[EVEN, K]), ("many", &[70_001, 2, K])] {
        let a = numbers(extents.iter().product(), 1);
        let inputs = [Some(floats(extents, &a)), Some(floats(&[K, N], &b[..K * N]))];
        let found = gpu.apply("MatMul", &inputs, "y", []).unwrap();
        let shape = [&extents[..extents.len() - 1], &[N]].concat();
        check(what, &found[0], &shape, |row, column| sum(&a, &b, row, column));
    }
    let a = numbers(PRIME * K, 1);
    let inputs = [Some(floats(&[1, PRIME, K], &a)), Some(floats(&[2, K, N], &b))];
    let found = gpu.apply("MatMul", &inputs, "y", []).unwrap();
    check("a batch", &found[0], &[2, PRIME, N], |row, column| sum(&a, &b[row / PRIME * K * N..], row % PRIME, column));
}

#[test]
fn rows_beyond_the_grid_have_their_own_bias() {
    let Some(gpu) = Lavapipe::open() else { return };
    let (a, b, c) = (numbers(PRIME * K, 3), numbers(K * N, 4), numbers(PRIME, 5));
    let inputs = [Some(floats(&[K, PRIME], &a)), Some(floats(&[K, N], &b)), Some(floats(&[PRIME, 1], &c))];
    let found = gpu.apply("Gemm", &inputs, "y", [("transA", Attribute::Int(1))]).unwrap();
    check("Gemm", &found[0], &[PRIME, N], |row, column| {
        let sum = |k: usize| f64::from(a[k * PRIME + row]) * f64::from(b[k * N + column]);
        (0..K).map(sum).sum::<f64>() + f64::from(c[row])
    });
}
