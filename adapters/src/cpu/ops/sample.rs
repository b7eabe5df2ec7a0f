//! Cubic sampling whose places beyond the border take what is at it, each on its own: tract moves them there all together.

use super::{
    Built,
    around::around,
    kernel::{Kernel, Native},
    standard,
};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_hir::{internal::*, tract_core::ops::cast::wire_cast},
};

pub(super) fn grid_sample(context: &ParsingContext, node: &NodeProto) -> Built {
    let text =
        |name, default: &'static str| Ok(node.get_attr_opt::<&str>(name)?.unwrap_or(default)) as TractResult<&str>;
    let cubic = ["bicubic", "cubic"].contains(&text("mode", "linear")?);
    if !cubic || text("padding_mode", "zeros")? != "border" {
        return standard(context, node);
    }
    if node.get_attr_opt::<i64>("align_corners")?.unwrap_or(0) != 0 {
        around(context, node, |_, prefix, model, inputs| sampled(prefix, model, inputs, true))
    } else {
        around(context, node, |_, prefix, model, inputs| sampled(prefix, model, inputs, false))
    }
}

fn sampled(prefix: &str, model: &mut TypedModel, inputs: &[OutletId], corners: bool) -> TractResult<TVec<OutletId>> {
    let of = model.outlet_fact(inputs[0])?.datum_type;
    let wide = wire_cast(format!("{prefix}.wide"), model, inputs, DatumType::F64)?;
    let found = model.wire_node(format!("{prefix}.sampled"), Native(Cubic { corners }), &wide)?;
    wire_cast(prefix, model, &found, of)
}

/// An image `[batch, channels, height, width]` at places `[batch, height, width, (x, y)]`, both in FP64.
#[derive(Clone, Debug, PartialEq)]
struct Cubic {
    /// Whether -1 and 1 are the middles of the outermost pixels.
    corners: bool,
}

impl Kernel for Cubic {
    fn name(&self) -> &'static str {
        "GridSampleCubic"
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        ensure!(inputs[0].rank() == 4 && inputs[1].rank() == 4, "cubic sampling of images alone");
        let (image, grid) = (&inputs[0].shape, &inputs[1].shape);
        let shape = [image[0].clone(), image[1].clone(), grid[1].clone(), grid[2].clone()];
        Ok(tvec!(DatumType::F64.fact(shape)))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (image, grid) = args_2!(inputs);
        let &[batch, channels, height, width] = image.shape() else { bail!("no image") };
        let [rows, columns] = [grid.shape()[1], grid.shape()[2]];
        let (image, grid) = (image.try_as_plain_ram()?, grid.try_as_plain_ram()?);
        let (image, grid) = (image.as_slice::<f64>()?, grid.as_slice::<f64>()?);
        let mut found = Vec::with_capacity(batch * channels * rows * columns);
        for plane in 0..batch * channels {
            let pixels = &image[plane * height * width..][..height * width];
            for place in 0..rows * columns {
                let at = (plane / channels * rows * columns + place) * 2;
                found.push(self.sample(pixels, height, width, grid[at], grid[at + 1]));
            }
        }
        Ok(tvec!(Tensor::from_shape(&[batch, channels, rows, columns], &found)?.into_tvalue()))
    }
}

impl Cubic {
    fn sample(&self, pixels: &[f64], height: usize, width: usize, x: f64, y: f64) -> f64 {
        let ((left, across), (top, down)) = (self.taps(x, width), self.taps(y, height));
        let clamped = |place: f64, extent: usize| place.clamp(0.0, extent.saturating_sub(1) as f64) as usize;
        let mut sum = 0.0;
        for (row, weight) in down.iter().enumerate() {
            let row = clamped(top + row as f64, height) * width;
            for (column, other) in across.iter().enumerate() {
                sum += weight * other * pixels[row + clamped(left + column as f64, width)];
            }
        }
        sum
    }

    /// The first of four pixels along an axis, and their weights.
    fn taps(&self, place: f64, extent: usize) -> (f64, [f64; 4]) {
        let extent = extent as f64;
        let at = if self.corners { (place + 1.0) / 2.0 * (extent - 1.0) } else { ((place + 1.0) * extent - 1.0) / 2.0 };
        let rest = at - at.floor();
        (at.floor() - 1.0, [1.0 + rest, rest, 1.0 - rest, 2.0 - rest].map(weight))
    }
}

/// Of a pixel so far away: cubic convolution with an α of -0.75.
fn weight(far: f64) -> f64 {
    const ALPHA: f64 = -0.75;
    if far <= 1.0 {
        ((ALPHA + 2.0) * far - (ALPHA + 3.0)) * far * far + 1.0
    } else {
        ((ALPHA * far - 5.0 * ALPHA) * far + 8.0 * ALPHA) * far - 4.0 * ALPHA
    }
}
