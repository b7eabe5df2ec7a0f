//! Makes a tensor out of a frame on the CPU: crop, resize, colour, layout, scale and bias in one pass.
//!
//! Bilinear with half-pixel centres, as OpenCV's `INTER_LINEAR` without antialiasing. Luma and chroma are each sampled
//! at their own extent, a chroma sample in the middle of the pixels that it covers; then the colour matrix, cut to
//! 0–255. Knows no threads: the caller says where it runs.

use burst_host::nouns::{
    Colour, ColourSpace, Element, Fault, Fit, Frame, Layout, Matrix, PixelFormat, Range, Rectangle, Tensor, View,
};
use half::f16;

/// The view of a frame, in host memory: `[1, c, h, w]` or `[1, h, w, c]` of fp32, fp16 or u8.
///
/// A `u8` is rounded and cut to 0–255 after scale and bias. Fails with `Invalid` for a crop outside the frame, an
/// extent of 0, a scale or bias that is not finite, or a frame whose pixels do not fit its extent; with `Unsupported`
/// for another element; with `TooLarge` beyond the limits of a tensor.
pub fn view(frame: &Frame, view: &View) -> Result<Tensor, Fault> {
    let spec = view.spec()?;
    let crop = view.crop_within(frame.width, frame.height)?;
    check(frame, view)?;
    let bytes = spec.bytes().ok_or_else(|| unsupported(view.element))?;
    let mut contents = vec![0; bytes];
    let store = match view.element {
        Element::Fp32 => store::<f32>,
        Element::Fp16 => store::<f16>,
        Element::U8 => store::<u8>,
        other => return Err(unsupported(other)),
    };
    let mix = Mix::new(frame.format, frame.colour, view.colour);
    let shown = Shown { planes: planes(frame), crop, placed: placement(view, crop), view };
    match (mix.inputs, view.colour.channels()) {
        (1, 1) => shown.fill::<1, 1>(&mix, store, &mut contents),
        (1, _) => shown.fill::<1, 3>(&mix, store, &mut contents),
        (_, 1) => shown.fill::<3, 1>(&mix, store, &mut contents),
        (_, _) => shown.fill::<3, 3>(&mix, store, &mut contents),
    }
    Tensor::host(spec, contents).map_err(|error| Fault::Invalid(error.to_string()))
}

/// Where in the view a crop comes to lie, in pixels of the view. Rounds as Ultralytics' `LetterBox` does.
pub fn placement(view: &View, crop: Rectangle) -> Rectangle {
    let whole = Rectangle { left: 0, top: 0, width: view.width, height: view.height };
    let (across, down) =
        (f64::from(view.width) / f64::from(crop.width), f64::from(view.height) / f64::from(crop.height));
    let scaled = |extent: u32, limit: u32| {
        ((f64::from(extent) * across.min(down)).round_ties_even() as u32).clamp(1, limit.max(1))
    };
    match view.fit {
        Fit::Stretch => whole,
        Fit::Letterbox => {
            let (width, height) = (scaled(crop.width, view.width), scaled(crop.height, view.height));
            Rectangle { left: (view.width - width) / 2, top: (view.height - height) / 2, width, height }
        }
    }
}

pub(crate) fn check(frame: &Frame, view: &View) -> Result<(), Fault> {
    let expected = frame.format.bytes(frame.width, frame.height);
    if frame.width == 0 || frame.height == 0 || expected != Some(frame.pixels.len()) {
        return Err(Fault::Invalid(format!("the pixels of {frame:?} do not fit its extent")));
    }
    if view.scale.iter().chain(&view.bias).any(|value| !value.is_finite()) {
        return Err(Fault::Invalid("scale and bias are finite numbers".into()));
    }
    Ok(())
}

fn unsupported(element: Element) -> Fault {
    Fault::Unsupported(format!("a view of {element}: fp32, fp16 and u8 are"))
}

/// One component of a frame's pixels: luma, Cb, green, …
#[derive(Clone, Copy)]
pub(crate) struct Plane<'a> {
    /// From the component's first sample.
    pub samples: &'a [u8],
    /// Bytes from one sample to the next.
    pub step: usize,
    /// Bytes from one row to the next.
    pub pitch: usize,
    /// Pixels along each axis that share a sample.
    pub shared: u32,
}

/// The components of a frame, checked to be as long as its extent says; the first alone is luma, or all there is.
pub(crate) fn planes(frame: &Frame) -> [Plane<'_>; 3] {
    let width = frame.width as usize;
    let (chroma_width, luma_bytes) = (width.div_ceil(2), width * frame.height as usize);
    let chroma_bytes = chroma_width * (frame.height as usize).div_ceil(2);
    let plane = |start: usize, step, pitch, shared| Plane { samples: &frame.pixels[start..], step, pitch, shared };
    let luma = plane(0, 1, width, 1);
    match frame.format {
        PixelFormat::Nv12 => {
            [luma, plane(luma_bytes, 2, 2 * chroma_width, 2), plane(luma_bytes + 1, 2, 2 * chroma_width, 2)]
        }
        PixelFormat::I420 => {
            let cr = luma_bytes + chroma_bytes;
            [luma, plane(luma_bytes, 1, chroma_width, 2), plane(cr, 1, chroma_width, 2)]
        }
        PixelFormat::Rgb8 => [0, 1, 2].map(|component| plane(component, 3, 3 * width, 1)),
        PixelFormat::Grey8 => [luma; 3],
    }
}

/// From the components of a frame to the channels of a view: `matrix * components + offset`, cut to 0–255.
pub(crate) struct Mix {
    /// How many components count: 1 or 3.
    pub inputs: usize,
    /// A row per channel.
    pub matrix: [[f32; 3]; 3],
    pub offset: [f32; 3],
}

/// Red, green and blue in luma. Source: ITU-R BT.601-7 and BT.709-6.
const BT601: [f64; 3] = [0.299, 0.587, 0.114];
const BT709: [f64; 3] = [0.2126, 0.7152, 0.0722];

impl Mix {
    pub fn new(format: PixelFormat, space: ColourSpace, colour: Colour) -> Self {
        let mut mix = match (format, colour) {
            (PixelFormat::Nv12 | PixelFormat::I420, Colour::Grey) => Self::luma(space.range),
            (PixelFormat::Nv12 | PixelFormat::I420, _) => Self::chroma(space),
            (PixelFormat::Rgb8, Colour::Grey) => {
                Self { inputs: 3, matrix: [BT601.map(|k| k as f32); 3], offset: [0.0; 3] }
            }
            (PixelFormat::Rgb8, _) => {
                Self { inputs: 3, matrix: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], offset: [0.0; 3] }
            }
            (PixelFormat::Grey8, _) => Self { inputs: 1, matrix: [[1.0, 0.0, 0.0]; 3], offset: [0.0; 3] },
        };
        if colour == Colour::Bgr {
            mix.matrix.reverse();
            mix.offset.reverse();
        }
        mix
    }

    fn luma(range: Range) -> Self {
        let (scale, black) = luma_range(range);
        Self { inputs: 1, matrix: [[scale as f32, 0.0, 0.0]; 3], offset: [(-black * scale) as f32; 3] }
    }

    fn chroma(space: ColourSpace) -> Self {
        let [red, green, blue] = match space.matrix {
            Matrix::Bt601 => BT601,
            Matrix::Bt709 => BT709,
        };
        let (scale, black) = luma_range(space.range);
        let chroma = match space.range {
            Range::Limited => 255.0 / 224.0,
            Range::Full => 1.0,
        };
        let (to_blue, to_red) = (2.0 * (1.0 - blue) * chroma, 2.0 * (1.0 - red) * chroma);
        let rows =
            [[scale, 0.0, to_red], [scale, -to_blue * blue / green, -to_red * red / green], [scale, to_blue, 0.0]];
        let offset = rows.map(|[luma, cb, cr]| (-black * luma - 128.0 * (cb + cr)) as f32);
        Self { inputs: 3, matrix: rows.map(|row| row.map(|k| k as f32)), offset }
    }
}

fn luma_range(range: Range) -> (f64, f64) {
    match range {
        Range::Limited => (255.0 / 219.0, 16.0),
        Range::Full => (1.0, 0.0),
    }
}

/// Where the samples of one axis are taken: at `near` and `far`, `weight` of the way.
pub(crate) struct Taps {
    pub near: Vec<usize>,
    pub far: Vec<usize>,
    pub weight: Vec<f32>,
}

impl Taps {
    /// Spreads `count` samples over the pixels `start..start + extent`; indices are multiplied by `step`.
    pub fn new(start: u32, extent: u32, count: u32, shared: u32, step: usize) -> Self {
        let (first, last) = (start / shared, (start + extent - 1) / shared);
        let scale = f64::from(extent) / f64::from(count);
        let mut taps = Self { near: Vec::new(), far: Vec::new(), weight: Vec::new() };
        for index in 0..count {
            let pixel = f64::from(start) + (f64::from(index) + 0.5) * scale;
            let sample = (pixel / f64::from(shared) - 0.5).clamp(f64::from(first), f64::from(last));
            let near = sample as u32;
            taps.near.push(near as usize * step);
            taps.far.push((near + 1).min(last) as usize * step);
            taps.weight.push((sample - f64::from(near)) as f32);
        }
        taps
    }
}

/// One component on its way into the view, row by row.
struct Sampler<'a> {
    plane: Plane<'a>,
    across: Taps,
    down: Taps,
    /// Source rows, already resampled across: an enlarged view needs each of them many times.
    rows: [Row; 2],
}

#[derive(Default)]
struct Row {
    /// Byte offset of the source row.
    source: Option<usize>,
    values: Vec<f32>,
}

impl<'a> Sampler<'a> {
    fn new(plane: Plane<'a>, crop: Rectangle, placed: Rectangle) -> Self {
        let across = Taps::new(crop.left, crop.width, placed.width, plane.shared, plane.step);
        let down = Taps::new(crop.top, crop.height, placed.height, plane.shared, plane.pitch);
        let row = || Row { source: None, values: vec![0.0; placed.width as usize] };
        Self { plane, across, down, rows: [row(), row()] }
    }

    /// Makes the two source rows of row `y` of the view ready; the weight of the second.
    fn advance(&mut self, y: usize) -> f32 {
        let (near, far) = (self.down.near[y], self.down.far[y]);
        if self.rows[0].source != Some(near) {
            self.rows.swap(0, 1);
        }
        for (row, source) in self.rows.iter_mut().zip([near, far]) {
            if row.source != Some(source) {
                resample(&self.plane.samples[source..], &self.across, &mut row.values);
                row.source = Some(source);
            }
        }
        self.down.weight[y]
    }
}

fn resample(samples: &[u8], taps: &Taps, values: &mut [f32]) {
    let places = taps.near.iter().zip(&taps.far).zip(&taps.weight);
    for (value, ((&near, &far), &weight)) in values.iter_mut().zip(places) {
        let (near, far) = (f32::from(samples[near]), f32::from(samples[far]));
        *value = near + (far - near) * weight;
    }
}

/// A crop, and where in the view it comes to lie.
struct Shown<'a> {
    planes: [Plane<'a>; 3],
    crop: Rectangle,
    placed: Rectangle,
    view: &'a View,
}

impl Shown<'_> {
    /// Computes every row of `contents` once, the border of a letterbox included.
    fn fill<const IN: usize, const OUT: usize>(&self, mix: &Mix, store: Store, contents: &mut [u8]) {
        let Rectangle { left, top, width, height } = self.placed;
        let [left, top, width, height] = [left, top, width, height].map(|extent| extent as usize);
        let inside = left..left + width;
        let mut samplers: [_; IN] =
            std::array::from_fn(|index| Sampler::new(self.planes[index], self.crop, self.placed));
        let border: [Vec<f32>; OUT] = std::array::from_fn(|channel| self.border(channel));
        let mut rows = border.clone();
        for y in 0..self.view.height as usize {
            let Some(placed) = y.checked_sub(top).filter(|&placed| placed < height) else {
                store(&border.each_ref().map(Vec::as_slice), self.view, y, contents);
                continue;
            };
            let weights = samplers.each_mut().map(|sampler| sampler.advance(placed));
            let sources = samplers.each_ref().map(|sampler| sampler.rows.each_ref().map(|row| row.values.as_slice()));
            for (channel, row) in rows.iter_mut().enumerate() {
                let (scale, bias) = (self.view.scale[channel], self.view.bias[channel]);
                let blend = Blend { matrix: mix.matrix[channel], offset: mix.offset[channel], scale, bias };
                blend.row(sources, weights, &mut row[inside.clone()]);
            }
            store(&rows.each_ref().map(Vec::as_slice), self.view, y, contents);
        }
    }

    fn border(&self, channel: usize) -> Vec<f32> {
        vec![View::FILL * self.view.scale[channel] + self.view.bias[channel]; self.view.width as usize]
    }
}

/// One channel's arithmetic.
struct Blend {
    matrix: [f32; 3],
    offset: f32,
    scale: f32,
    bias: f32,
}

impl Blend {
    fn row<const IN: usize>(&self, sources: [[&[f32]; 2]; IN], weights: [f32; IN], values: &mut [f32]) {
        // Cut to one length here, so that the loop has no bounds to check.
        let sources = sources.map(|pair| pair.map(|row| &row[..values.len()]));
        for (x, value) in values.iter_mut().enumerate() {
            let mut mixed = self.offset;
            for component in 0..IN {
                let [near, far] = sources[component].map(|row| row[x]);
                mixed += self.matrix[component] * (near + (far - near) * weights[component]);
            }
            *value = mixed.clamp(0.0, 255.0) * self.scale + self.bias;
        }
    }
}

/// Writes row `y` of every channel where the layout wants it.
type Store = fn(&[&[f32]], &View, usize, &mut [u8]);

fn store<T: Sample>(rows: &[&[f32]], view: &View, y: usize, contents: &mut [u8]) {
    let (width, height) = (view.width as usize, view.height as usize);
    for (channel, row) in rows.iter().enumerate() {
        match view.layout {
            Layout::Nchw => {
                let start = (channel * height + y) * width * T::BYTES;
                let places = contents[start..start + width * T::BYTES].chunks_exact_mut(T::BYTES);
                places.zip(*row).for_each(|(place, &value)| T::put(value, place));
            }
            Layout::Nhwc => {
                let pixel = rows.len() * T::BYTES;
                let pixels = contents[y * width * pixel..(y + 1) * width * pixel].chunks_exact_mut(pixel);
                let places = pixels.map(|pixel| &mut pixel[channel * T::BYTES..(channel + 1) * T::BYTES]);
                places.zip(*row).for_each(|(place, &value)| T::put(value, place));
            }
        }
    }
}

/// An element type that a view can have.
trait Sample {
    const BYTES: usize;
    /// Writes a value, little-endian, to a place of `BYTES`.
    fn put(value: f32, place: &mut [u8]);
}

impl Sample for f32 {
    const BYTES: usize = 4;
    fn put(value: f32, place: &mut [u8]) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

impl Sample for f16 {
    const BYTES: usize = 2;
    fn put(value: f32, place: &mut [u8]) {
        place.copy_from_slice(&f16::from_f32(value).to_le_bytes());
    }
}

impl Sample for u8 {
    const BYTES: usize = 1;
    fn put(value: f32, place: &mut [u8]) {
        // The cast saturates.
        place[0] = (value + 0.5) as u8;
    }
}

#[cfg(test)]
mod tests;
