//! `RoiAlign`: regions of images, each cut into the same number of bins.

use super::{
    Built, built,
    kernel::{Kernel, Native},
};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_hir::{internal::*, tract_core::ops::cast::wire_cast},
};

pub(super) fn roi_align(context: &ParsingContext, node: &NodeProto) -> Built {
    let default = if context.onnx_operator_set_version < 16 { "output_half_pixel" } else { "half_pixel" };
    let place = node.get_attr_opt::<&str>("coordinate_transformation_mode")?.unwrap_or(default);
    built(RoiAlign {
        bins: [node.get_attr_opt("output_height")?.unwrap_or(1), node.get_attr_opt("output_width")?.unwrap_or(1)],
        samples: node.get_attr_opt("sampling_ratio")?.unwrap_or(0),
        scale: node.get_attr_opt("spatial_scale")?.unwrap_or(1.0),
        half: place == "half_pixel",
        largest: node.get_attr_opt::<&str>("mode")?.unwrap_or("avg") == "max",
    })
}

/// Inputs are images, the regions' corners and which image each is of.
#[derive(Clone, Debug, PartialEq)]
struct RoiAlign {
    bins: [usize; 2],
    /// Along each axis of a bin; 0 for as many as it has pixels.
    samples: usize,
    scale: f32,
    /// Whether pixels are shifted by a half, and regions may be smaller than one.
    half: bool,
    /// The largest of a bin's samples instead of their mean.
    largest: bool,
}

impl Expansion for RoiAlign {
    fn name(&self) -> StaticName {
        "RoiAlign".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 3)?;
        check_output_arity(outputs, 1)?;
        s.equals(&outputs[0].datum_type, &inputs[0].datum_type)?;
        s.equals(&outputs[0].rank, 4)?;
        s.equals(&outputs[0].shape[0], &inputs[1].shape[0])?;
        s.equals(&outputs[0].shape[1], &inputs[0].shape[1])?;
        s.equals(&outputs[0].shape[2], self.bins[0].to_dim())?;
        s.equals(&outputs[0].shape[3], self.bins[1].to_dim())
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let of = model.outlet_fact(inputs[0])?.datum_type;
        let mut wide = wire_cast(format!("{prefix}.wide"), model, &inputs[..2], DatumType::F32)?;
        wide.extend(wire_cast(format!("{prefix}.long"), model, &inputs[2..3], DatumType::I64)?);
        let found = model.wire_node(format!("{prefix}.regions"), Native(self.clone()), &wide)?;
        wire_cast(prefix, model, &found, of)
    }
}

impl Kernel for RoiAlign {
    fn name(&self) -> &'static str {
        "RoiAlign"
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        ensure!(inputs[0].rank() == 4 && inputs[1].rank() == 2, "images and regions are needed");
        let [height, width] = self.bins.map(|bins| bins.to_dim());
        Ok(tvec!(DatumType::F32.fact([inputs[1].shape[0].clone(), inputs[0].shape[1].clone(), height, width])))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (images, regions, which) = args_3!(inputs);
        let &[batch, channels, height, width] = images.shape() else { bail!("no images") };
        let count = regions.shape()[0];
        let (images, regions, which) =
            (images.try_as_plain_ram()?, regions.try_as_plain_ram()?, which.try_as_plain_ram()?);
        let (images, regions, which) =
            (images.as_slice::<f32>()?, regions.as_slice::<f32>()?, which.as_slice::<i64>()?);
        let mut found = Vec::with_capacity(count * channels * self.bins[0] * self.bins[1]);
        for (corners, image) in regions.chunks_exact(4).zip(which) {
            ensure!((0..batch as i64).contains(image), "image {image} of {batch}");
            let [rows, columns] = [(1, height, 0), (0, width, 1)]
                .map(|(first, extent, axis)| self.along(corners[first], corners[first + 2], extent, self.bins[axis]));
            for channel in 0..channels {
                let pixels = &images[(*image as usize * channels + channel) * height * width..][..height * width];
                for row in &rows {
                    found.extend(columns.iter().map(|column| self.bin(pixels, width, row, column)));
                }
            }
        }
        let shape = [count, channels, self.bins[0], self.bins[1]];
        Ok(tvec!(Tensor::from_shape(&shape, &found)?.into_tvalue()))
    }
}

/// A sample along an axis: two pixels and their weights; `None` outside of the image.
type Sample = Option<[(usize, f32); 2]>;

impl RoiAlign {
    /// The samples of each bin along an axis.
    fn along(&self, first: f32, last: f32, extent: usize, bins: usize) -> Vec<Vec<Sample>> {
        let shift = if self.half { 0.5 } else { 0.0 };
        let (first, last) = (first * self.scale - shift, last * self.scale - shift);
        let length = if self.half { last - first } else { (last - first).max(1.0) };
        let bin = length / bins as f32;
        let samples = if self.samples > 0 { self.samples } else { bin.ceil().max(0.0) as usize };
        let at =
            |index: usize, sample: usize| first + index as f32 * bin + (sample as f32 + 0.5) * bin / samples as f32;
        (0..bins).map(|index| (0..samples).map(|sample| self.sample(at(index, sample), extent)).collect()).collect()
    }

    fn sample(&self, at: f32, extent: usize) -> Sample {
        if !(-1.0..=extent as f32).contains(&at) || extent == 0 {
            return None;
        }
        let at = at.max(0.0);
        let low = at as usize;
        if low >= extent - 1 {
            return Some([(extent - 1, 1.0), (extent - 1, 0.0)]);
        }
        let rest = at - low as f32;
        Some([(low, 1.0 - rest), (low + 1, rest)])
    }

    fn bin(&self, pixels: &[f32], width: usize, rows: &[Sample], columns: &[Sample]) -> f32 {
        let (mut sum, mut most) = (0.0, f32::NEG_INFINITY);
        for (row, column) in rows.iter().flat_map(|row| columns.iter().map(move |column| (row, column))) {
            let (Some(row), Some(column)) = (row, column) else {
                most = most.max(0.0);
                continue;
            };
            for ((y, down), (x, across)) in row.iter().flat_map(|y| column.iter().map(move |x| (y, x))) {
                let part = down * across * pixels[y * width + x];
                sum += part;
                // Of weighted pixels, as ONNX Runtime has it.
                most = most.max(part);
            }
        }
        let count = (rows.len() * columns.len()).max(1);
        match (self.largest, rows.is_empty() || columns.is_empty()) {
            (true, false) => most,
            (true, true) => 0.0,
            (false, _) => sum / count as f32,
        }
    }
}
