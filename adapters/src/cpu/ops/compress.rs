//! What a known condition picks along an axis, or of all numbers.

use super::{Built, axis_of, built};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_hir::{internal::*, tract_core::ops::array::Gather},
};

pub(super) fn compress(_: &ParsingContext, node: &NodeProto) -> Built {
    built(Compress { axis: node.get_attr_opt("axis")? })
}

#[derive(Clone, Debug)]
struct Compress {
    axis: Option<i64>,
}

/// The places where the condition, which may be shorter than the axis, holds.
fn picked(condition: &Tensor) -> TractResult<Vec<i64>> {
    let plain = condition.try_as_plain_ram()?;
    let held = plain.as_slice::<bool>()?.iter().enumerate().filter(|(_, held)| **held);
    Ok(held.map(|(place, _)| place as i64).collect())
}

impl Expansion for Compress {
    fn name(&self) -> StaticName {
        "Compress".into()
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
        s.given_2(&inputs[0].shape, &inputs[1].value, move |s, mut shape, condition| {
            let count = picked(&condition)?.len().to_dim();
            match self.axis {
                Some(axis) => {
                    let axis = axis_of(axis, shape.len())?;
                    shape[axis] = count;
                }
                None => shape = tvec!(count),
            }
            s.equals(&outputs[0].shape, shape)
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let condition = model.outlet_fact(inputs[1])?.konst.clone().context("a condition that its inputs decide")?;
        let shape = model.outlet_fact(inputs[0])?.shape.to_tvec();
        let places = model.add_const(format!("{prefix}.places"), tensor1(&picked(&condition)?))?;
        let (axis, x) = match self.axis {
            Some(axis) => (axis_of(axis, shape.len())?, inputs[0]),
            None => {
                let all = tvec!(shape.iter().product::<TDim>());
                (0, model.wire_node(format!("{prefix}.flat"), AxisOp::Reshape(0, shape, all), &inputs[..1])?[0])
            }
        };
        model.wire_node(prefix, Gather { axis, output_type: None }, &[x, places])
    }
}
