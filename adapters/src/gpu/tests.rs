//! The shaders without a GPU, and the conformance suite on the drivers that compute on the CPU.

mod attention;
mod compact;
mod doubt;
mod edges;
mod element;
mod elementary;
mod faults;
mod fuse;
mod halves;
mod hostile;
mod lacking;
mod lavapipe;
mod leftovers;
mod linear_attention;
mod long;
mod mutated;
mod pattern;
mod products;
mod quantised;
mod random;
mod rank;
mod recurrent;
mod regions;
mod rounds;
mod rows;
mod scatter;
mod shapes;
mod signal;
mod slices;
mod spatial;
mod stored;
mod suppress;
mod tall;
mod tuning;
mod winograd;

use super::{
    Choice, GpuAccelerator, Options, Wanted,
    family::Family,
    halving::{Halves, Halving},
    kernels::{Lane, Shader},
    lane::Reach,
};
use crate::{
    conformance::{self, Case, Run, Sketch},
    cpu,
};
use burst_host::{
    nouns::{
        Attribute, Colour, ColourSpace, Element, Fault, Fit, Frame, Layout, Matrix, PixelFormat, Port, Range,
        Rectangle, Tensor, View,
    },
    ports::Accelerator,
};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

#[test]
fn every_shader_is_valid() {
    let lanes = Shader::ALL.iter().flat_map(|shader| Lane::ALL.map(|lane| shader.in_lane(lane)));
    let shaders = lanes.flat_map(|shader| Halves::ALL.map(|halves| shader.of_halves(halves)));
    let every = |shader: Shader| {
        let ways = Family::ALL.into_iter().flat_map(|family| Halving::ALL.map(|halving| (family, halving)));
        let ways = ways.flat_map(|(family, halving)| [Reach::NONE, Reach::ALL].map(|reach| (family, halving, reach)));
        ways.map(move |(family, halving, reach)| (shader, shader.source(family, halving, reach)))
    };
    for (shader, source) in shaders.collect::<HashSet<_>>().into_iter().flat_map(every).collect::<HashSet<_>>() {
        let module = naga::front::wgsl::parse_str(&source)
            .unwrap_or_else(|error| panic!("{shader:?}: {}", error.emit_to_string(&source)));
        let mut validator = naga::valid::Validator::new(
            naga::valid::ValidationFlags::all(),
            naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32
                | naga::valid::Capabilities::SUBGROUP
                | naga::valid::Capabilities::FLOAT64
                | naga::valid::Capabilities::SHADER_INT64
                | naga::valid::Capabilities::SHADER_FLOAT16
                | naga::valid::Capabilities::COOPERATIVE_MATRIX,
        );
        validator.validate(&module).unwrap_or_else(|error| panic!("{shader:?}: {}", error.emit_to_string(&source)));
    }
}

/// Numbers from -1 to 1, the same each time.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761);
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

/// A driver by its name; `None` where it is not installed and need not be.
async fn open(name: &str) -> Option<GpuAccelerator> {
    open_as(name, None).await
}

/// The same with certain kernels.
async fn open_with(name: &str, kernels: Choice) -> Option<GpuAccelerator> {
    open_as(name, Some(kernels)).await
}

async fn open_as(name: &str, kernels: Option<Choice>) -> Option<GpuAccelerator> {
    let options = Options { kernels, ..Options::default() };
    match GpuAccelerator::open_with(&Wanted::Named(name.into()), options).await {
        Ok(accelerator) => Some(accelerator),
        Err(fault) => {
            assert!(std::env::var_os("CI").is_none(), "CI has no {name}: {fault}");
            eprintln!("skipped: {fault}");
            None
        }
    }
}

/// A graph on these inputs.
async fn compute(gpu: &GpuAccelerator, sketch: Sketch, inputs: &[Tensor]) -> Result<Vec<Tensor>, Fault> {
    let program = gpu.load(&sketch.graph()).await?;
    let mut outputs = Vec::new();
    for output in program.run(inputs.to_vec(), Instant::now() + Duration::from_secs(60)).await? {
        outputs.push(gpu.download(&output).await?);
    }
    Ok(outputs)
}

#[tokio::test]
async fn lavapipe_conforms() {
    for family in Family::ALL {
        if let Some(accelerator) = open_with("llvmpipe", Choice::of(family)).await {
            conformance::check(&accelerator).await;
        }
    }
}

#[tokio::test]
async fn hostile_graphs_are_refused_by_their_cost() {
    if let Some(accelerator) = open("llvmpipe").await {
        conformance::check_budget(accelerator).await;
    }
}

#[tokio::test]
async fn swiftshader_conforms() {
    for family in [Family::Apart, Family::Shared] {
        if let Some(accelerator) = open_with("SwiftShader", Choice::of(family)).await {
            conformance::check(&accelerator).await;
        }
    }
}

/// One operator of an opset on lavapipe; inputs that are named `c…` are constants.
async fn check(
    what: &str,
    kind: &str,
    opset: i64,
    attributes: &[(&str, Attribute)],
    inputs: &[(&str, Tensor)],
    expected: &[Tensor],
) {
    let Some(accelerator) = open("llvmpipe").await else { return };
    let mut sketch = Sketch::new(what);
    for (name, tensor) in inputs {
        let extents: Vec<_> = tensor.spec().shape.extents().iter().map(ToString::to_string).collect();
        sketch = match name.starts_with('c') {
            true => sketch.constant(name, tensor.clone()),
            false => sketch.input(name, tensor.spec().element, &extents.join(" ")),
        };
    }
    let names: Vec<_> = inputs.iter().map(|(name, _)| *name).collect();
    let outputs: Vec<_> = (0..expected.len()).map(|index| format!("y{index}")).collect();
    let mut graph = sketch.op(kind, &names.join(" "), &outputs.join(" ")).graph();
    graph.opsets[0].version = opset;
    graph.ops[0].attributes = attributes.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
    let port = |name: &String| Port { name: name.clone(), element: None, shape: None, optional: false };
    graph.outputs = outputs.iter().map(port).collect();
    let given = inputs.iter().filter(|(name, _)| !name.starts_with('c')).map(|(_, tensor)| tensor.clone());
    let runs = vec![Run { inputs: given.collect(), expected: expected.to_vec() }];
    conformance::check_case(&accelerator, &Case { name: what.into(), graph, runs }).await;
}

fn floats(extents: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_slice(Element::Fp32, extents, values).unwrap()
}

fn longs(values: &[i64]) -> Attribute {
    Attribute::Ints(values.into())
}

/// Every format, colour space, fit, crop, layout, colour and element, beside the CPU's view.
#[tokio::test]
async fn views_equal_those_of_the_cpu() {
    let Some(accelerator) = open("llvmpipe").await else { return };
    for format in [PixelFormat::Nv12, PixelFormat::I420, PixelFormat::Rgb8, PixelFormat::Grey8] {
        for matrix in [Matrix::Bt601, Matrix::Bt709] {
            for range in [Range::Limited, Range::Full] {
                let frame = Frame { colour: ColourSpace { matrix, range }, ..frame(format) };
                for view in views() {
                    let found = accelerator.view(&frame, &view).await.unwrap();
                    let found = accelerator.download(&found).await.unwrap();
                    let what = format!("{format:?} {matrix:?} {range:?} {view:?}");
                    close(&found, &cpu::view::view(&frame, &view).unwrap(), &what);
                }
            }
        }
    }
}

/// Of two sizes: words hold parts of several planes in the one, none of several in the other.
fn views() -> Vec<View> {
    let crops = [None, Some(Rectangle { left: 3, top: 5, width: 29, height: 17 })];
    let (scale, bias) = ([0.5, 1.0, 0.25], [1.0, -3.0, 0.0]);
    let mut views = Vec::new();
    for (crop, (width, height)) in crops.into_iter().zip([(31, 22), (24, 20)]) {
        for fit in [Fit::Letterbox, Fit::Stretch] {
            for layout in [Layout::Nchw, Layout::Nhwc] {
                for colour in [Colour::Rgb, Colour::Bgr, Colour::Grey] {
                    for element in [Element::Fp32, Element::Fp16, Element::U8] {
                        views.push(View { crop, width, height, fit, layout, colour, element, scale, bias });
                    }
                }
            }
        }
    }
    views
}

fn frame(format: PixelFormat) -> Frame {
    let (width, height) = (41, 27);
    let bytes = format.bytes(width, height).unwrap() as u32;
    let pixels: Vec<u8> = (0..bytes).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (colour, received) = (ColourSpace::default(), Instant::now());
    let pixels = pixels.into();
    Frame { camera: "test".into(), sequence: 0, captured_ns: 0, received, width, height, format, colour, pixels }
}

/// Floats nearly, bytes but for a rounding at the edge.
fn close(found: &Tensor, expected: &Tensor, what: &str) {
    if expected.spec().element != Element::U8 {
        return conformance::assert_close(what, found, expected);
    }
    assert_eq!(found.spec(), expected.spec(), "{what}");
    let pairs = found.contents().unwrap().iter().zip(expected.contents().unwrap());
    let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst <= Some(1), "{what}: off by {worst:?}");
}
