//! Short-time spectra of signals without an axis for real and imaginary parts.

use super::{Built, built, standard};
use tract_onnx::{
    model::{ParsingContext, optional_inputs},
    pb::NodeProto,
    tract_hir::internal::*,
};

pub(super) fn stft(context: &ParsingContext, node: &NodeProto) -> Built {
    let (op, closures) = standard(context, node)?;
    let Some(inner) = op.as_op().downcast_ref::<Box<dyn Expansion>>().cloned() else { return Ok((op, closures)) };
    let mut given = optional_inputs(node).skip(2);
    let (window, length) = (given.next().flatten(), given.next().flatten());
    let whole = node.get_attr_opt("onesided")?.unwrap_or(1i64) == 0;
    built(Stft { inner, window, length, whole })
}

#[derive(Clone, Debug)]
struct Stft {
    inner: Box<dyn Expansion>,
    window: Option<usize>,
    length: Option<usize>,
    whole: bool,
}

impl Stft {
    /// Frames and frequencies of a signal of so many samples.
    fn extents(&self, samples: &TDim, step: i64, length: i64) -> TractResult<[TDim; 2]> {
        ensure!(step > 0 && length > 0, "steps of {step}, frames of {length}");
        let frequencies = if self.whole { length } else { length / 2 + 1 };
        Ok([(samples.clone() - length) / step as u64 + 1, frequencies.to_dim()])
    }
}

impl Expansion for Stft {
    fn name(&self) -> StaticName {
        "Stft".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        s.given(&inputs[0].rank, move |s, rank| {
            if rank != 2 {
                return self.inner.rules(s, inputs, outputs);
            }
            s.equals(&outputs[0].datum_type, &inputs[0].datum_type)?;
            s.equals(&outputs[0].rank, 4)?;
            s.equals(&outputs[0].shape[0], &inputs[0].shape[0])?;
            s.equals(&outputs[0].shape[3], 2.to_dim())?;
            let fill = move |s: &mut Solver<'r>, samples: TDim, step: Arc<Tensor>, length: i64| {
                let [frames, frequencies] = self.extents(&samples, step.cast_to_scalar()?, length)?;
                s.equals(&outputs[0].shape[1], frames)?;
                s.equals(&outputs[0].shape[2], frequencies)
            };
            let (samples, step) = (&inputs[0].shape[1], &inputs[1].value);
            match (self.length, self.window) {
                (Some(length), _) => {
                    s.given_3(samples, step, &inputs[length].value, move |s, samples, step, length| {
                        fill(s, samples, step, length.cast_to_scalar()?)
                    })
                }
                (None, Some(window)) => {
                    s.given_3(samples, step, &inputs[window].shape[0], move |s, samples, step, length| {
                        fill(s, samples, step, length.to_i64()?)
                    })
                }
                (None, None) => bail!("neither a window nor a length of frames"),
            }
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let mut given: TVec<OutletId> = inputs.into();
        if model.outlet_fact(inputs[0])?.rank() == 2 {
            given[0] = model.wire_node(format!("{prefix}.real"), AxisOp::Add(2), &inputs[..1])?[0];
        }
        self.inner.wire(prefix, model, &given)
    }
}
