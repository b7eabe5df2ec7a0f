//! Products of halves: read and stored as the device has them, summed up as floats, rounded after each operator.

use super::{lavapipe::Lavapipe, numbers, open_with};
use crate::{
    conformance::Sketch,
    gpu::{Choice, Family, Halving, family::Target, fuse, hoist, planner::Planner, task::Task},
};
use burst_host::{
    nouns::{Attribute, Element, Spec, Tensor},
    ports::Accelerator,
};
use half::f16;
use std::time::{Duration, Instant};

/// Every family, with halves in both ways.
fn choices() -> impl Iterator<Item = Choice> {
    Family::ALL.into_iter().flat_map(|family| Halving::ALL.map(|halving| Choice { halving, ..Choice::of(family) }))
}

fn halves(extents: &[usize], seed: u32) -> Tensor {
    let numbers: Vec<f16> = numbers(extents.iter().product(), seed).into_iter().map(f16::from_f32).collect();
    Tensor::from_slice(Element::Fp16, extents, &numbers).unwrap()
}

fn wide(tensor: &Tensor) -> Vec<f64> {
    tensor.to_vec::<f16>().unwrap().into_iter().map(f64::from).collect()
}

fn extents(extents: &[usize]) -> String {
    extents.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
}

/// As near as a half comes to a sum of so many terms.
fn close(found: &Tensor, expected: &[f64], terms: usize, what: &str) {
    assert_eq!(found.spec().element, Element::Fp16, "{what}");
    let found = wide(found);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let room = expected.abs() / 2000.0 + 1e-6 * (terms as f64 + 1.0);
        assert!((found - expected).abs() <= room, "{what} at {at}: {found} for {expected}");
    }
}

/// Sides as quads and one by one, weights or not, one row, few rows and more than a tile, many steps.
#[test]
fn matrices_of_halves() {
    for choice in choices() {
        let Some(gpu) = Lavapipe::with(choice) else { return };
        for ([m, k, n], known) in [
            ([70, 40, 68], false),
            ([70, 40, 68], true),
            ([33, 13, 30], false),
            ([1, 300, 44], true),
            ([5, 1500, 36], true),
        ] {
            let (a, b) = (halves(&[m, k], 1), halves(&[k, n], 2));
            let sketch = Sketch::new("product").input("a", Element::Fp16, &extents(&[m, k]));
            let sketch = match known {
                true => sketch.constant("b", b.clone()),
                false => sketch.input("b", Element::Fp16, &extents(&[k, n])),
            };
            let inputs = if known { vec![a.clone()] } else { vec![a.clone(), b.clone()] };
            let found = gpu.run(sketch.op("MatMul", "a b", "y").output("y"), &inputs).unwrap();
            let (a, b) = (wide(&a), wide(&b));
            let sum = |at: usize| (0..k).map(|step| a[at / n * k + step] * b[step * n + at % n]).sum();
            let expected: Vec<f64> = (0..m * n).map(sum).collect();
            close(&found[0], &expected, k, &format!("{m} x {k} x {n}, {choice}"));
        }
    }
}

/// Planes of whole quads and not, in groups, of one tap, of each channel alone.
#[test]
fn convolutions_of_halves() {
    for choice in choices() {
        let Some(gpu) = Lavapipe::with(choice) else { return };
        for (channels, out, side, kernel, groups) in
            [(8, 40, 12, 3, 1), (6, 5, 7, 3, 1), (8, 12, 8, 1, 1), (8, 8, 9, 3, 2), (8, 8, 12, 3, 8), (4, 4, 7, 3, 4)]
        {
            let x = halves(&[1, channels, side, side], 1);
            let w = halves(&[out, channels / groups, kernel, kernel], 2);
            let attributes =
                [("group", Attribute::Int(groups as i64)), ("pads", Attribute::Ints(vec![kernel as i64 / 2; 4]))];
            let sketch = Sketch::new("convolution").input("x", Element::Fp16, &extents(&[1, channels, side, side]));
            let sketch = sketch.constant("w", w.clone()).op_with("Conv", "x w", "y", attributes).output("y");
            let found = gpu.run(sketch, std::slice::from_ref(&x)).unwrap();
            let (x, w, inner, pad) = (wide(&x), wide(&w), channels / groups, kernel / 2);
            let value = |at: usize| {
                let (channel, row, column) = (at / side / side, at / side % side, at % side);
                let mut sum = 0.0;
                for tap in 0..inner * kernel * kernel {
                    let (c, i, j) = (tap / kernel / kernel, tap / kernel % kernel, tap % kernel);
                    let place = |at: usize, tap: usize| (at + tap).checked_sub(pad).filter(|place| *place < side);
                    if let (Some(row), Some(column)) = (place(row, i), place(column, j)) {
                        let plane = channel / (out / groups) * inner + c;
                        sum += x[(plane * side + row) * side + column] * w[channel * inner * kernel * kernel + tap];
                    }
                }
                sum
            };
            let expected: Vec<f64> = (0..out * side * side).map(value).collect();
            let what = format!("{channels} to {out} of {side}, {kernel} taps, {groups} groups, {choice}");
            close(&found[0], &expected, inner * kernel * kernel, &what);
        }
    }
}

/// A product, its activation and what is added after: nothing of it depends on being one step.
#[test]
fn each_operator_rounds_as_it_would_alone() {
    let (m, k, n) = (40, 64, 36);
    let (a, b, r) = (halves(&[m, k], 3), halves(&[k, n], 4), halves(&[m, n], 5));
    let sketch = || {
        let sketch = Sketch::new("steps").input("a", Element::Fp16, &extents(&[m, k])).constant("b", b.clone());
        let sketch = sketch.input("r", Element::Fp16, &extents(&[m, n]));
        let sketch = sketch.op("MatMul", "a b", "p").op("Add", "p r", "q").op("Sigmoid", "q", "s");
        sketch
            .op("Mul", "s third", "y")
            .constant("third", Tensor::from_slice(Element::Fp16, [], &[f16::from_f32(1.0 / 3.0)]).unwrap())
    };
    for choice in choices() {
        let Some(gpu) = Lavapipe::with(choice) else { return };
        let inputs = [a.clone(), r.clone()];
        let one = gpu.run(sketch().output("y"), &inputs).unwrap().remove(0);
        let apart = sketch().output("p").output("q").output("s").output("y");
        let apart = gpu.run(apart, &inputs).unwrap().remove(3);
        assert_eq!(one.contents(), apart.contents(), "{choice}");
    }
}

#[tokio::test]
async fn a_driver_without_16_bits_multiplies_them() {
    for family in [Family::Apart, Family::Shared] {
        let Some(gpu) = open_with("SwiftShader", Choice::of(family)).await else { return };
        let (a, b) = (halves(&[20, 24], 1), halves(&[24, 12], 2));
        let sketch = Sketch::new("product").input("a", Element::Fp16, "20 24").constant("b", b.clone());
        let program = gpu.load(&sketch.op("MatMul", "a b", "y").output("y").graph()).await.unwrap();
        let outputs = program.run(vec![a.clone()], Instant::now() + Duration::from_secs(60)).await.unwrap();
        let found = gpu.download(&outputs[0]).await.unwrap();
        let (a, b) = (wide(&a), wide(&b));
        let sum = |at: usize| (0..24).map(|step| a[at / 12 * 24 + step] * b[step * 12 + at % 12]).sum();
        close(&found, &(0..240).map(sum).collect::<Vec<_>>(), 24, "SwiftShader");
    }
}

/// What a device lacks is no choice of it.
#[tokio::test]
async fn native_halves_need_a_driver_that_has_them() {
    let options = || crate::gpu::Options {
        kernels: Some(Choice { halving: Halving::Native, ..Choice::of(Family::Apart) }),
        ..Default::default()
    };
    if open_with("SwiftShader", Choice::of(Family::Apart)).await.is_some() {
        let wanted = crate::gpu::Wanted::Named("SwiftShader".into());
        assert!(crate::gpu::GpuAccelerator::open_with(&wanted, options()).await.is_err());
    }
}

/// Halves are neither widened before a product nor narrowed after it, and what follows is taken in.
#[test]
fn a_layer_of_halves_is_one_step() {
    let target = Target::new(Choice::of(Family::Shared), wgpu::Features::empty());
    let mut planner = Planner::new(17, target, Default::default());
    let spec = Spec::new(Element::Fp16, [1, 8, 4, 4]).unwrap();
    let storage = planner.input(spec.clone());
    planner.give("x", spec, storage);
    planner.known("w", halves(&[8, 8, 3, 3], 1));
    let graph = Sketch::new("layer")
        .op_with("Conv", "x w", "c", [("pads", Attribute::Ints(vec![1; 4]))])
        .op("Relu", "c", "r")
        .op("Add", "r x", "y")
        .graph();
    for op in graph.ops {
        planner.step(&Task::Op(op)).unwrap();
    }
    let y = planner.values["y"].clone();
    let y = planner.place(&y).unwrap();
    planner.draft.outputs.push((y.spec, y.storage));
    let mut draft = planner.draft;
    draft.prune();
    fuse::fuse(&mut draft);
    let steady = hoist::steady(&draft);
    assert_eq!(draft.steps.iter().filter(|step| !steady[step.write()]).count(), 1);
}
