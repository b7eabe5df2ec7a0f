//! Runs along axes, computed in FP64: means and variances, the variance of what is left once the mean is off; logarithms
//! of softmaxes.

use super::{
    Built, axis_of, built,
    kernel::{Kernel, Native},
    like_input,
};
use tract_onnx::{model::ParsingContext, pb::NodeProto, tract_hir::internal::*};

/// What the standard adds to a deviation.
const EPSILON: f64 = 1e-9;

pub(super) fn mean_variance(_: &ParsingContext, node: &NodeProto) -> Built {
    let axes = node.get_attr_opt_vec("axes")?.unwrap_or_else(|| vec![0, 2, 3]);
    built(Runs { axes: Axes::Given(axes), of: Of::Deviations })
}

/// Before opset 13 over this axis and all behind it.
pub(super) fn log_softmax(context: &ParsingContext, node: &NodeProto) -> Built {
    let axis = node.get_attr_opt::<i64>("axis")?;
    let axes = match context.onnx_operator_set_version {
        ..13 => Axes::From(axis.unwrap_or(1)),
        _ => Axes::Given(vec![axis.unwrap_or(-1)]),
    };
    built(Runs { axes, of: Of::Logarithms })
}

#[derive(Clone, Debug)]
enum Axes {
    Given(Vec<i64>),
    From(i64),
}

/// What becomes of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    Deviations,
    Logarithms,
}

#[derive(Clone, Debug)]
struct Runs {
    axes: Axes,
    of: Of,
}

impl Expansion for Runs {
    fn name(&self) -> StaticName {
        format!("{:?}", self.of).into()
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

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let rank = model.outlet_fact(inputs[0])?.rank();
        let axes = match &self.axes {
            Axes::Given(axes) => axes.iter().map(|axis| axis_of(*axis, rank)).collect::<TractResult<_>>()?,
            Axes::From(axis) => (if *axis == rank as i64 { rank } else { axis_of(*axis, rank)? }..rank).collect(),
        };
        model.wire_node(name, Native(Along { axes, of: self.of }), inputs)
    }
}

/// Each run along the axes.
#[derive(Clone, Debug, PartialEq)]
struct Along {
    axes: TVec<usize>,
    of: Of,
}

impl Kernel for Along {
    fn name(&self) -> &'static str {
        "Along"
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].without_value()))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let of = input.datum_type();
        let rank = input.rank();
        let count: usize = self.axes.iter().map(|axis| input.shape()[*axis]).product();
        let kept = (0..rank).filter(|axis| !self.axes.contains(axis));
        let order: TVec<usize> = kept.chain(self.axes.iter().copied()).collect();
        let mut back: TVec<usize> = tvec!(0; rank);
        order.iter().enumerate().for_each(|(place, axis)| back[*axis] = place);
        let mut rows = input.cast_to_dt(DatumType::F64)?.into_owned().permute_axes(&order)?;
        if count > 0 {
            let of = if self.of == Of::Deviations { standardize } else { logarithms };
            rows.try_as_plain_ram_mut()?.as_slice_mut::<f64>()?.chunks_mut(count).for_each(of);
        }
        Ok(tvec!(rows.permute_axes(&back)?.cast_to_dt(of)?.into_owned().into_tvalue()))
    }
}

fn standardize(row: &mut [f64]) {
    let count = row.len() as f64;
    let mean = row.iter().sum::<f64>() / count;
    row.iter_mut().for_each(|value| *value -= mean);
    let deviation = (row.iter().map(|value| value * value).sum::<f64>() / count).sqrt() + EPSILON;
    row.iter_mut().for_each(|value| *value /= deviation);
}

fn logarithms(row: &mut [f64]) {
    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|value| *value -= most);
    let sum = row.iter().map(|value| value.exp()).sum::<f64>().ln();
    row.iter_mut().for_each(|value| *value -= sum);
}
