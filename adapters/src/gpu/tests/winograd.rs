//! Convolutions of 3 by 3 by products of tiles, beside a reference in f64: pictures of odd sides, pads, what follows.

use super::{
    lavapipe::{Lavapipe, floats},
    numbers, open_with,
};
use crate::{
    conformance::Sketch,
    gpu::{
        Choice, Family,
        draft::Step,
        family::Target,
        kernels::Shader,
        planner::{Planner, Value},
    },
};
use burst_host::{
    nouns::{Attribute, Element, Spec, Tensor},
    ports::Accelerator,
};
use std::time::{Duration, Instant};

/// Pictures, channels in and out, rows, columns, and what is added before and after them.
struct Scene {
    sizes: [usize; 5],
    pads: [usize; 4],
}

const SCENES: [Scene; 5] = [
    Scene { sizes: [1, 128, 128, 8, 8], pads: [1; 4] },
    Scene { sizes: [2, 130, 137, 7, 7], pads: [1; 4] },
    Scene { sizes: [1, 128, 150, 14, 9], pads: [0; 4] },
    Scene { sizes: [3, 129, 128, 6, 13], pads: [2, 0, 1, 1] },
    Scene { sizes: [1, 300, 128, 3, 3], pads: [0; 4] },
];

impl Scene {
    fn extents(&self) -> ([usize; 4], [usize; 4], [usize; 4]) {
        let ([n, c, out, h, w], [top, left, bottom, right]) = (self.sizes, self.pads);
        ([n, c, h, w], [out, c, 3, 3], [n, out, h + top + bottom - 2, w + left + right - 2])
    }

    /// A convolution, then a residual and an activation.
    fn sketch(&self, weights: &[f32], bias: &[f32]) -> Sketch {
        let (x, w, y) = self.extents();
        let words = |extents: [usize; 4]| extents.map(|extent| extent.to_string()).join(" ");
        let pads = ("pads", Attribute::Ints(self.pads.map(|pad| pad as i64).to_vec()));
        let sketch = Sketch::new("winograd").input("x", Element::Fp32, &words(x)).input("r", Element::Fp32, &words(y));
        let sketch = sketch.constant("w", floats(&w, weights)).constant("b", floats(&[w[0]], bias));
        sketch.op_with("Conv", "x w b", "c", [pads]).op("Add", "c r", "s").op("Relu", "s", "y").output("y")
    }

    fn answer(&self, x: &[f32], weights: &[f32], bias: &[f32], residual: &[f32]) -> Vec<f64> {
        let ([_, c, h, w], _, [_, out, rows, columns]) = self.extents();
        let value = |(at, residual): (usize, &f32)| {
            let (row, column, channel) = (at / columns % rows, at % columns, at / columns / rows % out);
            let mut sum = f64::from(bias[channel]) + f64::from(*residual);
            for tap in 0..9 * c {
                let (inner, i, j) = (tap / 9, tap / 3 % 3, tap % 3);
                let place = ((row + i).checked_sub(self.pads[0]), (column + j).checked_sub(self.pads[1]));
                if let (Some(row), Some(column)) = place
                    && row < h
                    && column < w
                {
                    let plane = at / columns / rows / out * c + inner;
                    sum += f64::from(x[(plane * h + row) * w + column]) * f64::from(weights[channel * 9 * c + tap]);
                }
            }
            sum.max(0.0)
        };
        residual.iter().enumerate().map(value).collect()
    }

    fn inputs(&self) -> (Vec<f32>, Vec<f32>, Vec<f32>, Vec<f32>) {
        let (x, w, y) = self.extents();
        let drawn = |extents: [usize; 4], seed| numbers(extents.iter().product(), seed);
        (drawn(x, 1), drawn(w, 2), numbers(w[0], 3), drawn(y, 4))
    }

    fn close(&self, found: &Tensor, expected: &[f64], what: &str) {
        let found = found.to_vec::<f32>().unwrap();
        assert_eq!(found.len(), expected.len(), "{what}");
        let room = 2e-6 * (9 * self.sizes[1]) as f64;
        for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert!((f64::from(*found) - expected).abs() <= room, "{what} at {at}: {found} for {expected}");
        }
    }
}

#[test]
fn pixels_are_those_of_the_definition() {
    for choice in Family::ALL.map(|family| Choice { winograd: true, ..Choice::of(family) }) {
        let Some(gpu) = Lavapipe::with(choice) else { return };
        for scene in &SCENES {
            let ((x, w, bias, residual), (x_extents, _, y_extents)) = (scene.inputs(), scene.extents());
            let inputs = [floats(&x_extents, &x), floats(&y_extents, &residual)];
            let found = gpu.run(scene.sketch(&w, &bias), &inputs).unwrap();
            let expected = scene.answer(&x, &w, &bias, &residual);
            scene.close(&found[0], &expected, &format!("{:?}, {choice}", scene.sizes));
        }
    }
}

#[tokio::test]
async fn so_are_they_on_another_driver() {
    let choice = Choice { winograd: true, ..Choice::of(Family::Apart) };
    let Some(gpu) = open_with("SwiftShader", choice).await else { return };
    let scene = &SCENES[1];
    let ((x, w, bias, residual), (x_extents, _, y_extents)) = (scene.inputs(), scene.extents());
    let program = gpu.load(&scene.sketch(&w, &bias).graph()).await.unwrap();
    let inputs = vec![floats(&x_extents, &x), floats(&y_extents, &residual)];
    let outputs = program.run(inputs, Instant::now() + Duration::from_secs(60)).await.unwrap();
    let found = gpu.download(&outputs[0]).await.unwrap();
    scene.close(&found, &scene.answer(&x, &w, &bias, &residual), "SwiftShader");
}

/// Kernels that a convolution of these weights, stride and groups is lowered to.
fn shaders(winograd: bool, w: [usize; 4], strides: i64, groups: i64) -> Vec<Shader> {
    let choice = Choice { winograd, ..Choice::of(Family::Apart) };
    let mut planner = Planner::new(17, Target::new(choice, wgpu::Features::empty()), Default::default());
    let spec = Spec::new(Element::Fp32, [1, 128, 12, 12]).unwrap();
    let storage = planner.input(spec.clone());
    planner.give("x", spec, storage);
    let x = planner.value("x").unwrap();
    let weights = Value::Known(floats(&w, &vec![0.5; w.iter().product()]));
    let attributes =
        vec![("strides".into(), Attribute::Ints(vec![strides; 2])), ("group".into(), Attribute::Int(groups))];
    planner.apply("Conv", attributes, vec![x, weights]).unwrap();
    planner.draft.steps.iter().filter_map(Step::dispatch).map(|dispatch| dispatch.kernel.shader).collect()
}

#[test]
fn only_convolutions_that_it_fits_go_this_way() {
    let goes = |shaders: Vec<Shader>| shaders.contains(&Shader::WinogradTiles);
    assert!(goes(shaders(true, [128, 128, 3, 3], 1, 1)));
    assert!(!goes(shaders(false, [128, 128, 3, 3], 1, 1)), "not chosen");
    assert!(!goes(shaders(true, [128, 128, 5, 5], 1, 1)), "another kernel");
    assert!(!goes(shaders(true, [128, 128, 3, 3], 2, 1)), "another stride");
    assert!(!goes(shaders(true, [128, 64, 3, 3], 1, 2)), "groups");
    assert!(!goes(shaders(true, [96, 128, 3, 3], 1, 1)), "few channels");
}
