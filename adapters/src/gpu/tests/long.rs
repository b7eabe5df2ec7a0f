//! Runs of more elements than an invocation may go through, folded, summed and normalised in passes, beside sums in f64.

use super::{
    lavapipe::{Lavapipe, floats, longs},
    numbers,
};
use burst_host::nouns::{Attribute, Element, Tensor};

/// A vocabulary: odd, and more than two passes of the shortest parts.
const LENGTH: usize = 151_937;

fn near(what: &str, found: &[f32], expected: impl IntoIterator<Item = f64>) {
    let expected: Vec<f64> = expected.into_iter().collect();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let room = 2e-6 * expected.abs().max(1e-3);
        assert!((f64::from(*found) - expected).abs() <= room, "{what} at {at}: {found} for {expected}");
    }
}

fn of(gpu: &Lavapipe, kind: &str, x: &Tensor, attributes: &[(&str, Attribute)]) -> Vec<f32> {
    let attributes: Vec<_> = attributes.to_vec();
    let inputs = [Some(x.clone())];
    let found = match attributes.as_slice() {
        [] => gpu.apply(kind, &inputs, "y", []),
        [a] => gpu.apply(kind, &inputs, "y", [a.clone()]),
        [a, b, ..] => gpu.apply(kind, &inputs, "y", [a.clone(), b.clone()]),
    };
    found.unwrap_or_else(|fault| panic!("{kind}: {fault}"))[0].to_vec::<f32>().unwrap()
}

#[test]
fn long_runs_are_folded() {
    let Some(gpu) = Lavapipe::open() else { return };
    let x: Vec<f32> = numbers(2 * LENGTH, 5).iter().map(|x| x + 1.5).collect();
    let tensor = floats(&[2, LENGTH], &x);
    let fold = |kind: &str, of_run: fn(&[f64]) -> f64| {
        let axes = [("axes", Attribute::Ints(vec![1])), ("keepdims", Attribute::Int(0))];
        let wide: Vec<f64> = x.iter().copied().map(f64::from).collect();
        near(kind, &of(&gpu, kind, &tensor, &axes), wide.chunks(LENGTH).map(of_run));
    };
    fold("ReduceMean", |run| run.iter().sum::<f64>() / run.len() as f64);
    fold("ReduceMax", |run| run.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    fold("ReduceMin", |run| run.iter().copied().fold(f64::INFINITY, f64::min));
    fold("ReduceL1", |run| run.iter().map(|x| x.abs()).sum());
    fold("ReduceL2", |run| run.iter().map(|x| x * x).sum::<f64>().sqrt());
    fold("ReduceLogSum", |run| run.iter().sum::<f64>().ln());
    fold("ReduceSumSquare", |run| run.iter().map(|x| x * x).sum());
    fold("ReduceLogSumExp", |run| run.iter().map(|x| x.exp()).sum::<f64>().ln());
}

/// Along an axis that is not the last, elements of a run lie apart.
#[test]
fn long_runs_with_others_between_are_folded() {
    let Some(gpu) = Lavapipe::open() else { return };
    let x = numbers(LENGTH * 3, 6);
    let axes = [("axes", Attribute::Ints(vec![0])), ("keepdims", Attribute::Int(0))];
    let found = of(&gpu, "ReduceMean", &floats(&[LENGTH, 3], &x), &axes);
    let mean = |at: usize| x.iter().skip(at).step_by(3).map(|x| f64::from(*x)).sum::<f64>() / LENGTH as f64;
    near("ReduceMean", &found, (0..3).map(mean));
    let whole: Vec<i64> = x.iter().map(|x| (x * 1e9) as i64 * 1_000).collect();
    let inputs = [Some(longs(&[LENGTH, 3], &whole)), Some(longs(&[1], &[0]))];
    let sums = gpu.apply("ReduceSum", &inputs, "y", []).unwrap()[0].to_vec::<i64>().unwrap();
    let sum = |at: usize| whole.iter().skip(at).step_by(3).sum::<i64>();
    assert_eq!(sums, (0..3).map(sum).collect::<Vec<_>>());
}

/// As many as no single float could count one by one.
#[test]
fn small_numbers_are_not_lost_beside_their_sum() {
    let Some(gpu) = Lavapipe::open() else { return };
    let many = 16_777_216 + 100;
    let found = of(&gpu, "ReduceMean", &floats(&[1, many], &vec![0.1; many]), &[]);
    near("ReduceMean", &found, [f64::from(0.1f32)]);
}

#[test]
fn long_runs_are_shared_out() {
    let Some(gpu) = Lavapipe::open() else { return };
    let x: Vec<f32> = numbers(LENGTH, 7).iter().map(|x| 4.0 * x).collect();
    let tensor = floats(&[1, LENGTH], &x);
    let sum: f64 = x.iter().map(|x| f64::from(*x).exp()).sum();
    let found = of(&gpu, "Softmax", &tensor, &[]);
    for (x, found) in x.iter().zip(&found) {
        let expected = f64::from(*x).exp() / sum;
        assert!((f64::from(*found) - expected).abs() <= 5e-6 * expected, "{found} for {expected}");
    }
    near("LogSoftmax", &of(&gpu, "LogSoftmax", &tensor, &[]), x.iter().map(|x| f64::from(*x) - sum.ln()));
    let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let first = x.iter().position(|x| *x == largest).unwrap();
    let hard = of(&gpu, "Hardmax", &tensor, &[]);
    assert!(hard.iter().enumerate().all(|(at, one)| *one == f32::from(u8::from(at == first))));
}

/// The first of equal ones, or the last, wherever the parts are cut.
#[test]
fn the_largest_of_long_runs_is_found() {
    let Some(gpu) = Lavapipe::open() else { return };
    let mut x = numbers(2 * LENGTH, 8);
    for at in [70_001, 140_000, LENGTH + 3, LENGTH + 99_999] {
        x[at] = 2.0;
    }
    let find = |kind: &str, x: &[f32], last: i64| {
        let attributes = [("axis", Attribute::Int(1)), ("select_last_index", Attribute::Int(last))];
        let found = gpu.apply(kind, &[Some(floats(&[2, LENGTH], x))], "y", attributes).unwrap();
        found[0].to_vec::<i64>().unwrap()
    };
    assert_eq!(find("ArgMax", &x, 0), [70_001, 3]);
    assert_eq!(find("ArgMax", &x, 1), [140_000, 99_999]);
    let turned: Vec<f32> = x.iter().map(|x| -x).collect();
    assert_eq!(find("ArgMin", &turned, 0), [70_001, 3]);
    x[90_000] = f32::NAN;
    assert_eq!(find("ArgMin", &x, 0)[0], 90_000, "a NaN comes first");
    assert_eq!(find("ArgMax", &x, 0)[0], 90_000, "a NaN comes first");
}

#[test]
fn long_runs_are_summed_up() {
    let Some(gpu) = Lavapipe::open() else { return };
    let x: Vec<i64> = numbers(2 * LENGTH, 9).iter().map(|x| (x * 1e6) as i64).collect();
    for (exclusive, reverse) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let attributes = [("exclusive", Attribute::Int(exclusive)), ("reverse", Attribute::Int(reverse))];
        let inputs = [Some(longs(&[LENGTH, 2], &x)), Some(longs(&[], &[0]))];
        let found = gpu.apply("CumSum", &inputs, "y", attributes).unwrap()[0].to_vec::<i64>().unwrap();
        for column in 0..2 {
            let mut sum = 0;
            for step in 0..LENGTH {
                let at = 2 * if reverse == 1 { LENGTH - 1 - step } else { step } + column;
                let expected = if exclusive == 1 { sum } else { sum + x[at] };
                sum += x[at];
                assert_eq!(found[at], expected, "{exclusive} {reverse} at {at}");
            }
        }
    }
    let ones = floats(&[1_000_000], &vec![1.0; 1_000_000]);
    let found = gpu.apply("CumSum", &[Some(ones), Some(longs(&[], &[0]))], "y", []).unwrap();
    assert!(found[0].to_vec::<f32>().unwrap().iter().enumerate().all(|(at, sum)| *sum == (at + 1) as f32));
}

/// Far from zero, where the mean of squares less the square of the mean has no digits left.
#[test]
fn long_runs_are_normalised() {
    let Some(gpu) = Lavapipe::open() else { return };
    let plane = 320 * 301;
    let x: Vec<f32> = numbers(4 * plane, 10).iter().map(|x| 1_000.0 + x).collect();
    let normal = |run: &[f32], scale: f64, shift: f64| {
        let mean = run.iter().map(|x| f64::from(*x)).sum::<f64>() / run.len() as f64;
        let variance = run.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / run.len() as f64;
        let by = scale / (variance + 1e-5).sqrt();
        run.iter().map(|x| (f64::from(*x) - mean) * by + shift).collect::<Vec<_>>()
    };
    let check = |what: &str, found: &Tensor, expected: Vec<f64>| {
        for (found, expected) in found.to_vec::<f32>().unwrap().iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() <= 2e-3, "{what}: {found} for {expected}");
        }
    };
    let (scale, shift) = ([2.0, 3.0], [0.5, -0.5]);
    let weights = || [Some(floats(&[2], &scale)), Some(floats(&[2], &shift))];
    let inputs = [&[Some(floats(&[2, 2, 320, 301], &x))], &weights()[..]].concat();
    let found = gpu.apply("InstanceNormalization", &inputs, "y", []).unwrap();
    let channel = |(at, run): (usize, &[f32])| normal(run, f64::from(scale[at % 2]), f64::from(shift[at % 2]));
    check("instances", &found[0], x.chunks(plane).enumerate().flat_map(channel).collect());
    let inputs = [Some(floats(&[2, 2 * plane], &x)), Some(floats(&[2 * plane], &vec![2.0; 2 * plane]))];
    let found = gpu.apply("LayerNormalization", &inputs, "y", []).unwrap();
    check("layers", &found[0], x.chunks(2 * plane).flat_map(|run| normal(run, 2.0, 0.0)).collect());
}

#[test]
fn large_windows_are_pooled() {
    let Some(gpu) = Lavapipe::open() else { return };
    let side = 300;
    let x: Vec<f32> = numbers(2 * side * side, 11).iter().map(|x| x + 1.5).collect();
    let tensor = floats(&[1, 2, side, side], &x);
    let kernel = [("kernel_shape", Attribute::Ints(vec![side as i64; 2]))];
    let planes = || x.chunks(side * side).map(|plane| plane.iter().copied().map(f64::from).collect::<Vec<_>>());
    near(
        "MaxPool",
        &of(&gpu, "MaxPool", &tensor, &kernel),
        planes().map(|plane| plane.into_iter().fold(-9.0, f64::max)),
    );
    let mean = |plane: Vec<f64>| plane.iter().sum::<f64>() / plane.len() as f64;
    near("AveragePool", &of(&gpu, "AveragePool", &tensor, &kernel), planes().map(mean));
    near("GlobalAveragePool", &of(&gpu, "GlobalAveragePool", &tensor, &[]), planes().map(mean));
    let norm = |plane: Vec<f64>| plane.iter().map(|x| x * x).sum::<f64>().sqrt();
    near("GlobalLpPool", &of(&gpu, "GlobalLpPool", &tensor, &[]), planes().map(norm));
}

#[test]
fn products_of_many_steps_are_summed() {
    let Some(gpu) = Lavapipe::open() else { return };
    let steps = 100_001;
    let (a, b) = (numbers(3 * steps, 12), numbers(2 * steps, 13));
    let sum = |row: usize, column: usize| {
        (0..steps).map(|k| f64::from(a[row * steps + k]) * f64::from(b[2 * k + column])).sum::<f64>()
    };
    let check = |what: &str, found: &[Tensor]| {
        for (at, found) in found[0].to_vec::<f32>().unwrap().iter().enumerate() {
            let expected = sum(at / 2, at % 2);
            assert!((f64::from(*found) - expected).abs() <= 1e-3, "{what} at {at}: {found} for {expected}");
        }
    };
    let inputs = [Some(floats(&[3, steps], &a)), Some(floats(&[steps, 2], &b))];
    check("MatMul", &gpu.apply("MatMul", &inputs, "y", []).unwrap());
    check("Gemm", &gpu.apply("Gemm", &inputs, "y", []).unwrap());
    // A kernel of one tap for each of many channels, then one channel of many taps.
    let turned: Vec<f32> = (0..2).flat_map(|column| b.iter().skip(column).step_by(2)).copied().collect();
    let inputs = [Some(floats(&[3, steps, 1], &a)), Some(floats(&[2, steps, 1], &turned))];
    check("Conv", &gpu.apply("Conv", &inputs, "y", []).unwrap());
    let inputs = [Some(floats(&[3, 1, steps], &a)), Some(floats(&[2, 1, steps], &turned))];
    check("Conv of a long kernel", &gpu.apply("Conv", &inputs, "y", []).unwrap());
}

#[test]
fn batches_beyond_the_grid_are_multiplied() {
    let Some(gpu) = Lavapipe::open() else { return };
    let count = 70_001;
    let (a, b) = (numbers(2 * count, 14), numbers(2 * count, 15));
    let inputs = [Some(floats(&[count, 1, 2], &a)), Some(floats(&[count, 2, 1], &b))];
    let found = gpu.apply("MatMul", &inputs, "y", []).unwrap();
    assert_eq!(found[0].spec().shape.extents(), [count, 1, 1]);
    for (at, found) in found[0].to_vec::<f32>().unwrap().iter().enumerate() {
        let expected = a[2 * at] * b[2 * at] + a[2 * at + 1] * b[2 * at + 1];
        assert!((found - expected).abs() <= 1e-6, "{at}: {found} for {expected}");
    }
}

#[test]
fn half_runs_are_folded_in_floats() {
    let Some(gpu) = Lavapipe::open() else { return };
    let x = Tensor::from_slice(Element::Fp16, [1, 100_000], &vec![half::f16::ONE; 100_000]).unwrap();
    let axes = [("axes", Attribute::Ints(vec![1]))];
    let found = gpu.apply("ReduceMean", &[Some(x)], "y", axes).unwrap();
    assert_eq!(found[0].to_vec::<half::f16>().unwrap(), [half::f16::ONE]);
}
