//! tract's own operators, given what they can take.

use super::{Built, built, standard};
use tract_onnx::{model::ParsingContext, pb::NodeProto, tract_hir::internal::*};

/// Puts an operator of tract and what it needs around it into a model.
pub(super) type Wire = fn(&dyn Expansion, &str, &mut TypedModel, &[OutletId]) -> TractResult<TVec<OutletId>>;

/// What tract makes of a node, wired by `wire`.
pub(super) fn around(context: &ParsingContext, node: &NodeProto, wire: Wire) -> Built {
    let (op, closures) = standard(context, node)?;
    match op.as_op().downcast_ref::<Box<dyn Expansion>>() {
        Some(inner) => built(Around { inner: inner.clone(), wire }),
        None => Ok((op, closures)),
    }
}

#[derive(Clone)]
struct Around {
    inner: Box<dyn Expansion>,
    wire: Wire,
}

impl std::fmt::Debug for Around {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl Expansion for Around {
    fn name(&self) -> StaticName {
        self.inner.name()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        self.inner.as_ref().nboutputs()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        self.inner.rules(s, inputs, outputs)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        (self.wire)(self.inner.as_ref(), prefix, model, inputs)
    }
}
