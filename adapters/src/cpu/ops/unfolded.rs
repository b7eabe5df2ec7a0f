//! Stands before an operator that is replaced once the model is built: until then tract would compute it of constants by
//! itself, with numbers that are wrong.

use super::{Built, built, like_input};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_hir::{internal::*, tract_core::ops::identity::Identity},
};

pub(super) fn unfolded(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Unfolded { stays: false })
}

/// The same, for as long as the model lives.
pub(super) fn apart(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Unfolded { stays: true })
}

/// Lets constants through again.
pub(in super::super) fn fold(model: &mut TypedModel, id: usize) {
    let node = model.node_mut(id);
    if node.op_as::<Unfolded>().is_some_and(|op| !op.stays) {
        node.op = Box::new(Identity);
    }
}

/// Gives its input, and does not tell what that is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unfolded {
    stays: bool,
}

impl Expansion for Unfolded {
    fn name(&self) -> StaticName {
        "Unfolded".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        like_input(s, inputs, outputs)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }

    fn runs_out_of_plan(&self) -> bool {
        false
    }
}

impl Op for Unfolded {
    fn name(&self) -> StaticName {
        "Unfolded".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Unfolded {
    not_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        Ok(inputs)
    }
}

impl TypedOp for Unfolded {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].without_value()))
    }

    as_op!();
}
