//! Resizing to the nearest place, which is worked out in FP64: in FP32 a place between two falls to the wrong side.

use super::{
    Built,
    around::around,
    axis_of, built,
    kernel::{Kernel, Native},
    standard,
};
use tract_onnx::{
    model::{ParsingContext, optional_inputs},
    pb::NodeProto,
    tract_hir::internal::*,
};

pub(super) fn resize(context: &ParsingContext, node: &NodeProto) -> Built {
    let text = |name, default: &str| {
        Ok(node.get_attr_opt::<String>(name)?.unwrap_or_else(|| default.to_owned())) as TractResult<String>
    };
    let opset = context.onnx_operator_set_version;
    let early = opset < 11;
    let place = text("coordinate_transformation_mode", if early { "asymmetric" } else { "half_pixel" })?;
    let mode = text("mode", "nearest")?;
    let nearest = mode == "nearest";
    let stretched = text("keep_aspect_ratio_policy", "stretch")? == "stretch";
    if mode == "cubic" && place == "pytorch_half_pixel" {
        return around(context, node, longer);
    }
    if !nearest || !stretched || place == "tf_crop_and_resize" {
        return standard(context, node);
    }
    let mut given = optional_inputs(node).skip(if early { 1 } else { 2 });
    let mut next = || given.next().flatten();
    built(Nearest {
        place,
        round: text("nearest_mode", if early { "floor" } else { "round_prefer_floor" })?,
        axes: node.get_attr_opt_vec("axes")?,
        scales: next(),
        sizes: if early { None } else { next() },
    })
}

/// For an extent of 1 tract reads half a place before the first.
fn longer(
    inner: &dyn Expansion,
    prefix: &str,
    model: &mut TypedModel,
    inputs: &[OutletId],
) -> TractResult<TVec<OutletId>> {
    let wires = inner.wire(prefix, model, inputs)?;
    let (before, after) = (model.outlet_fact(inputs[0])?, model.outlet_fact(wires[0])?);
    let shrinks = before.shape.iter().zip(after.shape.iter()).any(|(before, after)| after.is_one() && !before.is_one());
    ensure!(!shrinks, "a cubic resize to an extent of 1 with `pytorch_half_pixel`");
    Ok(wires)
}

/// `Resize`, and which of its inputs say to what.
#[derive(Clone, Debug)]
struct Nearest {
    place: String,
    round: String,
    axes: Option<Vec<i64>>,
    scales: Option<usize>,
    sizes: Option<usize>,
}

/// What an axis becomes.
#[derive(Clone, Debug, PartialEq)]
enum Becomes {
    Same,
    Scaled(f32),
    Sized(TDim),
}

impl Nearest {
    /// What each axis becomes, by the values of the two inputs.
    fn becomes(&self, rank: usize, scales: Option<&Tensor>, sizes: Option<&Tensor>) -> TractResult<Vec<Becomes>> {
        let axes: Vec<usize> = match &self.axes {
            Some(axes) => axes.iter().map(|axis| axis_of(*axis, rank)).collect::<TractResult<_>>()?,
            None => (0..rank).collect(),
        };
        let found: Vec<Becomes> = match (scales.filter(|scales| scales.len() > 0), sizes) {
            (Some(scales), _) => {
                let scales = scales.cast_to::<f32>()?;
                scales.try_as_plain_ram()?.as_slice::<f32>()?.iter().map(|scale| Becomes::Scaled(*scale)).collect()
            }
            (None, Some(sizes)) => {
                let sizes = sizes.cast_to::<TDim>()?;
                sizes.try_as_plain_ram()?.as_slice::<TDim>()?.iter().map(|size| Becomes::Sized(size.clone())).collect()
            }
            (None, None) => bail!("scales or sizes that its inputs decide"),
        };
        ensure!(found.len() == axes.len(), "{} scales or sizes for {} axes", found.len(), axes.len());
        let mut all = vec![Becomes::Same; rank];
        axes.into_iter().zip(found).for_each(|(axis, becomes)| all[axis] = becomes);
        Ok(all)
    }
}

/// The extent after; symbols are scaled by whole numbers only.
fn extent(before: &TDim, becomes: &Becomes) -> TractResult<TDim> {
    Ok(match becomes {
        Becomes::Same => before.clone(),
        Becomes::Sized(size) => size.clone(),
        Becomes::Scaled(scale) if scale.fract() == 0.0 => before.clone() * (*scale as i64),
        Becomes::Scaled(scale) => ((before.to_i64()? as f64 * f64::from(*scale)).floor() as i64).to_dim(),
    })
}

impl Expansion for Nearest {
    fn name(&self) -> StaticName {
        "Resize".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.equals(&inputs[0].rank, &outputs[0].rank)?;
        let told: Vec<usize> = self.scales.into_iter().chain(self.sizes).collect();
        s.given(&inputs[0].shape, move |s, shape| {
            let values: Vec<_> = told.iter().map(|index| (&inputs[*index].value).bex()).collect();
            s.given_all(values, move |s, values: Vec<Arc<Tensor>>| {
                let scales = self.scales.and(values.first());
                let sizes = self.sizes.and(values.last());
                let becomes = self.becomes(shape.len(), scales.map(|t| &**t), sizes.map(|t| &**t))?;
                for (axis, (before, becomes)) in shape.iter().zip(&becomes).enumerate() {
                    if let Ok(after) = extent(before, becomes) {
                        s.equals(&outputs[0].shape[axis], after)?;
                    }
                }
                Ok(())
            })
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let value = |model: &TypedModel, index: Option<usize>| -> TractResult<Option<Arc<Tensor>>> {
            Ok(index.map(|index| model.outlet_fact(inputs[index])).transpose()?.and_then(|fact| fact.konst.clone()))
        };
        let rank = model.outlet_fact(inputs[0])?.rank();
        let (scales, sizes) = (value(model, self.scales)?, value(model, self.sizes)?);
        let becomes = self.becomes(rank, scales.as_deref(), sizes.as_deref())?;
        // Sizes that follow from extents are known when it runs.
        let symbolic = becomes.iter().any(|becomes| matches!(becomes, Becomes::Sized(size) if size.to_i64().is_err()));
        ensure!(!symbolic, "sizes that its inputs decide");
        model.wire_node(
            prefix,
            Native(Gathered { place: self.place.clone(), round: self.round.clone(), becomes }),
            &inputs[..1],
        )
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Gathered {
    place: String,
    round: String,
    becomes: Vec<Becomes>,
}

impl Gathered {
    /// Where each place of the result is read.
    fn places(&self, before: usize, becomes: &Becomes) -> TractResult<Option<Vec<usize>>> {
        let after = extent(&before.to_dim(), becomes)?.to_usize()?;
        let scale = match becomes {
            Becomes::Same => return Ok(None),
            Becomes::Scaled(scale) => f64::from(*scale),
            Becomes::Sized(_) => after as f64 / before as f64,
        };
        ensure!(before > 0 || after == 0, "{after} places of none");
        Ok(Some((0..after).map(|x| self.nearest(self.origin(x, scale, before, after), before)).collect()))
    }

    fn origin(&self, x: usize, scale: f64, before: usize, after: usize) -> f64 {
        let (x, extent) = (x as f64, before as f64);
        let half = (x + 0.5) / scale - 0.5;
        match self.place.as_str() {
            // By the extent before it is rounded down.
            "align_corners" if scale * extent == 1.0 => 0.0,
            "align_corners" => x * (extent - 1.0) / (scale * extent - 1.0),
            "asymmetric" => x / scale,
            "pytorch_half_pixel" if after <= 1 => 0.0,
            "half_pixel_symmetric" => extent / 2.0 * (1.0 - after as f64 / (scale * extent)) + half,
            "tf_half_pixel_for_nn" => (x + 0.5) / scale,
            _ => half,
        }
    }

    fn nearest(&self, x: f64, before: usize) -> usize {
        let (low, rest) = (x.floor(), x - x.floor());
        let up = match self.round.as_str() {
            "floor" => false,
            "ceil" => rest > 0.0,
            "round_prefer_ceil" => rest >= 0.5,
            _ => rest > 0.5,
        };
        (low + f64::from(u8::from(up))).clamp(0.0, before.saturating_sub(1) as f64) as usize
    }
}

impl Kernel for Gathered {
    fn name(&self) -> &'static str {
        "ResizeNearest"
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let axes = inputs[0].shape.iter().zip(&self.becomes);
        let shape: TVec<TDim> = axes.map(|(before, becomes)| extent(before, becomes)).collect::<TractResult<_>>()?;
        Ok(tvec!(inputs[0].datum_type.fact(shape)))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut x = args_1!(inputs).into_tensor();
        for (axis, becomes) in self.becomes.iter().enumerate() {
            if let Some(places) = self.places(x.shape()[axis], becomes)? {
                x = gathered(&x, axis, &places)?;
            }
        }
        Ok(tvec!(x.into_tvalue()))
    }
}

/// Copies runs of bytes, whatever they mean.
fn gathered(x: &Tensor, axis: usize, places: &[usize]) -> TractResult<Tensor> {
    let mut shape: TVec<usize> = x.shape().into();
    let run = x.shape()[axis + 1..].iter().product::<usize>() * x.datum_type().size_of();
    let before = shape[axis];
    shape[axis] = places.len();
    let bytes = x.as_bytes();
    let mut found: Vec<u8> = Vec::with_capacity(bytes.len() / before.max(1) * places.len());
    for outer in bytes.chunks_exact((before * run).max(1)) {
        match run {
            // Of a length that compilers know, copies are many times faster.
            4 => places.iter().for_each(|place| found.extend_from_slice(&outer.as_chunks::<4>().0[*place])),
            _ => places.iter().for_each(|place| found.extend_from_slice(&outer[place * run..][..run])),
        }
    }
    // SAFETY: the bytes are those of whole elements of this type.
    unsafe { Tensor::from_raw_dt(x.datum_type(), &shape, &found) }
}
