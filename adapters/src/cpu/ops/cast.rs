//! Casts to INT64, which tract takes through its symbolic extents and with them through 32 bits, and of FP64 to FP16,
//! which it rounds twice.

use super::{
    Built, built,
    kernel::{Kernel, Native},
    standard,
};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_hir::{
        internal::*,
        tract_core::ops::cast::{cast as to_type, wire_cast},
    },
};

pub(super) fn cast(context: &ParsingContext, node: &NodeProto) -> Built {
    let to: DatumType = node.get_attr("to")?;
    if to == DatumType::I64 { built(ToLong) } else { standard(context, node) }
}

/// A cast to INT64.
#[derive(Clone, Debug)]
struct ToLong;

impl Expansion for ToLong {
    fn name(&self) -> StaticName {
        "CastToLong".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.equals(&outputs[0].datum_type, TDim::datum_type())?;
        s.equals(&outputs[0].shape, &inputs[0].shape)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        if model.outlet_fact(inputs[0])?.datum_type == TDim::datum_type() {
            return model.wire_node(prefix, to_type(TDim::datum_type()), inputs);
        }
        let long = wire_cast(format!("{prefix}.long"), model, inputs, DatumType::I64)?;
        model.wire_node(prefix, Native(Extents), &long)
    }
}

/// INT64 as extents, which tract casts to by way of INT32.
pub(in super::super) fn extents() -> Box<dyn TypedOp> {
    Box::new(Native(Extents))
}

#[derive(Clone, Debug, PartialEq)]
struct Extents;

impl Kernel for Extents {
    fn name(&self) -> &'static str {
        "Extents"
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        ensure!(inputs[0].datum_type == DatumType::I64, "extents of {:?}", inputs[0].datum_type);
        Ok(tvec!(TDim::datum_type().fact(inputs[0].shape.clone())))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let plain = input.try_as_plain_ram()?;
        let values: Vec<TDim> = plain.as_slice::<i64>()?.iter().map(|value| value.to_dim()).collect();
        let extents = tract_ndarray::ArrayD::from_shape_vec(input.shape().to_vec(), values)?;
        Ok(tvec!(extents.into_tensor().into_tvalue()))
    }
}

/// FP64 as FP16, rounded once.
pub(in super::super) fn halves() -> Box<dyn TypedOp> {
    Box::new(Native(Halves))
}

#[derive(Clone, Debug, PartialEq)]
struct Halves;

impl Kernel for Halves {
    fn name(&self) -> &'static str {
        "Halves"
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        ensure!(inputs[0].datum_type == DatumType::F64, "halves of {:?}", inputs[0].datum_type);
        Ok(tvec!(DatumType::F16.fact(inputs[0].shape.clone())))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let plain = input.try_as_plain_ram()?;
        let values = plain.as_slice::<f64>()?.iter().map(|value| half_of(*value)).collect();
        let halves = tract_ndarray::ArrayD::from_shape_vec(input.shape().to_vec(), values)?;
        Ok(tvec!(halves.into_tensor().into_tvalue()))
    }
}

/// By way of FP32, rounded to an odd number there: what is halfway between two numbers of FP16 was so before.
fn half_of(x: f64) -> f16 {
    let near = x as f32;
    if x.is_nan() || f64::from(near) == x {
        return f16::from_f32(near);
    }
    let towards_zero = near.to_bits() - u32::from(f64::from(near).abs() > x.abs());
    f16::from_f32(f32::from_bits(towards_zero | 1))
}
