//! Products and convolutions of random shapes, with what they take in, beside a reference in f64.

use super::{
    lavapipe::{Lavapipe, floats, random},
    numbers as random_numbers,
};
use crate::{
    conformance::Sketch,
    gpu::{Choice, Family},
};
use burst_host::nouns::{Attribute, Element, Tensor};
use proptest::{collection::vec, prelude::*};

/// Numbers between -1 and 1.
fn numbers(count: usize) -> impl Strategy<Value = Vec<f32>> {
    vec((-100i8..=100).prop_map(|value| f32::from(value) / 100.0), count)
}

fn close(found: &Tensor, expected: &[f64], terms: usize) -> Result<(), TestCaseError> {
    let found = found.to_vec::<f32>().unwrap();
    prop_assert_eq!(found.len(), expected.len());
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let room = 1e-6 * (terms as f64 + 1.0);
        prop_assert!((f64::from(*found) - expected).abs() <= room, "{}: {} for {}", at, found, expected);
    }
    Ok(())
}

fn extents(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
}

/// What is multiplied: the three extents and the form; a, b, bias and residual.
type Product = (([usize; 3], Form), Vec<f32>, Vec<f32>, Vec<f32>, Vec<f32>);

/// Whether the right side is a weight, is turned; and what follows: bias, residual.
type Form = (bool, bool, bool, bool);

#[test]
fn matrices() {
    let families = Lavapipe::families();
    let sizes = (1usize..70, 1usize..40, 1usize..70, any::<Form>());
    let case = sizes.prop_flat_map(|(m, k, n, form)| {
        (Just(([m, k, n], form)), numbers(m * k), numbers(k * n), numbers(n), numbers(m * n))
    });
    let check = |(([m, k, n], form), a, b, bias, residual): Product| {
        let (known, turned, biased, resides) = form;
        let b_shape = if turned { [n, k] } else { [k, n] };
        let mut sketch = Sketch::new("product").input("a", Element::Fp32, &extents(&[m, k]));
        let mut inputs = vec![floats(&[m, k], &a)];
        if known {
            sketch = sketch.constant("b", floats(&b_shape, &b));
        } else {
            sketch = sketch.input("b", Element::Fp32, &extents(&b_shape));
            inputs.push(floats(&b_shape, &b));
        }
        sketch = sketch.input("r", Element::Fp32, &extents(&[m, n])).constant("c", floats(&[n], &bias));
        inputs.push(floats(&[m, n], &residual));
        sketch = sketch.op_with("Gemm", "a b", "p", [("transB", Attribute::Int(i64::from(turned)))]);
        sketch = if biased { sketch.op("Add", "p c", "q") } else { sketch.op("Relu", "p", "q") };
        sketch = if resides { sketch.op("Add", "r q", "s") } else { sketch.op("Sub", "q r", "s") };
        let sketch = sketch.op("Relu", "s", "y").output("y");
        let mut expected = Vec::new();
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let of_b = |step: usize| if turned { b[j * k + step] } else { b[step * n + j] };
            let sum: f64 = (0..k).map(|step| f64::from(a[i * k + step]) * f64::from(of_b(step))).sum();
            let after = if biased { sum + f64::from(bias[j]) } else { sum.max(0.0) };
            let other = f64::from(residual[i * n + j]);
            expected.push(if resides { after + other } else { after - other }.max(0.0));
        }
        families.iter().try_for_each(|gpu| close(&gpu.run(sketch.clone(), &inputs).unwrap()[0], &expected, k))
    };
    random(24).run(&case, check).unwrap();
}

/// Extents whose steps are shared out in parts, whose rows are multiplied one by one, and whose tiles are the largest.
#[test]
fn deep_and_large_matrices() {
    let large = Lavapipe::with(Choice { tile: 128, ..Choice::of(Family::Shared) });
    let families: Vec<_> = Lavapipe::families().into_iter().chain(large).collect();
    for [m, k, n] in [[5, 1500, 37], [1, 1536, 40], [1, 1201, 33], [70, 2048, 68], [1409, 24, 1420], [3, 0, 5]] {
        let (a, b, c) = (random_numbers(m * k, 1), random_numbers(k * n, 2), random_numbers(n, 3));
        let sketch = Sketch::new("product").input("a", Element::Fp32, &extents(&[m, k]));
        let sketch = sketch.constant("b", floats(&[k, n], &b)).constant("c", floats(&[n], &c));
        let sketch = sketch.op("MatMul", "a b", "p").op("Add", "p c", "q").op("Relu", "q", "y").output("y");
        let places = (0..m).flat_map(|i| (0..n).map(move |j| (i, j)));
        let sum = |(i, j)| (0..k).map(|step| f64::from(a[i * k + step]) * f64::from(b[step * n + j])).sum::<f64>();
        let expected: Vec<_> = places.map(|(i, j)| (sum((i, j)) + f64::from(c[j])).max(0.0)).collect();
        for gpu in &families {
            let found = gpu.run(sketch.clone(), &[floats(&[m, k], &a)]).unwrap();
            close(&found[0], &expected, k).unwrap();
        }
    }
}

/// Images, channels in and out of a group, groups, rows, columns, kernel, stride, padding.
type Sizes = (usize, [usize; 2], usize, [usize; 2], usize, usize, usize);

#[test]
fn convolutions() {
    let families = Lavapipe::families();
    let channels = [1usize..5, 1usize..40];
    let sizes = (1usize..3, channels, 1usize..4, [3usize..14, 3usize..14], 1usize..4, 1usize..3, 0usize..2);
    let case = sizes.prop_flat_map(|sizes: Sizes| {
        let (n, [c, out], groups, [h, w], kernel, ..) = sizes;
        let weights = numbers(groups * out * c * kernel * kernel);
        (Just(sizes), numbers(n * groups * c * h * w), weights, numbers(groups * out))
    });
    let check = |(sizes, x, weights, bias): (Sizes, Vec<f32>, Vec<f32>, Vec<f32>)| {
        let (n, [c, out], groups, [h, w], kernel, stride, pad) = sizes;
        let x_shape = [n, groups * c, h, w];
        let attributes = [
            ("group", Attribute::Int(groups as i64)),
            ("strides", Attribute::Ints(vec![stride as i64; 2])),
            ("pads", Attribute::Ints(vec![pad as i64; 4])),
        ];
        let sketch = Sketch::new("convolution")
            .input("x", Element::Fp32, &extents(&x_shape))
            .constant("w", floats(&[groups * out, c, kernel, kernel], &weights))
            .constant("b", floats(&[groups * out], &bias))
            .op_with("Conv", "x w b", "c", attributes)
            .op("LeakyRelu", "c", "y")
            .output("y");
        let inputs = [floats(&x_shape, &x)];
        let along = |extent: usize| (extent + 2 * pad - kernel) / stride + 1;
        let mut expected = Vec::new();
        for image in 0..n {
            for (channel, &bias) in bias.iter().enumerate() {
                for (row, column) in (0..along(h)).flat_map(|row| (0..along(w)).map(move |column| (row, column))) {
                    let mut sum = f64::from(bias);
                    for (inner, i, j) in
                        (0..c).flat_map(|inner| (0..kernel).flat_map(move |i| (0..kernel).map(move |j| (inner, i, j))))
                    {
                        let (from, to) = ((row * stride + i).checked_sub(pad), (column * stride + j).checked_sub(pad));
                        let (Some(from), Some(to)) = (from.filter(|at| *at < h), to.filter(|at| *at < w)) else {
                            continue;
                        };
                        let plane = image * groups * c + channel / out * c + inner;
                        let weight = ((channel * c + inner) * kernel + i) * kernel + j;
                        sum += f64::from(x[(plane * h + from) * w + to]) * f64::from(weights[weight]);
                    }
                    expected.push(if sum < 0.0 { 0.01 * sum } else { sum });
                }
            }
        }
        let terms = c * kernel * kernel;
        families.iter().try_for_each(|gpu| close(&gpu.run(sketch.clone(), &inputs).unwrap()[0], &expected, terms))
    };
    random(24).run(&case, check).unwrap();
}

/// A convolution of few pixels and many steps, in two groups, whose steps are shared out in parts.
#[test]
fn deep_convolutions() {
    let (n, c, out, side) = (2, 64, 3, 5);
    let (x, w) = (random_numbers(n * 2 * c * side * side, 1), random_numbers(2 * out * c * 9, 2));
    let (x_shape, attributes) = ([n, 2 * c, side, side], [("group", Attribute::Int(2))]);
    let sketch = Sketch::new("convolution").input("x", Element::Fp32, &extents(&x_shape));
    let sketch =
        sketch.constant("w", floats(&[2 * out, c, 3, 3], &w)).op_with("Conv", "x w", "y", attributes).output("y");
    let mut expected = Vec::new();
    for (image, channel, row, column) in places([n, 2 * out, side - 2, side - 2]) {
        let term = |(inner, i, j, _): (usize, usize, usize, usize)| {
            let plane = image * 2 * c + channel / out * c + inner;
            let weight = ((channel * c + inner) * 3 + i) * 3 + j;
            f64::from(x[(plane * side + row + i) * side + column + j]) * f64::from(w[weight])
        };
        expected.push(places([c, 3, 3, 1]).map(term).sum());
    }
    for gpu in Lavapipe::families() {
        close(&gpu.run(sketch.clone(), &[floats(&x_shape, &x)]).unwrap()[0], &expected, 9 * c).unwrap();
    }
}

/// Every place of four axes, in the order of memory.
fn places([a, b, c, d]: [usize; 4]) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..a * b * c * d).map(move |at| (at / (b * c * d), at / (c * d) % b, at / d % c, at % d))
}
