//! Operators that are one function of whole tensors.

use tract_onnx::tract_hir::internal::*;

/// What computes such an operator.
pub(super) trait Kernel: Clone + std::fmt::Debug + PartialEq + Send + Sync + 'static {
    fn name(&self) -> &'static str;

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>>;

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>>;
}

/// A kernel as an operator of tract.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Native<K>(pub K);

impl<K: Kernel> Eq for Native<K> {}

impl<K: Kernel> Op for Native<K> {
    fn name(&self) -> StaticName {
        self.0.name().into()
    }

    op_as_typed_op!();
}

impl<K: Kernel> EvalOp for Native<K> {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.0.compute(inputs)
    }
}

impl<K: Kernel> TypedOp for Native<K> {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.facts(inputs)
    }

    as_op!();
}
