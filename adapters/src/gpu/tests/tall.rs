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

/// An image, and what is done to it.
struct Image {
    input: [usize; 2],
    kernel: [usize; 2],
    strides: [usize; 2],
    pads: [usize; 4],
    dilations: [usize; 2],
}

const CHANNELS: [usize; 2] = [2, 3];

impl Image {
    fn output(&self) -> [usize; 2] {
        [0, 1].map(|at| {
            let reach = (self.kernel[at] - 1) * self.dilations[at] + 1;
            (self.input[at] + self.pads[at] + self.pads[at + 2] - reach) / self.strides[at] + 1
        })
    }

    /// One number of the result, of these pixels and weights.
    fn sum(&self, x: &[f32], w: &[f32], out: usize, at: [usize; 2]) -> f64 {
        let [h, wide] = self.input;
        let place = |axis: usize, tap: usize| {
            let from = at[axis] * self.strides[axis] + tap * self.dilations[axis];
            from.checked_sub(self.pads[axis]).filter(|&from| from < self.input[axis])
        };
        let taps = (0..self.kernel[0]).flat_map(|row| (0..self.kernel[1]).map(move |column| [row, column]));
        let term = |[row, column]: [usize; 2]| {
            let Some((y, z)) = place(0, row).zip(place(1, column)) else { return 0.0 };
            let pair = |c: usize| {
                let weight = w[((out * CHANNELS[0] + c) * self.kernel[0] + row) * self.kernel[1] + column];
                f64::from(x[(c * h + y) * wide + z]) * f64::from(weight)
            };
            (0..CHANNELS[0]).map(pair).sum()
        };
        taps.map(term).sum()
    }

    fn check(&self, gpu: &Lavapipe, what: &str, line: bool) {
        let extents = |first: usize, second: usize, axes: [usize; 2]| {
            let axes = if line { &axes[1..] } else { &axes[..] };
            [&[first, second], axes].concat()
        };
        let ints = |values: &[usize]| Attribute::Ints(values.iter().map(|&value| value as i64).collect());
        let of_axes = |values: &[usize; 2]| ints(if line { &values[1..] } else { values });
        let pads = if line { ints(&[self.pads[1], self.pads[3]]) } else { ints(&self.pads) };
        let [c, out] = CHANNELS;
        let (x, w) = (numbers(c * self.input.iter().product::<usize>(), 6), numbers(out * c * 9, 7));
        let w = &w[..out * c * self.kernel.iter().product::<usize>()];
        let inputs = [
            Some(floats(&extents(1, c, self.input), &x)),
            Some(floats(&extents(out, c, self.kernel), w)),
            Some(floats(&[out], &[1.0, 2.0, 3.0])),
        ];
        let attributes = [("pads", pads), ("strides", of_axes(&self.strides)), ("dilations", of_axes(&self.dilations))];
        let found = gpu.apply("Conv", &inputs, "y", attributes).unwrap();
        let output @ [rows, columns] = self.output();
        assert!(rows * columns > 65_535 * 32, "{what} is cut");
        assert_eq!(found[0].spec().shape.extents(), extents(1, out, output), "{what}");
        for (at, found) in found[0].to_vec::<f32>().unwrap().into_iter().enumerate() {
            let (channel, row, column) = (at / columns / rows, at / columns % rows, at % columns);
            let sum = self.sum(&x, w, channel, [row, column]) + (channel + 1) as f64;
            assert!((f64::from(found) - sum).abs() <= 1e-5, "{what} at {at}: {found}, not {sum}");
        }
    }
}

#[test]
fn pixels_beyond_the_grid_are_convolved() {
    let Some(gpu) = Lavapipe::open() else { return };
    let plain = Image { input: [1, EVEN], kernel: [1, 3], strides: [1; 2], pads: [0, 2, 0, 1], dilations: [1, 2] };
    plain.check(&gpu, "a line", true);
    let wide = Image { input: [2, 2 * EVEN + 2], kernel: [2, 2], strides: [2; 2], pads: [0; 4], dilations: [1; 2] };
    wide.check(&gpu, "a wide image", false);
    let image = Image { input: [2059, 1021], kernel: [3; 2], strides: [1; 2], pads: [2, 1, 1, 1], dilations: [1; 2] };
    image.check(&gpu, "an image", false);
}
