//! The view against a slow one that follows its definition, pixel by pixel in f64.

use super::{placement, view};
use burst_host::nouns::{
    Colour, ColourSpace, Element, Fault, Fit, Frame, Layout, Matrix, PixelFormat, Range, Rectangle, View,
};
use half::f16;
use proptest::{
    prelude::{Just, Strategy, any},
    prop_assert, prop_oneof, proptest,
    sample::select,
    test_runner::TestCaseError,
};
use std::time::Instant;

fn frame(width: u32, height: u32, format: PixelFormat, colour: ColourSpace, pixels: Vec<u8>) -> Frame {
    let pixels = pixels.into();
    let received = Instant::now();
    Frame { camera: "test".into(), sequence: 0, captured_ns: 0, received, width, height, format, colour, pixels }
}

fn noise(bytes: usize, seed: u32) -> Vec<u8> {
    let mix = |index: u32| (index.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 13) as u8;
    (0..bytes as u32).map(mix).collect()
}

fn plain(width: u32, height: u32) -> View {
    View {
        crop: None,
        width,
        height,
        fit: Fit::Stretch,
        layout: Layout::Nhwc,
        colour: Colour::Rgb,
        element: Element::U8,
        scale: [1.0; 3],
        bias: [0.0; 3],
    }
}

/// A sample of one component of the frame; `x` and `y` count samples of that component.
fn sample(frame: &Frame, component: usize, x: usize, y: usize) -> f64 {
    let (width, height) = (frame.width as usize, frame.height as usize);
    let (half, luma) = (width.div_ceil(2), width * height);
    let at = match (frame.format, component) {
        (PixelFormat::Rgb8, _) => (y * width + x) * 3 + component,
        (_, 0) => y * width + x,
        (PixelFormat::Nv12, _) => luma + (y * half + x) * 2 + component - 1,
        (_, _) => luma + (component - 1) * half * height.div_ceil(2) + y * half + x,
    };
    f64::from(frame.pixels[at])
}

/// Bilinear at the pixel position `(x, y)`, where the middle of the first pixel is 0.5.
fn bilinear(frame: &Frame, component: usize, crop: Rectangle, x: f64, y: f64) -> f64 {
    let yuv = matches!(frame.format, PixelFormat::Nv12 | PixelFormat::I420);
    let shared = if yuv && component > 0 { 2 } else { 1 };
    let axis = |place: f64, start: u32, extent: u32| {
        let (first, last) = (start / shared, (start + extent - 1) / shared);
        let place = (place / f64::from(shared) - 0.5).clamp(first.into(), last.into());
        let near = place.floor();
        (near as usize, (near as usize + 1).min(last as usize), place - near)
    };
    let (left, right, across) = axis(x, crop.left, crop.width);
    let (top, bottom, down) = axis(y, crop.top, crop.height);
    let row = |y| sample(frame, component, left, y) * (1.0 - across) + sample(frame, component, right, y) * across;
    row(top) * (1.0 - down) + row(bottom) * down
}

fn rgb(frame: &Frame, crop: Rectangle, x: f64, y: f64) -> [f64; 3] {
    let at = |component| bilinear(frame, component, crop, x, y);
    if frame.format == PixelFormat::Rgb8 {
        return [at(0), at(1), at(2)];
    }
    let (luma, cb, cr) = match (frame.format, frame.colour.range) {
        (PixelFormat::Grey8, _) => (at(0), 0.0, 0.0),
        (_, Range::Full) => (at(0), at(1) - 128.0, at(2) - 128.0),
        (_, Range::Limited) => {
            ((at(0) - 16.0) / 219.0 * 255.0, (at(1) - 128.0) / 224.0 * 255.0, (at(2) - 128.0) / 224.0 * 255.0)
        }
    };
    let (kr, kb) = match frame.colour.matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
    };
    let (red, blue) = (luma + 2.0 * (1.0 - kr) * cr, luma + 2.0 * (1.0 - kb) * cb);
    [red, (luma - kr * red - kb * blue) / (1.0 - kr - kb), blue].map(|value| value.clamp(0.0, 255.0))
}

fn grey(frame: &Frame, crop: Rectangle, x: f64, y: f64) -> f64 {
    match (frame.format, frame.colour.range) {
        (PixelFormat::Rgb8, _) => {
            let [red, green, blue] = rgb(frame, crop, x, y);
            0.299 * red + 0.587 * green + 0.114 * blue
        }
        (PixelFormat::Grey8, _) | (_, Range::Full) => bilinear(frame, 0, crop, x, y),
        (_, Range::Limited) => ((bilinear(frame, 0, crop, x, y) - 16.0) / 219.0 * 255.0).clamp(0.0, 255.0),
    }
}

/// Every value of the view, before it becomes an element, in the order of its layout.
fn reference(frame: &Frame, view: &View) -> Vec<f64> {
    let crop = view.crop.unwrap_or(Rectangle { left: 0, top: 0, width: frame.width, height: frame.height });
    let placed = placement(view, crop);
    let value = |channel: usize, x: u32, y: u32| {
        let inside = (placed.left..placed.left + placed.width).contains(&x)
            && (placed.top..placed.top + placed.height).contains(&y);
        let along = |at: u32, start: u32, placed: u32, extent: u32| {
            (f64::from(at - start) + 0.5) * f64::from(extent) / f64::from(placed)
        };
        let pixel = if inside {
            let x = f64::from(crop.left) + along(x, placed.left, placed.width, crop.width);
            let y = f64::from(crop.top) + along(y, placed.top, placed.height, crop.height);
            match view.colour {
                Colour::Rgb => rgb(frame, crop, x, y)[channel],
                Colour::Bgr => rgb(frame, crop, x, y)[2 - channel],
                Colour::Grey => grey(frame, crop, x, y),
            }
        } else {
            114.0
        };
        pixel * f64::from(view.scale[channel]) + f64::from(view.bias[channel])
    };
    let channels = view.colour.channels();
    let mut values = Vec::new();
    match view.layout {
        Layout::Nchw => {
            for channel in 0..channels {
                for y in 0..view.height {
                    values.extend((0..view.width).map(|x| value(channel, x, y)));
                }
            }
        }
        Layout::Nhwc => {
            for y in 0..view.height {
                for x in 0..view.width {
                    values.extend((0..channels).map(|channel| value(channel, x, y)));
                }
            }
        }
    }
    values
}

/// Every value is what the reference says, within what its element can hold.
fn check(frame: &Frame, wanted: &View) -> Result<(), TestCaseError> {
    let tensor = view(frame, wanted).unwrap();
    assert_eq!(tensor.spec(), &wanted.spec().unwrap());
    let found: Vec<f64> = match wanted.element {
        Element::Fp32 => tensor.to_vec::<f32>().unwrap().into_iter().map(f64::from).collect(),
        Element::Fp16 => tensor.to_vec::<f16>().unwrap().into_iter().map(f64::from).collect(),
        _ => tensor.to_vec::<u8>().unwrap().into_iter().map(f64::from).collect(),
    };
    let expected = reference(frame, wanted);
    assert_eq!(found.len(), expected.len());
    let scale =
        wanted.scale.iter().chain(&wanted.bias).fold(1e-3, |most: f64, &value| most.max(f64::from(value.abs())));
    for (index, (&found, &expected)) in found.iter().zip(&expected).enumerate() {
        let (expected, tolerance) = match wanted.element {
            Element::Fp32 => (expected, 1e-3 * scale),
            Element::Fp16 => (expected, 1e-3 * scale + 1e-3 * expected.abs()),
            _ => (expected.clamp(0.0, 255.0), 0.5 + 1e-3 * scale),
        };
        prop_assert!(
            (found - expected).abs() <= tolerance,
            "value {index}: {found}, not {expected}, {frame:?} {wanted:?}"
        );
    }
    Ok(())
}

fn frames() -> impl Strategy<Value = Frame> {
    let formats = select(vec![PixelFormat::Nv12, PixelFormat::I420, PixelFormat::Rgb8, PixelFormat::Grey8]);
    let matrix = select(vec![Matrix::Bt601, Matrix::Bt709]);
    let range = select(vec![Range::Limited, Range::Full]);
    (1..40u32, 1..40u32, formats, matrix, range, any::<u32>()).prop_map(
        |(width, height, format, matrix, range, seed)| {
            let pixels = noise(format.bytes(width, height).unwrap(), seed);
            frame(width, height, format, ColourSpace { matrix, range }, pixels)
        },
    )
}

fn crops(width: u32, height: u32) -> impl Strategy<Value = Option<Rectangle>> {
    let crop = (0..width, 0..height).prop_flat_map(move |(left, top)| {
        (1..=width - left, 1..=height - top)
            .prop_map(move |(width, height)| Some(Rectangle { left, top, width, height }))
    });
    prop_oneof![Just(None), crop]
}

fn views(frame: Frame) -> impl Strategy<Value = (Frame, View)> {
    let number = || select(vec![1.0f32, 1.0 / 255.0, -0.5, 0.0, 2.0]);
    (
        crops(frame.width, frame.height),
        (1..40u32, 1..40u32),
        select(vec![Fit::Stretch, Fit::Letterbox]),
        select(vec![Layout::Nchw, Layout::Nhwc]),
        select(vec![Colour::Rgb, Colour::Bgr, Colour::Grey]),
        select(vec![Element::Fp32, Element::Fp16, Element::U8]),
        [number(), number(), number()],
        [number(), number(), number()],
    )
        .prop_map(move |(crop, (width, height), fit, layout, colour, element, scale, bias)| {
            (frame.clone(), View { crop, width, height, fit, layout, colour, element, scale, bias })
        })
}

proptest! {
    #[test]
    fn follows_its_definition((frame, view) in frames().prop_flat_map(views)) {
        check(&frame, &view)?;
    }
}

#[test]
fn pixels_that_need_nothing_stay_as_they_are() {
    let pixels = noise(3 * 5 * 4, 9);
    let frame = frame(5, 4, PixelFormat::Rgb8, ColourSpace::default(), pixels.clone());
    assert_eq!(view(&frame, &plain(5, 4)).unwrap().contents().unwrap(), &pixels);
}

#[test]
fn known_colours() {
    let check = |matrix, range, yuv: [u8; 3], expected: [u8; 3]| {
        let [luma, cb, cr] = yuv;
        let colour = ColourSpace { matrix, range };
        let frame = frame(2, 2, PixelFormat::Nv12, colour, vec![luma, luma, luma, luma, cb, cr]);
        assert_eq!(view(&frame, &plain(1, 1)).unwrap().contents().unwrap()[..], expected);
    };
    use {Matrix::*, Range::*};
    check(Bt601, Limited, [16, 128, 128], [0, 0, 0]);
    check(Bt601, Limited, [235, 128, 128], [255, 255, 255]);
    check(Bt601, Limited, [81, 90, 240], [254, 0, 0]);
    check(Bt709, Limited, [63, 102, 240], [255, 1, 0]);
    check(Bt601, Full, [76, 85, 255], [254, 0, 0]);
    check(Bt709, Full, [255, 128, 128], [255, 255, 255]);
}

#[test]
fn bytes_round_and_saturate() {
    let frame = frame(1, 1, PixelFormat::Grey8, ColourSpace::default(), vec![100]);
    let check = |scale: f32, bias: f32, expected: u8| {
        let view =
            super::view(&frame, &View { colour: Colour::Grey, scale: [scale; 3], bias: [bias; 3], ..plain(1, 1) });
        assert_eq!(view.unwrap().contents().unwrap()[..], [expected]);
    };
    check(1.0, 0.49, 100);
    check(1.0, 0.51, 101);
    check(3.0, 0.0, 255);
    check(-1.0, 0.0, 0);
    check(f32::MAX, f32::MAX, 255);
    check(f32::MIN, 0.0, 0);
}

#[test]
fn letterboxes_lie_as_elsewhere() {
    let check = |(width, height), (wide, high), (left, top, inner_width, inner_height)| {
        let crop = Rectangle { left: 0, top: 0, width, height };
        let placed = placement(&View { fit: Fit::Letterbox, ..plain(wide, high) }, crop);
        assert_eq!(placed, Rectangle { left, top, width: inner_width, height: inner_height });
    };
    check((1920, 1080), (320, 320), (0, 70, 320, 180));
    check((640, 480), (320, 320), (0, 40, 320, 240));
    check((480, 640), (640, 640), (80, 0, 480, 640));
    check((1000, 1), (10, 10), (0, 4, 10, 1));
    check((810, 1080), (640, 640), (80, 0, 480, 640));
    check((7, 3), (11, 11), (0, 3, 11, 5));
}

#[test]
fn bad_views_are_told() {
    let good = frame(4, 3, PixelFormat::Nv12, ColourSpace::default(), vec![0; 20]);
    let check = |frame: &Frame, wanted: View, expected: fn(&Fault) -> bool| {
        let fault = view(frame, &wanted).unwrap_err();
        assert!(expected(&fault), "{fault:?}");
    };
    let invalid = |fault: &Fault| matches!(fault, Fault::Invalid(_));
    let crop = |left, top, width, height| View { crop: Some(Rectangle { left, top, width, height }), ..plain(2, 2) };
    check(&good, crop(0, 0, 5, 3), invalid);
    check(&good, crop(3, 0, 2, 1), invalid);
    check(&good, crop(0, 0, 0, 1), invalid);
    check(&good, crop(u32::MAX, 0, 2, 1), invalid);
    check(&good, crop(1, u32::MAX, 1, u32::MAX), invalid);
    check(&good, plain(0, 2), invalid);
    check(&good, plain(2, 0), invalid);
    check(&good, View { scale: [f32::NAN, 1.0, 1.0], ..plain(2, 2) }, invalid);
    check(&good, View { bias: [1.0, 1.0, f32::INFINITY], ..plain(2, 2) }, invalid);
    check(&good, View { element: Element::I32, ..plain(2, 2) }, |fault| matches!(fault, Fault::Unsupported(_)));
    check(&good, View { element: Element::Bytes, ..plain(2, 2) }, |fault| matches!(fault, Fault::Unsupported(_)));
    check(&good, plain(u32::MAX, u32::MAX), |fault| matches!(fault, Fault::TooLarge(_)));
    check(&good, plain(1 << 16, 1 << 15), |fault| matches!(fault, Fault::TooLarge(_)));
    check(&frame(4, 3, PixelFormat::Nv12, ColourSpace::default(), vec![0; 19]), plain(2, 2), invalid);
    check(&frame(0, 3, PixelFormat::Grey8, ColourSpace::default(), vec![]), plain(2, 2), invalid);
    check(&frame(u32::MAX, u32::MAX, PixelFormat::Rgb8, ColourSpace::default(), vec![0]), plain(2, 2), invalid);
}
