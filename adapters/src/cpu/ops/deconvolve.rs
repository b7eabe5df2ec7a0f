//! Transposed convolutions, whose padding is worked out here.

use super::{Built, built};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_hir::{
        internal::*,
        tract_core::ops::{
            cnn::{Deconv, KernelFormat, PaddingSpec, PoolSpec},
            nn::DataFormat,
        },
    },
};

pub(super) fn conv_transpose(_: &ParsingContext, node: &NodeProto) -> Built {
    let pads: Option<Vec<i64>> = node.get_attr_opt_vec("pads")?;
    if pads.iter().flatten().any(|pad| *pad < 0) {
        bail!("negative `pads`");
    }
    built(ConvTranspose {
        pads,
        auto: node.get_attr_opt::<String>("auto_pad")?.unwrap_or_default(),
        strides: node.get_attr_opt_tvec("strides")?,
        dilations: node.get_attr_opt_tvec("dilations")?,
        extra: node.get_attr_opt_tvec("output_padding")?,
        extents: node.get_attr_opt_tvec("output_shape")?,
        group: node.get_attr_opt("group")?.unwrap_or(1),
        biased: node.input.len() == 3 && !node.input[2].is_empty(),
    })
}

#[derive(Clone, Debug)]
struct ConvTranspose {
    pads: Option<Vec<i64>>,
    auto: String,
    strides: Option<TVec<usize>>,
    dilations: Option<TVec<usize>>,
    /// `output_padding`
    extra: Option<TVec<usize>>,
    /// `output_shape`
    extents: Option<TVec<usize>>,
    group: usize,
    biased: bool,
}

/// What is cut off before and after along an axis, what is added after, and the extent that is left.
struct Geometry {
    before: usize,
    after: usize,
    extra: usize,
    extent: TDim,
}

impl ConvTranspose {
    fn geometry(&self, axis: usize, input: &TDim, taps: usize, axes: usize) -> TractResult<Geometry> {
        let one = |values: &Option<TVec<usize>>, default| values.as_ref().map_or(default, |values| values[axis]);
        let (stride, dilation) = (one(&self.strides, 1), one(&self.dilations, 1));
        let mut extra = one(&self.extra, 0);
        let field = (taps - 1) * dilation + 1;
        let whole = (input.clone() - 1) * stride + field + extra;
        let same = self.auto.starts_with("SAME");
        let wanted = match &self.extents {
            Some(extents) => Some(extents[extents.len() - axes + axis].to_dim()),
            None => same.then(|| input.clone() * stride),
        };
        let Some(wanted) = wanted else {
            let pad = |index: usize| self.pads.as_ref().filter(|_| self.auto != "VALID").map_or(0, |pads| pads[index]);
            let (before, after) = (pad(axis) as usize, pad(axis + axes) as usize);
            return Ok(Geometry { before, after, extra, extent: whole - before - after });
        };
        let total = (whole - &wanted).to_i64().context("extents must be known")?;
        extra += (-total).max(0) as usize;
        let total = total.max(0) as usize;
        let (less, more) = (total / 2, total - total / 2);
        // The standard puts the odd one at the end for SAME_UPPER only.
        let (before, after) = if self.auto == "SAME_UPPER" { (less, more) } else { (more, less) };
        Ok(Geometry { before, after, extra, extent: wanted })
    }
}

impl Expansion for ConvTranspose {
    fn name(&self) -> StaticName {
        "ConvTranspose".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2 + usize::from(self.biased))?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.equals(&inputs[0].datum_type, &inputs[1].datum_type)?;
        s.equals(&inputs[0].rank, &inputs[1].rank)?;
        s.equals(&inputs[0].rank, &outputs[0].rank)?;
        s.equals(&outputs[0].shape[0], &inputs[0].shape[0])?;
        s.equals(&inputs[0].shape[1], &inputs[1].shape[0])?;
        s.equals(&outputs[0].shape[1], (self.group as i64) * inputs[1].shape[1].bex())?;
        s.given_2(&inputs[0].shape, &inputs[1].shape, move |s, x, w| {
            let axes = x.len() - 2;
            for axis in 0..axes {
                if let Ok(geometry) = self.geometry(axis, &x[axis + 2], w[axis + 2].to_usize()?, axes) {
                    s.equals(&outputs[0].shape[axis + 2], geometry.extent)?;
                }
            }
            Ok(())
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        // ONNX keeps (group, input) first, tract (group, output).
        let split = format!("{prefix}.kernel_split_group");
        let mut kernel = AxisOp::wire_split_axis(model, split, inputs[1], 0, self.group)?;
        kernel = model.wire_node(format!("{prefix}.kernel_reorder"), AxisOp::Move(1, 2), &kernel)?;
        kernel = AxisOp::wire_collapse_axis(model, format!("{prefix}.kernel_merge_group"), kernel[0], 0)?;
        let fact = model.outlet_fact(inputs[0])?.clone();
        let bias = match inputs.get(2) {
            Some(bias) => *bias,
            None => model.add_const(format!("{prefix}.bias"), Tensor::zero_scalar_dt(fact.datum_type)?)?,
        };
        let shape: TVec<usize> =
            model.outlet_fact(kernel[0])?.shape.as_concrete().context("a kernel of known extents")?.into();
        let axes = shape.len() - 2;
        let geometry: Vec<Geometry> = (0..axes)
            .map(|axis| self.geometry(axis, &fact.shape[axis + 2], shape[axis + 2], axes))
            .collect::<TractResult<_>>()?;
        let pool = PoolSpec::new(
            DataFormat::NCHW,
            shape[2..].into(),
            PaddingSpec::Explicit(
                geometry.iter().map(|axis| axis.before).collect(),
                geometry.iter().map(|axis| axis.after).collect(),
            ),
            self.dilations.clone(),
            self.strides.clone(),
            KernelFormat::OIHW.input_channels(&shape, self.group).into_owned(),
            KernelFormat::OIHW.output_channels(&shape, self.group).into_owned(),
        );
        let extra = geometry.iter().map(|axis| axis.extra).collect();
        let op = Deconv::new(pool, KernelFormat::OIHW, extra, self.group);
        model.wire_node(prefix, op, &[inputs[0], kernel[0], bias])
    }
}
