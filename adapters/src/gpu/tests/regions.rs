//! Boxes whose bins have more samples than one invocation visits, beside the definition in f64.

use super::{
    lavapipe::{Lavapipe, floats, longs},
    numbers,
};
use burst_host::nouns::{Attribute, Fault, Tensor};

const CHANNELS: usize = 2;
const IMAGE: [usize; 2] = [300, 260];

/// Noise on a slope, so that no mean is next to nothing.
fn image() -> Vec<f32> {
    let slope = |at: usize| (at % IMAGE[1]) as f32 / 100.0 + (at / IMAGE[1]) as f32 / 400.0;
    numbers(CHANNELS * IMAGE[0] * IMAGE[1], 5).iter().enumerate().map(|(at, noise)| slope(at) + noise).collect()
}

fn apply(gpu: &Lavapipe, boxes: &[f32], mode: &str, samples: i64, bins: i64) -> Result<Vec<Tensor>, Fault> {
    let images = longs(&[boxes.len() / 4], &vec![0; boxes.len() / 4]);
    let x = floats(&[1, CHANNELS, IMAGE[0], IMAGE[1]], &image());
    let attributes = [
        ("mode", Attribute::Text(mode.into())),
        ("sampling_ratio", Attribute::Int(samples)),
        ("output_height", Attribute::Int(bins)),
        ("output_width", Attribute::Int(bins)),
    ];
    gpu.apply("RoiAlign", &[Some(x), Some(floats(&[boxes.len() / 4, 4], boxes)), Some(images)], "y", attributes)
}

/// The neighbours of a place, weighted, or nothing beside the image.
fn neighbours(plane: &[f32], y: f64, x: f64) -> [f64; 4] {
    let [h, w] = IMAGE.map(|extent| extent as f64);
    if y < -1.0 || y > h || x < -1.0 || x > w {
        return [0.0; 4];
    }
    let (y, x) = (y.clamp(0.0, h - 1.0), x.clamp(0.0, w - 1.0));
    let (top, left) = (y.floor(), x.floor());
    let (bottom, right) = ((top + 1.0).min(h - 1.0), (left + 1.0).min(w - 1.0));
    let at = |y: f64, x: f64| f64::from(plane[y as usize * IMAGE[1] + x as usize]);
    let (down, across) = (y - top, x - left);
    [
        at(top, left) * (1.0 - down) * (1.0 - across),
        at(top, right) * (1.0 - down) * across,
        at(bottom, left) * down * (1.0 - across),
        at(bottom, right) * down * across,
    ]
}

fn expected(boxes: &[f32], mode: &str, samples: usize, bins: usize) -> Vec<f64> {
    let image = image();
    let mut expected = Vec::new();
    for corners in boxes.chunks(4) {
        let [left, top, right, bottom] = [0, 1, 2, 3].map(|at| f64::from(corners[at]) - 0.5);
        let [height, width] = [(bottom - top) / bins as f64, (right - left) / bins as f64];
        let [down, across] = [height, width].map(|size| if samples == 0 { size.ceil() as usize } else { samples });
        for plane in image.chunks(IMAGE[0] * IMAGE[1]) {
            for (row, column) in (0..bins).flat_map(|row| (0..bins).map(move |column| (row, column))) {
                let (mut sum, mut largest) = (0.0, f64::NEG_INFINITY);
                for (i, j) in (0..down).flat_map(|i| (0..across).map(move |j| (i, j))) {
                    let y = top + (row as f64 + (i as f64 + 0.5) / down as f64) * height;
                    let x = left + (column as f64 + (j as f64 + 0.5) / across as f64) * width;
                    let four = neighbours(plane, y, x);
                    sum += four.iter().sum::<f64>();
                    largest = four.into_iter().fold(largest, f64::max);
                }
                expected.push(if mode == "max" { largest } else { sum / (down * across) as f64 });
            }
        }
    }
    expected
}

#[test]
fn a_bin_may_be_as_large_as_the_image() {
    // The whole image, much more of it, a piece, and a bin that is all image between others that are not.
    let boxes = [
        [0.3, 0.2, 259.8, 299.1],
        [-120.4, -333.3, 611.7, 702.9],
        [40.1, 7.2, 90.9, 280.6],
        [-266.3, -303.7, 519.2, 604.4],
    ]
    .concat();
    for gpu in Lavapipe::families() {
        for (mode, samples, bins) in [("avg", 0, 1), ("max", 0, 1), ("avg", 0, 3), ("max", 0, 3), ("avg", 290, 1)] {
            let found = apply(&gpu, &boxes, mode, samples, bins).unwrap()[0].to_vec::<f32>().unwrap();
            let expected = expected(&boxes, mode, samples as usize, bins as usize);
            assert_eq!(found.len(), expected.len());
            for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let error = (f64::from(*found) - expected).abs();
                // Written so that a NaN fails.
                assert!(error <= 1e-3, "{mode} {samples} {bins} at {at}: {found} for {expected}");
            }
        }
    }
}

#[test]
fn more_samples_than_passes_are_refused_at_load() {
    let Some(gpu) = Lavapipe::open() else { return };
    for samples in [2_000, 60_000, i64::MAX] {
        let refused = apply(&gpu, &[0.0, 0.0, 9.0, 9.0], "avg", samples, 1);
        let named = |why: &str| why.contains("RoiAlign") && why.contains("samples");
        assert!(matches!(&refused, Err(Fault::Unsupported(why)) if named(why)), "{samples}: {refused:?}");
    }
}
