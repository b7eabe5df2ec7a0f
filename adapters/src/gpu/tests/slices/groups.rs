//! The same for weights in groups, that spread, of bytes, and of four bits.

use super::{
    super::{
        lavapipe::{Lavapipe, floats},
        numbers,
    },
    close, product,
};
use crate::conformance::Sketch;
use burst_host::nouns::{Attribute, Element, Tensor};

/// Rows of a group, of which neither 32 nor what a binding holds is a multiple, and steps: 147 MiB in three groups.
const GROUPS: usize = 3;
const ROWS: usize = 1_400;
const INNER: usize = 1_024;
const TAPS: usize = 9;

fn bytes(count: usize, seed: u32) -> Vec<i8> {
    numbers(count, seed).into_iter().map(|number| (number * 127.0) as i8).collect()
}

fn tensor(extents: &[usize], values: &[i8]) -> Tensor {
    Tensor::from_slice(Element::I8, extents, values).unwrap()
}

fn in_groups() -> [(&'static str, Attribute); 1] {
    [("group", Attribute::Int(GROUPS as i64))]
}

#[test]
fn channels_in_groups_are_joined() {
    let Some(gpu) = Lavapipe::open() else { return };
    let (all, steps) = (GROUPS * ROWS, INNER * TAPS);
    let (x, w, c) = (numbers(GROUPS * steps, 21), numbers(all * steps, 22), numbers(all, 23));
    let sketch = Sketch::new("groups").input("x", Element::Fp32, "1 3072 3 3");
    let sketch = sketch.constant("w", floats(&[all, INNER, 3, 3], &w)).constant("c", floats(&[all], &c));
    let sketch = sketch.op_with("Conv", "x w c", "y", in_groups()).output("y");
    let found = gpu.run(sketch, &[floats(&[1, GROUPS * INNER, 3, 3], &x)]).unwrap();
    let group =
        |group: usize| product(&x[group * steps..(group + 1) * steps], &w[group * ROWS * steps..], ROWS, [steps, 1]);
    let sums = (0..GROUPS).flat_map(group);
    close(&found[0], &sums.zip(&c).map(|(sum, c)| sum + f64::from(*c)).collect::<Vec<_>>(), 5e-3, "Conv");
}

/// Slices are input channels, whose results are summed inside of a group.
#[test]
fn channels_that_spread_are_summed() {
    let Some(gpu) = Lavapipe::open() else { return };
    let (all, columns) = (GROUPS * ROWS, INNER * TAPS);
    let (x, w, c) = (numbers(all, 24), numbers(all * columns, 25), numbers(GROUPS * INNER, 26));
    let sketch = Sketch::new("spread").input("x", Element::Fp32, "1 4200 1 1");
    let sketch = sketch.constant("w", floats(&[all, INNER, 3, 3], &w)).constant("c", floats(&[GROUPS * INNER], &c));
    let sketch = sketch.op_with("ConvTranspose", "x w c", "y", in_groups()).output("y");
    let found = gpu.run(sketch, &[floats(&[1, all, 1, 1], &x)]).unwrap();
    let group = |group: usize| {
        product(&x[group * ROWS..(group + 1) * ROWS], &w[group * ROWS * columns..], columns, [1, columns])
    };
    let sums = (0..GROUPS).flat_map(group);
    let expected = sums.enumerate().map(|(at, sum)| sum + f64::from(c[at / TAPS])).collect::<Vec<_>>();
    close(&found[0], &expected, 2e-3, "ConvTranspose");
}

/// Bytes take a word each in kernels: 131 MiB.
#[test]
fn steps_of_products_of_bytes_are_summed() {
    let Some(gpu) = Lavapipe::open() else { return };
    let (k, n) = (8_192, 4_200);
    let (a, b, zeros) = (bytes(k, 27), bytes(k * n, 28), bytes(n, 29));
    let sums: Vec<i32> = (0..n)
        .map(|at| {
            (0..k).map(|step| (i32::from(a[step]) - 3) * (i32::from(b[step * n + at]) - i32::from(zeros[at]))).sum()
        })
        .collect();
    let given = Sketch::new("bytes").input("a", Element::I8, "1 8192").constant("b", tensor(&[k, n], &b));
    let given = given.constant("az", tensor(&[], &[3])).constant("bz", tensor(&[n], &zeros));
    let inputs = [tensor(&[1, k], &a)];
    let found = gpu.run(given.clone().op("MatMulInteger", "a b az bz", "y").output("y"), &inputs).unwrap();
    assert_eq!(found[0].to_vec::<i32>().unwrap(), sums);

    let scales: Vec<f32> = numbers(n, 30).iter().map(|number| 2e-5 * (1.5 + number)).collect();
    let given = given.constant("s", floats(&[], &[1.0])).constant("bs", floats(&[n], &scales));
    let given = given.constant("ys", floats(&[], &[0.5])).constant("yz", tensor(&[], &[-7]));
    let sketch = given.op("QLinearMatMul", "a s az b bs bz ys yz", "y").output("y");
    let found = gpu.run(sketch, &inputs).unwrap()[0].to_vec::<i8>().unwrap();
    let mut distinct = std::collections::BTreeSet::new();
    for (at, found) in found.into_iter().enumerate() {
        let exact = f64::from(sums[at]) * f64::from(scales[at]) / 0.5 - 7.0;
        assert!((f64::from(found) - exact.clamp(-128.0, 127.0)).abs() <= 0.501, "{at}: {found} for {exact}");
        distinct.insert(found);
    }
    assert!(distinct.len() > 50, "{distinct:?}");
}

#[test]
fn channels_of_bytes_are_joined() {
    let Some(gpu) = Lavapipe::open() else { return };
    let (all, steps) = (GROUPS * ROWS, INNER * TAPS);
    let (x, w) = (bytes(GROUPS * steps, 31), bytes(all * steps, 32));
    let (zeros, bias) = (bytes(all, 33), (0..all as i32).map(|at| 40 * at - 90_000).collect::<Vec<_>>());
    let scales: Vec<f32> = numbers(all, 34).iter().map(|number| 2e-5 * (1.5 + number)).collect();
    let sketch = Sketch::new("bytes").input("x", Element::I8, "1 3072 3 3");
    let sketch = sketch.constant("s", floats(&[], &[1.0])).constant("z", tensor(&[], &[5]));
    let sketch = sketch.constant("w", tensor(&[all, INNER, 3, 3], &w)).constant("ws", floats(&[all], &scales));
    let sketch = sketch.constant("wz", tensor(&[all], &zeros)).constant("ys", floats(&[], &[0.5]));
    let sketch = sketch.constant("yz", tensor(&[], &[-7]));
    let sketch = sketch.constant("c", Tensor::from_slice(Element::I32, [all], &bias).unwrap());
    let sketch = sketch.op_with("QLinearConv", "x s z w ws wz ys yz c", "y", in_groups()).output("y");
    let found = gpu.run(sketch, &[tensor(&[1, GROUPS * INNER, 3, 3], &x)]).unwrap()[0].to_vec::<i8>().unwrap();
    assert_eq!(found.len(), all);
    for (row, found) in found.into_iter().enumerate() {
        let x = &x[row / ROWS * steps..];
        let term = |step: usize| (i32::from(x[step]) - 5) * (i32::from(w[row * steps + step]) - i32::from(zeros[row]));
        let sum = (0..steps).map(term).sum::<i32>() + bias[row];
        let exact = f64::from(sum) * f64::from(scales[row]) / 0.5 - 7.0;
        assert!((f64::from(found) - exact.clamp(-128.0, 127.0)).abs() <= 0.501, "{row}: {found} for {exact}");
    }
}

/// The last layer of a language model in four bits: just more than a binding.
#[test]
fn columns_of_packed_weights_are_joined() {
    let Some(gpu) = Lavapipe::open() else { return };
    let (k, n, block) = (1_024, 262_200, 32);
    let blocks = k / block;
    let (a, c) = (numbers(k, 35), numbers(n, 36));
    let w: Vec<u8> = numbers(n * k / 2, 37).into_iter().map(|number| (number * 127.0 + 128.0) as u8).collect();
    let scales = numbers(n * blocks, 38);
    let zeros: Vec<u8> = numbers(n * blocks / 2, 39).into_iter().map(|number| (number * 127.0 + 128.0) as u8).collect();
    let packed = |extents: &[usize], values: &[u8]| Tensor::from_slice(Element::U8, extents, values).unwrap();
    let sketch = Sketch::new("packed").input("a", Element::Fp32, "1 1024");
    let sketch = sketch.constant("w", packed(&[n, blocks, block / 2], &w)).constant("s", floats(&[n, blocks], &scales));
    let sketch = sketch.constant("z", packed(&[n, blocks / 2], &zeros)).constant("c", floats(&[n], &c));
    let attributes = [("K", k), ("N", n), ("bits", 4), ("block_size", block)];
    let attributes = attributes.map(|(name, value)| (name, Attribute::Int(value as i64)));
    let sketch = sketch.op_with("MatMulNBits", "a w s z _ c", "y", attributes).in_domain("com.microsoft").output("y");
    let found = gpu.run(sketch, &[floats(&[1, k], &a)]).unwrap()[0].to_vec::<f32>().unwrap();
    assert_eq!(found.len(), n);
    let four = |bytes: &[u8], at: usize| f64::from(bytes[at / 2] >> (4 * (at % 2)) & 15);
    // Some of all slices, and all around where two may meet.
    for column in (0..n).filter(|column| column % 89 == 0 || column.abs_diff(n / 2) < 80 || n - column < 3) {
        let weight = |step: usize| {
            let place = column * blocks + step / block;
            f64::from(scales[place]) * (four(&w, column * k + step) - four(&zeros, place))
        };
        let expected = (0..k).map(|step| f64::from(a[step]) * weight(step)).sum::<f64>() + f64::from(c[column]);
        assert!((f64::from(found[column]) - expected).abs() <= 2e-3, "{column}: {}, not {expected}", found[column]);
    }
}
