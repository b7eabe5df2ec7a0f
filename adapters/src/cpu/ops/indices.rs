//! Indices counted from the end, and amounts below zero.

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
    tract_hir::{
        internal::*,
        tract_core::ops::{
            array::{GatherNd as Gathering, Slice},
            cast::wire_cast,
        },
    },
};

pub(super) fn gather_nd(_: &ParsingContext, node: &NodeProto) -> Built {
    built(GatherNd { batch: node.get_attr_opt("batch_dims")?.unwrap_or(0) })
}

#[derive(Clone, Debug)]
struct GatherNd {
    batch: usize,
}

impl Expansion for GatherNd {
    fn name(&self) -> StaticName {
        "GatherND".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2)?;
        check_output_arity(outputs, 1)?;
        s.equals(&outputs[0].datum_type, &inputs[0].datum_type)?;
        s.given_2(&inputs[0].shape, &inputs[1].shape, move |s, data, indices| {
            let mut shape: TVec<TDim> = indices.clone();
            let count = shape.pop().context("indices without axes")?;
            if let Ok(count) = count.to_usize() {
                ensure!(count + self.batch <= data.len(), "{count} indices behind {} axes", self.batch);
                shape.extend(data[count + self.batch..].iter().cloned());
                s.equals(&outputs[0].shape, shape)?;
            }
            Ok(())
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let indices = from_the_start(prefix, model, inputs, self.batch)?;
        let op = Gathering { batch_dims: self.batch };
        model.wire_node(prefix, op, &[inputs[0], indices])
    }
}

pub(super) fn scatter_nd(context: &ParsingContext, node: &NodeProto) -> Built {
    around(context, node, |inner, prefix, model, inputs| {
        let indices = from_the_start(prefix, model, inputs, 0)?;
        inner.wire(prefix, model, &[inputs[0], indices, inputs[2]])
    })
}

/// The second input, all of whose indices into the first are counted from its start.
fn from_the_start(prefix: &str, model: &mut TypedModel, inputs: &[OutletId], batch: usize) -> TractResult<OutletId> {
    let indices = wire_cast(format!("{prefix}.long"), model, &inputs[1..2], DatumType::I64)?;
    Ok(model.wire_node(format!("{prefix}.indices"), Native(FromStart { batch }), &[indices[0], inputs[0]])?[0])
}

/// Rows of indices into the axes behind the first few of the second input.
#[derive(Clone, Debug, PartialEq)]
struct FromStart {
    batch: usize,
}

impl Kernel for FromStart {
    fn name(&self) -> &'static str {
        "FromStart"
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].without_value()))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (indices, data) = args_2!(inputs);
        let each = *indices.shape().last().context("indices without axes")?;
        let extents = data.shape().get(self.batch..self.batch + each).context("more indices than axes")?.to_vec();
        let mut indices = indices.into_tensor();
        if each > 0 {
            let mut plain = indices.try_as_plain_ram_mut()?;
            for row in plain.as_slice_mut::<i64>()?.chunks_mut(each) {
                for (index, extent) in row.iter_mut().zip(&extents) {
                    *index = axis_of(*index, *extent).map_err(|_| format_err!("index {index} of {extent}"))? as i64;
                }
            }
        }
        Ok(tvec!(indices.into_tvalue()))
    }
}

/// Of places beyond the depth none is on.
pub(super) fn one_hot(_: &ParsingContext, node: &NodeProto) -> Built {
    built(OneHot { axis: node.get_attr_opt("axis")?.unwrap_or(-1) })
}

#[derive(Clone, Debug)]
struct OneHot {
    axis: i64,
}

impl OneHot {
    fn shape(&self, indices: &[TDim], depth: &Tensor) -> TractResult<(usize, TVec<TDim>)> {
        let depth = depth.cast_to::<i64>()?.try_as_plain_ram()?.as_slice::<i64>()?.first().copied();
        let depth = depth.filter(|depth| *depth >= 0).context("a depth of zero or more is needed")?;
        let axis = axis_of(self.axis, indices.len() + 1)?;
        let mut shape: TVec<TDim> = indices.into();
        shape.insert(axis, depth.to_dim());
        Ok((axis, shape))
    }
}

impl Expansion for OneHot {
    fn name(&self) -> StaticName {
        "OneHot".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 3)?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[2].datum_type, &outputs[0].datum_type)?;
        s.equals(inputs[0].rank.bex() + 1, &outputs[0].rank)?;
        s.given_2(&inputs[0].shape, &inputs[1].value, move |s, indices, depth| {
            s.equals(&outputs[0].shape, self.shape(&indices, &depth)?.1)
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let depth = model.outlet_fact(inputs[1])?.konst.clone().context("a depth that its inputs decide")?;
        let (axis, shape) = self.shape(&model.outlet_fact(inputs[0])?.shape.to_tvec(), &depth)?;
        let depth = shape[axis].to_usize()?;
        let indices = wire_cast(format!("{prefix}.long"), model, &inputs[..1], DatumType::I64)?;
        model.wire_node(prefix, Native(Hot { axis, depth }), &[indices[0], inputs[2]])
    }
}

/// Inputs are the indices, and what is off and on.
#[derive(Clone, Debug, PartialEq)]
struct Hot {
    axis: usize,
    depth: usize,
}

impl Kernel for Hot {
    fn name(&self) -> &'static str {
        "OneHot"
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape = inputs[0].shape.to_tvec();
        shape.insert(self.axis, self.depth.to_dim());
        Ok(tvec!(inputs[1].datum_type.fact(shape)))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (indices, values) = args_2!(inputs);
        ensure!(values.len() == 2, "{} values for off and on", values.len());
        let mut shape: TVec<usize> = indices.shape().into();
        let inner: usize = shape[self.axis..].iter().product();
        shape.insert(self.axis, self.depth);
        let size = values.datum_type().size_of();
        let (off, on) = values.as_bytes().split_at(size);
        let plain = indices.try_as_plain_ram()?;
        let mut bytes = off.repeat(indices.len() * self.depth);
        for (place, index) in plain.as_slice::<i64>()?.iter().enumerate() {
            if let Ok(index) = axis_of(*index, self.depth) {
                let at = (place / inner * self.depth + index) * inner + place % inner;
                bytes[at * size..][..size].copy_from_slice(on);
            }
        }
        // SAFETY: the bytes are those of whole elements of this type.
        Ok(tvec!(unsafe { Tensor::from_raw_dt(values.datum_type(), &shape, &bytes) }?.into_tvalue()))
    }
}

/// Amounts below zero cut off, before what is above is added.
pub(super) fn pad(context: &ParsingContext, node: &NodeProto) -> Built {
    if context.onnx_operator_set_version < 11 {
        let pads: Vec<i64> = node.get_attr_opt_vec("pads")?.unwrap_or_default();
        ensure!(pads.iter().all(|pad| *pad >= 0), "negative `pads` before opset 11");
        return standard(context, node);
    }
    // As many inputs are given before the axes as are not left out.
    match optional_inputs(node).nth(3).flatten() {
        None => around(context, node, |inner, prefix, model, inputs| cut_and_pad(inner, prefix, model, inputs, None)),
        Some(2) => {
            around(context, node, |inner, prefix, model, inputs| cut_and_pad(inner, prefix, model, inputs, Some(2)))
        }
        _ => around(context, node, |inner, prefix, model, inputs| cut_and_pad(inner, prefix, model, inputs, Some(3))),
    }
}

fn cut_and_pad(
    inner: &dyn Expansion,
    prefix: &str,
    model: &mut TypedModel,
    inputs: &[OutletId],
    axes: Option<usize>,
) -> TractResult<TVec<OutletId>> {
    let long = |model: &TypedModel, input: OutletId| -> TractResult<Vec<i64>> {
        let value = model.outlet_fact(input)?.konst.clone().context("amounts that its inputs decide")?;
        Ok(value.cast_to::<i64>()?.try_as_plain_ram()?.as_slice::<i64>()?.to_vec())
    };
    let pads = long(model, inputs[1])?;
    if pads.iter().all(|pad| *pad >= 0) {
        return inner.wire(prefix, model, inputs);
    }
    let rank = model.outlet_fact(inputs[0])?.rank();
    let axes: Vec<usize> = match axes {
        Some(axes) => long(model, inputs[axes])?.iter().map(|axis| axis_of(*axis, rank)).collect::<TractResult<_>>()?,
        None => (0..rank).collect(),
    };
    let mut wire = tvec!(inputs[0]);
    for (index, &axis) in axes.iter().enumerate() {
        let [first, last] = [pads[index], pads[index + axes.len()]].map(|pad| -pad.min(0));
        if first + last > 0 {
            let end = model.outlet_fact(wire[0])?.shape[axis].clone() - last;
            if let Ok(end) = end.to_i64() {
                ensure!(first <= end, "more is cut off axis {axis} than there is");
            }
            wire = model.wire_node(format!("{prefix}.cut-{axis}"), Slice::new(axis, first, end), &wire)?;
        }
    }
    let above: Vec<i64> = pads.iter().map(|pad| *pad.max(&0)).collect();
    let above = model.add_const(format!("{prefix}.pads"), tensor1(&above))?;
    let mut given: TVec<OutletId> = inputs.into();
    (given[0], given[1]) = (wire[0], above);
    inner.wire(prefix, model, &given)
}

/// Before opset 13 as after it: without axes, every extent of 1 goes.
pub(super) fn squeeze(context: &ParsingContext, node: &NodeProto) -> Built {
    if node.get_attr_opt_vec::<i64>("axes")?.is_some() {
        return standard(context, node);
    }
    if node.input.len() < 2 || node.input[1].is_empty() {
        return built(SqueezeOnes);
    }
    standard(
        &ParsingContext { onnx_operator_set_version: context.onnx_operator_set_version.max(13), ..context.clone() },
        node,
    )
}

/// Removes all axes of one: how many are left hangs on extents.
#[derive(Clone, Debug)]
struct SqueezeOnes;

/// Axes of one, if all extents are known.
fn ones(shape: &[TDim]) -> TractResult<Vec<usize>> {
    let known = shape.iter().map(TDim::to_usize).collect::<Result<Vec<_>, _>>();
    let extents = known.context("axes that its extents decide")?;
    Ok((0..extents.len()).filter(|&axis| extents[axis] == 1).collect())
}

impl Expansion for SqueezeOnes {
    fn name(&self) -> StaticName {
        "Squeeze".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.equals(&outputs[0].datum_type, &inputs[0].datum_type)?;
        s.given(&inputs[0].shape, move |s, mut shape| {
            ones(&shape)?;
            shape.retain(|extent| *extent != 1.to_dim());
            s.equals(&outputs[0].shape, shape)
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let axes = ones(&model.outlet_fact(inputs[0])?.shape)?;
        let mut outlet = inputs[0];
        for &axis in axes.iter().rev() {
            outlet = model.wire_node(format!("{prefix}.{axis}"), AxisOp::Rm(axis), &[outlet])?[0];
        }
        Ok(tvec!(outlet))
    }
}
