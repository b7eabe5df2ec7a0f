//! Casts to INT64, which tract takes through its symbolic extents and with them through 32 bits.

use super::{Built, built, standard};
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
        let narrow = [DatumType::I64, TDim::datum_type()];
        let mut wire: TVec<OutletId> = inputs.into();
        if !narrow.contains(&model.outlet_fact(inputs[0])?.datum_type) {
            wire = wire_cast(format!("{prefix}.long"), model, &wire, DatumType::I64)?;
        }
        model.wire_node(prefix, to_type(TDim::datum_type()), &wire)
    }
}
