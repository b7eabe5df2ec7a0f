//! `IsNaN` and `IsInf`, of FP64 too.

use super::{
    Built, built,
    kernel::{Kernel, Native},
};
use tract_onnx::{model::ParsingContext, pb::NodeProto, tract_hir::internal::*};

pub(super) fn is_nan(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Test::Nan)
}

pub(super) fn is_inf(_: &ParsingContext, node: &NodeProto) -> Built {
    let detects = |name| Ok(node.get_attr_opt::<i64>(name)?.unwrap_or(1) != 0) as TractResult<bool>;
    built(Test::Infinite { positive: detects("detect_positive")?, negative: detects("detect_negative")? })
}

/// What is asked of each number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Nan,
    Infinite { positive: bool, negative: bool },
}

impl Test {
    fn holds(self, x: f64) -> bool {
        match self {
            Self::Nan => x.is_nan(),
            Self::Infinite { positive, negative } => x.is_infinite() && (if x > 0.0 { positive } else { negative }),
        }
    }
}

impl Expansion for Test {
    fn name(&self) -> StaticName {
        Kernel::name(self).into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.equals(&outputs[0].datum_type, bool::datum_type())?;
        s.equals(&outputs[0].shape, &inputs[0].shape)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(name, Native(*self), inputs)
    }
}

impl Kernel for Test {
    fn name(&self) -> &'static str {
        if *self == Self::Nan { "IsNaN" } else { "IsInf" }
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(bool::fact(inputs[0].shape.clone())))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let plain = input.try_as_plain_ram()?;
        let truths: Vec<bool> = match input.datum_type() {
            DatumType::F16 => plain.as_slice::<f16>()?.iter().map(|x| self.holds(x.to_f64())).collect(),
            DatumType::F32 => plain.as_slice::<f32>()?.iter().map(|x| self.holds(f64::from(*x))).collect(),
            DatumType::F64 => plain.as_slice::<f64>()?.iter().map(|x| self.holds(*x)).collect(),
            other => bail!("{} of {other:?}", Kernel::name(self)),
        };
        let truths = tract_ndarray::ArrayD::from_shape_vec(input.shape().to_vec(), truths)?;
        Ok(tvec!(truths.into_tensor().into_tvalue()))
    }
}
