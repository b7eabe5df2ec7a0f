//! Weights that no binding of lavapipe holds, which are 128 MiB there, beside references in f64.

mod groups;

use super::{
    lavapipe::{Lavapipe, floats, longs},
    numbers,
};
use crate::conformance::Sketch;
use burst_host::nouns::{Attribute, Element, Fault, Tensor};
use half::f16;

/// Extents of a weight of 160 MiB, of one of 147 as GPT-2's smallest has it, and of one of 144.
const MATRIX: [usize; 2] = [4096, 10240];
const TABLE: [usize; 2] = [50257, 768];
const KERNEL: [usize; 4] = [4096, 1024, 3, 3];

fn close(found: &Tensor, expected: &[f64], room: f64, what: &str) {
    let found = found.to_vec::<f32>().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(*found) - expected).abs() <= room, "{what}: {at} is {found}, not {expected}");
    }
}

/// a · b, where b's columns lie so far apart, and its rows.
fn product(a: &[f32], b: &[f32], columns: usize, [column, row]: [usize; 2]) -> Vec<f64> {
    let term = |at: usize| move |(k, a): (usize, &f32)| f64::from(*a) * f64::from(b[at * column + k * row]);
    (0..columns).map(|at| a.iter().enumerate().map(term(at)).sum()).collect()
}

#[test]
fn steps_of_a_product_are_summed() {
    let Some(gpu) = Lavapipe::open() else { return };
    let [k, n] = MATRIX;
    let (a, b) = (numbers(k, 1), numbers(k * n, 2));
    let sketch = Sketch::new("wide").input("a", Element::Fp32, "1 4096").constant("b", floats(&MATRIX, &b));
    let found = gpu.run(sketch.op("MatMul", "a b", "y").output("y"), &[floats(&[1, k], &a)]).unwrap();
    close(&found[0], &product(&a, &b, n, [1, n]), 2e-3, "MatMul");
}

#[test]
fn columns_of_a_product_are_joined() {
    let Some(gpu) = Lavapipe::open() else { return };
    let [n, k] = TABLE;
    let (a, b, c) = (numbers(k, 3), numbers(n * k, 4), numbers(n, 5));
    let sketch = Sketch::new("turned").input("a", Element::Fp32, "1 768").constant("b", floats(&TABLE, &b));
    let attributes = [("transB", Attribute::Int(1)), ("alpha", Attribute::Float(0.5))];
    let sketch = sketch.constant("c", floats(&[n], &c)).op_with("Gemm", "a b c", "y", attributes).output("y");
    let found = gpu.run(sketch, &[floats(&[1, k], &a)]).unwrap();
    let sums = product(&a, &b, n, [k, 1]);
    let expected: Vec<_> = sums.iter().zip(&c).map(|(sum, c)| 0.5 * sum + f64::from(*c)).collect();
    close(&found[0], &expected, 1e-3, "Gemm");
}

/// GPT-2's first and last layer: rows of a table, and a product with the table turned.
#[test]
fn a_table_is_read_by_rows_and_by_columns() {
    let Some(gpu) = Lavapipe::open() else { return };
    let [n, k] = TABLE;
    let table = numbers(n * k, 6);
    let sketch = Sketch::new("tied").input("i", Element::I64, "1").constant("t", floats(&TABLE, &table));
    let sketch =
        sketch.op("Gather", "t i", "x").op_with("Transpose", "t", "u", [("perm", Attribute::Ints(vec![1, 0]))]);
    let program = gpu.load(sketch.op("MatMul", "x u", "y").output("x").output("y")).unwrap();
    // Both ends, and both sides of where slices may meet.
    let half = n.div_ceil(2).next_multiple_of(32) as i64;
    for index in [0, n as i64 - 1, half - 1, half, half + 1, -1, -(n as i64)] {
        let found = gpu.compute(&program, &[longs(&[1], &[index])]).unwrap();
        let row = index.rem_euclid(n as i64) as usize;
        let row = &table[row * k..(row + 1) * k];
        assert_eq!(gpu.download(&found[0]).unwrap().to_vec::<f32>().unwrap(), row, "{index}");
        close(&gpu.download(&found[1]).unwrap(), &product(row, &table, n, [k, 1]), 1e-3, "tied");
    }
    let beyond = gpu.compute(&program, &[longs(&[1], &[n as i64])]).and_then(|found| gpu.download(&found[0]));
    assert!(matches!(&beyond, Err(Fault::Invalid(why)) if why.contains("Gather")), "{beyond:?}");
}

#[test]
fn channels_of_a_convolution_are_joined() {
    let Some(gpu) = Lavapipe::open() else { return };
    let [c_out, c_in, ..] = KERNEL;
    let (x, w, c) = (numbers(c_in * 9, 7), numbers(KERNEL.iter().product(), 8), numbers(c_out, 9));
    let sketch = Sketch::new("conv").input("x", Element::Fp32, "1 1024 3 3").constant("w", floats(&KERNEL, &w));
    let sketch = sketch.constant("c", floats(&[c_out], &c)).op("Conv", "x w c", "y").output("y");
    let found = gpu.run(sketch, &[floats(&[1, c_in, 3, 3], &x)]).unwrap();
    let sums = product(&x, &w, c_out, [c_in * 9, 1]);
    let expected: Vec<_> = sums.iter().zip(&c).map(|(sum, c)| sum + f64::from(*c)).collect();
    close(&found[0], &expected, 5e-3, "Conv");
}

/// Half of a binding in memory, more than one where kernels widen it.
#[test]
fn halves_are_summed_in_full() {
    let Some(gpu) = Lavapipe::open() else { return };
    let [k, n] = MATRIX;
    let halves = |values: Vec<f32>| values.into_iter().map(f16::from_f32).collect::<Vec<_>>();
    let (a, b) = (halves(numbers(k, 10)), halves(numbers(k * n, 11)));
    let tensor = |extents: &[usize], values: &[f16]| Tensor::from_slice(Element::Fp16, extents, values).unwrap();
    let sketch = Sketch::new("half").input("a", Element::Fp16, "1 4096").constant("b", tensor(&MATRIX, &b));
    let sketch = sketch.op("MatMul", "a b", "p").op_with("Cast", "p", "y", [("to", Attribute::Int(1))]).output("y");
    let found = gpu.run(sketch, &[tensor(&[1, k], &a)]).unwrap();
    let wide = |values: &[f16]| values.iter().map(|value| value.to_f32()).collect::<Vec<_>>();
    // One rounding of numbers up to 128.
    close(&found[0], &product(&wide(&a), &wide(&b), n, [1, n]), 0.07, "half");
}

#[test]
fn what_is_computed_is_not_split() {
    let Some(gpu) = Lavapipe::open() else { return };
    let sketch = Sketch::new("large").input("x", Element::Fp32, "1 4096").input("z", Element::Fp32, "10240 1");
    let refused = gpu.load(sketch.op("Mul", "x z", "y").output("y")).map(drop);
    assert!(matches!(&refused, Err(Fault::TooLarge(why)) if why.contains("134217728")), "{refused:?}");
}
