//! Operators at random shapes beside references in f64: broadcasting, reductions, pools, rows, attention, resizing.

use super::{
    lavapipe::{Lavapipe, floats, longs, random},
    numbers,
};
use crate::conformance::Sketch;
use burst_host::nouns::{Attribute, Element, Tensor};
use proptest::{collection::vec, prelude::*};

const CASES: u32 = 24;

fn extents_of(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
}

fn input(sketch: Sketch, name: &str, shape: &[usize]) -> Sketch {
    sketch.input(name, Element::Fp32, &extents_of(shape))
}

/// Numbers of a tensor, and the tensor.
fn drawn(shape: &[usize], seed: u32) -> (Vec<f64>, Tensor) {
    let numbers = numbers(shape.iter().product(), seed);
    let tensor = floats(shape, &numbers);
    (numbers.into_iter().map(f64::from).collect(), tensor)
}

/// Every place of a shape, the last axis fastest.
fn places(shape: &[usize]) -> Vec<Vec<usize>> {
    let longer = |places: Vec<Vec<usize>>, &extent: &usize| {
        let each = |place: Vec<usize>| (0..extent).map(move |at| [place.as_slice(), &[at]].concat());
        places.into_iter().flat_map(each).collect()
    };
    shape.iter().fold(vec![Vec::new()], longer)
}

/// Where a place lies in a tensor that is broadcast to its shape.
fn offset(place: &[usize], shape: &[usize]) -> usize {
    let own = &place[place.len() - shape.len()..];
    own.iter().zip(shape).fold(0, |flat, (&at, &extent)| flat * extent + if extent == 1 { 0 } else { at })
}

fn close(what: &str, gpu: &Lavapipe, sketch: Sketch, inputs: &[Tensor], expected: &[f64]) -> Result<(), TestCaseError> {
    let found = gpu.run(sketch.output("y"), inputs).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
    let found = found[0].to_vec::<f32>().unwrap();
    prop_assert_eq!(found.len(), expected.len(), "{}", what);
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let room = 1e-5 * expected.abs().max(1.0);
        prop_assert!((f64::from(*found) - expected).abs() <= room, "{} at {}: {} for {}", what, at, found, expected);
    }
    Ok(())
}

/// How many axes an operand lacks in front, and of which it has one.
type Operand = (usize, Vec<bool>);

/// The shape of an operand.
fn narrowed(shape: &[usize], lacks: usize, ones: &[bool]) -> Vec<usize> {
    let narrow = |(&extent, &one): (&usize, &bool)| if one { 1 } else { extent };
    shape.iter().zip(ones).map(narrow).skip(lacks.min(shape.len() - 1)).collect()
}

#[test]
fn operands_are_broadcast() {
    let Some(gpu) = Lavapipe::open() else { return };
    let operand = || (0usize..3, vec(any::<bool>(), 5));
    let case = (vec(1usize..6, 1..6), operand(), operand(), 0usize..5, any::<u32>());
    let check = |(shape, second, third, kind, seed): (Vec<usize>, Operand, Operand, usize, u32)| {
        let (b_shape, c_shape) = (narrowed(&shape, second.0, &second.1), narrowed(&shape, third.0, &third.1));
        let [(a, a_tensor), (b, b_tensor), (c, c_tensor)] =
            [(&shape, seed), (&b_shape, seed ^ 1), (&c_shape, seed ^ 2)].map(|(shape, seed)| drawn(shape, seed));
        let kind = ["Add", "Sub", "Mul", "Max", "Min"][kind];
        let both = |a: f64, b: f64| match kind {
            "Add" => a + b,
            "Sub" => b - a,
            "Mul" => a * b,
            "Max" => a.max(b),
            _ => a.min(b),
        };
        let at = |place: &Vec<usize>| {
            both(a[offset(place, &shape)], b[offset(place, &b_shape)]) * c[offset(place, &c_shape)]
        };
        let expected: Vec<f64> = places(&shape).iter().map(at).collect();
        let sketch = input(input(input(Sketch::new("broadcast"), "a", &shape), "b", &b_shape), "c", &c_shape);
        let sketch = sketch.op(kind, "b a", "x").op("Mul", "x c", "y");
        close(kind, &gpu, sketch, &[a_tensor, b_tensor, c_tensor], &expected)
    };
    random(CASES).run(&case, check).unwrap();
}

#[test]
fn axes_are_reduced() {
    let Some(gpu) = Lavapipe::open() else { return };
    let kinds = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceLogSumExp", "ReduceProd"];
    let case = (vec(1usize..6, 1..6), vec(any::<bool>(), 5), any::<bool>(), 0..kinds.len(), any::<u32>());
    let check = |(shape, mut reduced, keeps, kind, seed): (Vec<usize>, Vec<bool>, bool, usize, u32)| {
        let (x, tensor) = drawn(&shape, seed);
        reduced.truncate(shape.len());
        reduced[0] |= !reduced.contains(&true);
        let kept: Vec<usize> =
            shape.iter().zip(&reduced).map(|(&extent, &gone)| if gone { 1 } else { extent }).collect();
        let mut runs = vec![Vec::new(); kept.iter().product()];
        places(&shape).iter().for_each(|place| runs[offset(place, &kept)].push(x[offset(place, &shape)]));
        let kind = kinds[kind];
        let fold = |run: &Vec<f64>| match kind {
            "ReduceSum" => run.iter().sum(),
            "ReduceMean" => run.iter().sum::<f64>() / run.len() as f64,
            "ReduceMax" => run.iter().copied().fold(f64::MIN, f64::max),
            "ReduceMin" => run.iter().copied().fold(f64::MAX, f64::min),
            "ReduceL2" => run.iter().map(|x| x * x).sum::<f64>().sqrt(),
            "ReduceLogSumExp" => run.iter().map(|x| x.exp()).sum::<f64>().ln(),
            _ => run.iter().product(),
        };
        let axes: Vec<i64> = (0..).zip(&reduced).filter(|(_, gone)| **gone).map(|(axis, _)| axis).collect();
        let keepdims = ("keepdims", Attribute::Int(keeps.into()));
        let sketch = input(Sketch::new("reduce"), "x", &shape);
        let sketch = match kind {
            "ReduceSum" => {
                sketch.constant("axes", longs(&[axes.len()], &axes)).op_with(kind, "x axes", "y", [keepdims])
            }
            _ => sketch.op_with(kind, "x", "y", [keepdims, ("axes", Attribute::Ints(axes))]),
        };
        close(kind, &gpu, sketch, &[tensor], &runs.iter().map(fold).collect::<Vec<_>>())
    };
    random(CASES).run(&case, check).unwrap();
}

#[test]
fn windows_are_pooled() {
    let Some(gpu) = Lavapipe::open() else { return };
    let sizes = (1usize..3, 1usize..4, 3usize..12, 3usize..12, 1usize..4, 1usize..4);
    let case = (sizes, 0usize..3, any::<[bool; 2]>(), any::<u32>());
    type Sizes = (usize, usize, usize, usize, usize, usize);
    let check = |((n, c, h, w, kernel, stride), pad, [largest, counts], seed): (Sizes, usize, [bool; 2], u32)| {
        let pad = pad.min(kernel - 1);
        let (x, tensor) = drawn(&[n, c, h, w], seed);
        let count = |extent: usize| (extent + 2 * pad - kernel) / stride + 1;
        let window = |extent: usize, at: usize| {
            (at * stride..at * stride + kernel).filter_map(move |at| at.checked_sub(pad).filter(|&at| at < extent))
        };
        let pool = |place: &Vec<usize>| {
            let plane = (place[0] * c + place[1]) * h;
            let rows = window(h, place[2]);
            let seen: Vec<f64> =
                rows.flat_map(|i| window(w, place[3]).map(move |j| (plane + i) * w + j)).map(|at| x[at]).collect();
            let shares = if counts { kernel * kernel } else { seen.len() };
            if largest { seen.into_iter().fold(f64::MIN, f64::max) } else { seen.iter().sum::<f64>() / shares as f64 }
        };
        let expected: Vec<f64> = places(&[n, c, count(h), count(w)]).iter().map(pool).collect();
        let attributes = [
            ("kernel_shape", Attribute::Ints(vec![kernel as i64; 2])),
            ("strides", Attribute::Ints(vec![stride as i64; 2])),
            ("pads", Attribute::Ints(vec![pad as i64; 4])),
        ];
        let sketch = input(Sketch::new("pool"), "x", &[n, c, h, w]);
        let sketch = if largest {
            sketch.op_with("MaxPool", "x", "y", attributes)
        } else {
            let [a, b, c] = attributes;
            sketch.op_with("AveragePool", "x", "y", [a, b, c, ("count_include_pad", Attribute::Int(counts.into()))])
        };
        close("a pool", &gpu, sketch, &[tensor], &expected)
    };
    random(CASES).run(&case, check).unwrap();
}

#[test]
fn rows_are_shared_out_and_normalised() {
    let Some(gpu) = Lavapipe::open() else { return };
    let case = (vec(1usize..9, 1..5), 0usize..4, any::<bool>(), any::<u32>());
    let check = |(shape, axis, soft, seed): (Vec<usize>, usize, bool, u32)| {
        let axis = axis % shape.len();
        let (x, tensor) = drawn(&shape, seed);
        let mut outer = shape.clone();
        if soft {
            outer[axis] = 1
        } else {
            outer[axis..].fill(1)
        }
        let mut runs = vec![Vec::new(); outer.iter().product()];
        let all = places(&shape);
        all.iter().for_each(|place| runs[offset(place, &outer)].push(x[offset(place, &shape)]));
        let sketch = input(Sketch::new("rows"), "x", &shape);
        let attributes = [("axis", Attribute::Int(axis as i64))];
        if soft {
            let share = |place: &Vec<usize>| {
                let total: f64 = runs[offset(place, &outer)].iter().map(|x| x.exp()).sum();
                x[offset(place, &shape)].exp() / total
            };
            let expected: Vec<f64> = all.iter().map(share).collect();
            return close("Softmax", &gpu, sketch.op_with("Softmax", "x", "y", attributes), &[tensor], &expected);
        }
        let inner = &shape[axis..];
        let [(scale, scales), (shift, shifts)] = [seed ^ 1, seed ^ 2].map(|seed| drawn(inner, seed));
        let normal = |place: &Vec<usize>| {
            let run = &runs[offset(place, &outer)];
            let mean = run.iter().sum::<f64>() / run.len() as f64;
            let variance = run.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / run.len() as f64;
            let at = offset(&place[axis..], inner);
            (x[offset(place, &shape)] - mean) / (variance + 0.01).sqrt() * scale[at] + shift[at]
        };
        let expected: Vec<f64> = all.iter().map(normal).collect();
        let [axis] = attributes;
        let sketch = sketch.constant("scale", scales).constant("shift", shifts);
        let attributes = [axis, ("epsilon", Attribute::Float(0.01))];
        let sketch = sketch.op_with("LayerNormalization", "x scale shift", "y", attributes);
        close("LayerNormalization", &gpu, sketch, &[tensor], &expected)
    };
    random(CASES).run(&case, check).unwrap();
}

/// As exporters write it, whatever becomes of it.
#[test]
fn queries_attend() {
    let Some(gpu) = Lavapipe::open() else { return };
    // Of more than 2,048 it is one step.
    let case = ([1usize..3, 1usize..4, 1usize..1500, 1usize..20, 1usize..20, 1usize..20], any::<bool>(), any::<u32>());
    let check = |([b, h, queries, keys, width, columns], masked, seed): ([usize; 6], bool, u32)| {
        let shapes = [[b, h, queries, width], [b, h, keys, width], [b, h, keys, columns], [1, 1, queries, keys]];
        let [(q, q_tensor), (k, k_tensor), (v, v_tensor), (mask, masks)] =
            [0, 1, 2, 3].map(|at| drawn(&shapes[at], seed ^ at as u32));
        let attend = |place: &Vec<usize>| {
            let (list, query, column) = (place[0] * h + place[1], place[2], place[3]);
            let score = |key: usize| {
                let pairs =
                    (0..width).map(|at| ((list * queries + query) * width + at, (list * keys + key) * width + at));
                let score = pairs.map(|(a, b)| q[a] * k[b]).sum::<f64>() * 0.5;
                if masked { score + mask[query * keys + key] } else { score }
            };
            let weights: Vec<f64> = (0..keys).map(|key| score(key).exp()).collect();
            let mixed = (0..keys).map(|key| weights[key] * v[(list * keys + key) * columns + column]).sum::<f64>();
            mixed / weights.iter().sum::<f64>()
        };
        let expected: Vec<f64> = places(&[b, h, queries, columns]).iter().map(attend).collect();
        let mut sketch = Sketch::new("attention").constant("scale", floats(&[], &[0.5]));
        for (name, shape) in ["q", "k", "v"].into_iter().zip(&shapes) {
            sketch = input(sketch, name, shape);
        }
        sketch = sketch.op_with("Transpose", "k", "kt", [("perm", Attribute::Ints(vec![0, 1, 3, 2]))]);
        sketch = sketch.op("MatMul", "q kt", "p").op("Mul", "p scale", "s");
        let scores = if masked { "m" } else { "s" };
        if masked {
            sketch = sketch.constant("mask", masks).op("Add", "s mask", "m");
        }
        sketch = sketch.op_with("Softmax", scores, "w", [("axis", Attribute::Int(3))]).op("MatMul", "w v", "y");
        close("attention", &gpu, sketch, &[q_tensor, k_tensor, v_tensor], &expected)
    };
    random(CASES).run(&case, check).unwrap();
}

#[test]
fn pictures_are_resized() {
    let Some(gpu) = Lavapipe::open() else { return };
    let case = ([1usize..3, 1usize..4, 1usize..9, 1usize..9, 1usize..16, 1usize..16], 0usize..3, any::<u32>());
    let check = |([n, c, h, w, rows, columns], way, seed): ([usize; 6], usize, u32)| {
        let way = ["half_pixel", "align_corners", "asymmetric"][way];
        let (x, tensor) = drawn(&[n, c, h, w], seed);
        // Both neighbours and the weight of the second.
        let taps = |at: usize, from: usize, to: usize| {
            let (at, ratio) = (at as f64, from as f64 / to as f64);
            let place = match way {
                "half_pixel" => (at + 0.5) * ratio - 0.5,
                "asymmetric" => at * ratio,
                _ if to == 1 => 0.0,
                _ => at * (from - 1) as f64 / (to - 1) as f64,
            };
            let place = place.clamp(0.0, (from - 1) as f64);
            (place as usize, (place as usize + 1).min(from - 1), place.fract())
        };
        let sample = |place: &Vec<usize>| {
            let plane = (place[0] * c + place[1]) * h;
            let ((top, bottom, down), (left, right, across)) = (taps(place[2], h, rows), taps(place[3], w, columns));
            let row = |i: usize| x[(plane + i) * w + left] * (1.0 - across) + x[(plane + i) * w + right] * across;
            row(top) * (1.0 - down) + row(bottom) * down
        };
        let expected: Vec<f64> = places(&[n, c, rows, columns]).iter().map(sample).collect();
        let attributes = [
            ("mode", Attribute::Text(b"linear".to_vec())),
            ("coordinate_transformation_mode", Attribute::Text(way.as_bytes().to_vec())),
        ];
        let sizes = [n, c, rows, columns].map(|extent| extent as i64);
        let sketch = input(Sketch::new("resize"), "x", &[n, c, h, w]).constant("sizes", longs(&[4], &sizes));
        let sketch = sketch.op_with("Resize", "x _ _ sizes", "y", attributes);
        close(way, &gpu, sketch, &[tensor], &expected)
    };
    random(CASES).run(&case, check).unwrap();
}
