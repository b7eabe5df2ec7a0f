//! Transforms and sums of products in forms that ONNX's own cases lack, beside their plain definitions.

use super::{check, floats};
use crate::conformance::noise;
use burst_host::nouns::{Attribute, Element, Tensor};
use std::f64::consts::PI;

fn number(value: i64) -> Tensor {
    Tensor::from_slice(Element::I64, [], &[value]).unwrap()
}

fn wide(tensor: &Tensor) -> Vec<f64> {
    tensor.to_vec::<f32>().unwrap().into_iter().map(f64::from).collect()
}

/// Of real and imaginary parts: bins `0..count` of a transform of `points` points; backwards for sign 1.
fn transform(signal: &[[f64; 2]], points: usize, count: usize, sign: f64) -> Vec<[f64; 2]> {
    let bin = |bin: usize| {
        let mut sum = [0.0, 0.0];
        for (at, [re, im]) in signal.iter().take(points).enumerate() {
            let (sine, cosine) = (sign * 2.0 * PI * (bin * at) as f64 / points as f64).sin_cos();
            sum[0] += re * cosine - im * sine;
            sum[1] += re * sine + im * cosine;
        }
        sum
    };
    (0..count).map(bin).collect()
}

/// Each of the rows in the middle of a tensor [2, given, 3, parts], along axis 1.
fn rows(x: &Tensor) -> Vec<Vec<[f64; 2]>> {
    let (numbers, extents) = (wide(x), x.spec().shape.extents().to_vec());
    let (given, parts) = (extents[1], extents[3]);
    let part = |outer: usize, at: usize, inner: usize, part: usize| {
        if part < parts { numbers[((outer * given + at) * 3 + inner) * parts + part] } else { 0.0 }
    };
    let row = |index: usize| (0..given).map(|at| [0, 1].map(|p| part(index / 3, at, index % 3, p))).collect();
    (0..6).map(row).collect()
}

/// What `rows` takes apart.
fn joined(rows: &[Vec<[f64; 2]>], parts: usize) -> Tensor {
    let made = rows[0].len();
    let at = |index: usize| {
        let (part, rest) = (index % parts, index / parts);
        rows[rest / 3 / made * 3 + rest % 3][rest / 3 % made][part] as f32
    };
    floats(&[2, made, 3, parts], &(0..6 * made * parts).map(at).collect::<Vec<_>>())
}

/// Cut, filled with zeros, real and complex, whole and the first half.
#[tokio::test]
async fn transforms_of_other_lengths() {
    for (parts, points, onesided) in [(1, 8, 0), (1, 4, 1), (2, 8, 0), (2, 3, 0), (1, 7, 1)] {
        let x = noise(&[2, 5, 3, parts], 1);
        let made = if onesided == 1 { points / 2 + 1 } else { points };
        let expected: Vec<_> = rows(&x).iter().map(|row| transform(row, points, made, -1.0)).collect();
        let inputs = [("x", x), ("clength", number(points as i64)), ("caxis", number(-3))];
        let attributes = [("onesided", Attribute::Int(onesided))];
        check(&format!("{parts} {points}"), "DFT", 20, &attributes, &inputs, &[joined(&expected, 2)]).await;
    }
}

/// The signal comes back: from all bins, and from the first half of an even and an odd number.
#[tokio::test]
async fn transforms_and_back() {
    for (points, onesided) in [(5, 0), (5, 1), (8, 1)] {
        let parts = if onesided == 1 { 1 } else { 2 };
        let signal = noise(&[2, points, 3, parts], 2);
        let made = if onesided == 1 { points / 2 + 1 } else { points };
        let bins: Vec<_> = rows(&signal).iter().map(|row| transform(row, points, made, -1.0)).collect();
        let inputs = [("x", joined(&bins, 2)), ("clength", number(points as i64))];
        let attributes =
            [("onesided", Attribute::Int(onesided)), ("inverse", Attribute::Int(1)), ("axis", Attribute::Int(1))];
        check(&format!("back {points}"), "DFT", 17, &attributes, &inputs, &[signal]).await;
    }
}

/// A window that is known beforehand and one that is not, on a complex signal.
#[tokio::test]
async fn windows_of_short_transforms() {
    let (length, points, step) = (11, 4, 3);
    let (x, window) = (noise(&[2, length, 2], 3), noise(&[points], 4));
    let (numbers, weights) = (wide(&x), wide(&window));
    let mut expected = Vec::new();
    for (image, frame) in (0..2).flat_map(|image| (0..3).map(move |frame| (image, frame))) {
        let at = |place: usize| 2 * (image * length + frame * step + place);
        let cut = (0..points).map(|place| [0, 1].map(|part| numbers[at(place) + part] * weights[place]));
        expected
            .extend(transform(&cut.collect::<Vec<_>>(), points, points, -1.0).as_flattened().iter().map(|v| *v as f32));
    }
    let expected = floats(&[2, 3, points, 2], &expected);
    for name in ["window", "cwindow"] {
        let inputs = [("x", x.clone()), ("cstep", number(step as i64)), (name, window.clone())];
        let attributes = [("onesided", Attribute::Int(0))];
        check(name, "STFT", 17, &attributes, &inputs, std::slice::from_ref(&expected)).await;
    }
}

/// Every assignment of the labels, one product each.
fn einsum(operands: &[(&str, &Tensor)], output: &str, extents: &[(char, usize)]) -> Tensor {
    let extent = |label: char| extents.iter().find(|(name, _)| *name == label).unwrap().1;
    let shape: Vec<usize> = output.chars().map(extent).collect();
    let mut sums = vec![0.0; shape.iter().product()];
    for mut index in 0..extents.iter().map(|(_, extent)| extent).product() {
        let mut at = Vec::new();
        for (label, extent) in extents {
            at.push((*label, index % extent));
            index /= extent;
        }
        let flat = |labels: &str, shape: &[usize]| {
            let of = |label: char| at.iter().find(|(name, _)| *name == label).unwrap().1;
            labels.chars().zip(shape).fold(0, |flat, (label, &extent)| flat * extent + of(label).min(extent - 1))
        };
        let number = |(labels, x): &(&str, &Tensor)| wide(x)[flat(labels, x.spec().shape.extents())];
        sums[flat(output, &shape)] += operands.iter().map(number).product::<f64>();
    }
    floats(&shape, &sums.into_iter().map(|sum| sum as f32).collect::<Vec<_>>())
}

/// Attention's products, three operands, outer products, traces, ellipses and extents that broadcast.
#[tokio::test]
async fn sums_of_products() {
    let sizes = [('b', 2), ('h', 3), ('q', 4), ('k', 5), ('d', 6)];
    for (equation, plain, output) in [
        ("bhqd, bhkd -> bhqk", vec!["bhqd", "bhkd"], "bhqk"),
        ("bhqk,bkhd->bqhd", vec!["bhqk", "bkhd"], "bqhd"),
        ("b,bk,k->", vec!["b", "bk", "k"], ""),
        ("qk,kd,dh->hq", vec!["qk", "kd", "dh"], "hq"),
        ("k,q->qk", vec!["k", "q"], "qk"),
        ("bqq,h->bh", vec!["bqq", "h"], "bh"),
        ("kb,bk", vec!["kb", "bk"], ""),
        ("dhb", vec!["dhb"], "bdh"),
        ("...qd,...dk->...qk", vec!["bhqd", "hdk"], "bhqk"),
        ("...k,k", vec!["bqk", "k"], "bq"),
    ] {
        let used = |label: &char| plain.concat().contains(*label);
        let sizes: Vec<(char, usize)> = sizes.iter().copied().filter(|(label, _)| used(label)).collect();
        for broadcast in [false, true] {
            // The first operand has extent 1 along its first label.
            let extent = |label: char, first: bool| {
                let size = sizes.iter().find(|(name, _)| *name == label).unwrap().1;
                if first && broadcast && plain[1..].concat().contains(label) { 1 } else { size }
            };
            let operand = |(index, labels): (usize, &&str)| {
                let first = |at: usize| index == 0 && at == 0;
                let shape: Vec<usize> =
                    labels.chars().enumerate().map(|(at, label)| extent(label, first(at))).collect();
                noise(&shape, index as u32)
            };
            let operands: Vec<Tensor> = plain.iter().enumerate().map(operand).collect();
            let named: Vec<(&str, &Tensor)> = plain.iter().copied().zip(&operands).collect();
            let expected = einsum(&named, output, &sizes);
            let inputs: Vec<_> = ["x", "y", "z"].into_iter().zip(operands.iter().cloned()).collect();
            let attribute = [("equation", Attribute::Text(equation.into()))];
            check(equation, "Einsum", 17, &attribute, &inputs, &[expected]).await;
        }
    }
}
