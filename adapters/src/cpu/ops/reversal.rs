//! Sequences of unlike lengths, each turned around.

use super::{
    Built, built,
    kernel::{Kernel, Native},
    like_input,
};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_hir::{internal::*, tract_core::ops::cast::wire_cast},
};

pub(super) fn reverse_sequence(_: &ParsingContext, node: &NodeProto) -> Built {
    let batch_first = node.get_attr_opt("batch_axis")?.unwrap_or(1i64) == 0;
    ensure!(batch_first != (node.get_attr_opt("time_axis")?.unwrap_or(0i64) == 0), "one axis for batch and time");
    built(ReverseSequence { batch_first })
}

#[derive(Clone, Debug)]
struct ReverseSequence {
    batch_first: bool,
}

impl Expansion for ReverseSequence {
    fn name(&self) -> StaticName {
        "ReverseSequence".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 2)?;
        like_input(s, inputs, outputs)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let lengths = wire_cast(format!("{prefix}.long"), model, &inputs[1..2], DatumType::I64)?;
        model.wire_node(prefix, Native(Reversal { batch_first: self.batch_first }), &[inputs[0], lengths[0]])
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Reversal {
    batch_first: bool,
}

impl Kernel for Reversal {
    fn name(&self) -> &'static str {
        "ReverseSequence"
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].without_value()))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (x, lengths) = args_2!(inputs);
        ensure!(x.rank() >= 2, "sequences of {} axes", x.rank());
        let (first, second) = (x.shape()[0], x.shape()[1]);
        let (batch, time) = if self.batch_first { (first, second) } else { (second, first) };
        let plain = lengths.try_as_plain_ram()?;
        let lengths = plain.as_slice::<i64>()?;
        ensure!(lengths.len() == batch, "{} lengths of {batch} sequences", lengths.len());
        let bytes = x.as_bytes();
        let each = bytes.len() / (batch * time).max(1);
        let at = |batch: usize, time: usize| {
            (if self.batch_first { batch * second + time } else { time * second + batch }) * each
        };
        let mut found = bytes.to_vec();
        for (sequence, length) in lengths.iter().enumerate() {
            let length = usize::try_from(*length).ok().filter(|length| *length <= time);
            let length = length.with_context(|| format!("a length of more than {time}"))?;
            for step in 0..length {
                found[at(sequence, step)..][..each].copy_from_slice(&bytes[at(sequence, length - 1 - step)..][..each]);
            }
        }
        // SAFETY: the bytes are those of whole elements of this type.
        let found = unsafe { Tensor::from_raw_dt(x.datum_type(), x.shape(), &found)? };
        Ok(tvec!(found.into_tvalue()))
    }
}
