//! Bounds. What is no number stays none.

use super::{Built, built, like_input};
use tract_onnx::{
    model::{ParsingContext, optional_inputs},
    pb::NodeProto,
    prelude::tract_itertools::Itertools,
    tract_hir::{
        internal::*,
        tract_core::{
            bin_to_super_type,
            broadcast::multi_broadcast,
            element_wise,
            ops::{
                binary::{BinMiniOp, TypedBinOp},
                cast::wire_cast,
                change_axes::wire_with_rank_broadcast,
                math,
            },
        },
    },
};

element_wise!(clamp, Clamp { low: f64, high: f64 },
[f32] => |op, values| {
    let (low, high) = (op.low as f32, op.high as f32);
    values.iter_mut().for_each(|value| *value = bounded(*value, low, high));
    Ok(())
},
[f64] => |op, values| {
    values.iter_mut().for_each(|value| *value = bounded(*value, op.low, op.high));
    Ok(())
},
[f16] => |op, values| {
    let (low, high) = (f16::from_f64(op.low), f16::from_f64(op.high));
    values.iter_mut().for_each(|value| *value = bounded(*value, low, high));
    Ok(())
});

/// The upper bound wins over the lower.
fn bounded<T: PartialOrd + Copy>(value: T, low: T, high: T) -> T {
    let value = if value < low { low } else { value };
    if value > high { high } else { value }
}

bin_to_super_type!(larger, Larger,
    [f16, f32, f64] => |to, &a, &b| *to = if a > b || a.is_nan() { a } else { b });

bin_to_super_type!(smaller, Smaller,
    [f16, f32, f64] => |to, &a, &b| *to = if a < b || a.is_nan() { a } else { b });

pub(super) fn relu(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Clip { bounds: [Bound::Given(0.0), Bound::None] })
}

pub(super) fn clip(context: &ParsingContext, node: &NodeProto) -> Built {
    let bounds = if context.onnx_operator_set_version < 11 {
        let given = |name| Ok(node.get_attr_opt::<f32>(name)?.map_or(Bound::None, |bound| Bound::Given(bound.into())));
        let [low, high]: [TractResult<Bound>; 2] = ["min", "max"].map(given);
        [low?, high?]
    } else {
        let mut inputs = optional_inputs(node).skip(1);
        let mut next = || inputs.next().flatten().map_or(Bound::None, Bound::Input);
        [next(), next()]
    };
    built(Clip { bounds })
}

/// Where a bound comes from.
#[derive(Clone, Copy, Debug)]
enum Bound {
    None,
    Given(f64),
    Input(usize),
}

#[derive(Clone, Debug)]
struct Clip {
    bounds: [Bound; 2],
}

impl Clip {
    /// The bound as a number, if it is known and one.
    fn known(&self, model: &TypedModel, inputs: &[OutletId], index: usize) -> TractResult<Option<f64>> {
        Ok(match self.bounds[index] {
            Bound::None => Some([f64::NEG_INFINITY, f64::INFINITY][index]),
            Bound::Given(bound) => Some(bound),
            Bound::Input(input) => match &model.outlet_fact(inputs[input])?.konst {
                Some(bound) if bound.len() == 1 => Some(bound.cast_to_scalar::<f64>()?).filter(|bound| !bound.is_nan()),
                _ => None,
            },
        })
    }

    /// Bounds one side of `wire` by a value.
    fn bound(
        &self,
        name: &str,
        model: &mut TypedModel,
        wire: OutletId,
        inputs: &[OutletId],
        index: usize,
    ) -> TractResult<OutletId> {
        let of = model.outlet_fact(wire)?.datum_type;
        let bound = match self.bounds[index] {
            Bound::None => return Ok(wire),
            Bound::Given(bound) => {
                let bound = tensor0(bound).cast_to_dt(of)?.into_owned();
                model.add_const(format!("{name}.{index}.bound"), bound)?
            }
            Bound::Input(input) => inputs[input],
        };
        let bound = wire_cast(format!("{name}.{index}"), model, &[bound], of)?[0];
        let op = extreme(index == 0, of);
        Ok(wire_with_rank_broadcast(format!("{name}.{index}"), model, op, &[wire, bound])?[0])
    }
}

impl Expansion for Clip {
    fn name(&self) -> StaticName {
        "Clip".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        like_input(s, inputs, outputs)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let of = model.outlet_fact(inputs[0])?.datum_type;
        if let (true, Some(low), Some(high)) =
            (of.is_float(), self.known(model, inputs, 0)?, self.known(model, inputs, 1)?)
        {
            return model.wire_node(name, clamp(low, high), &inputs[..1]);
        }
        let wire = self.bound(name, model, inputs[0], inputs, 0)?;
        Ok(tvec!(self.bound(name, model, wire, inputs, 1)?))
    }
}

/// The larger or the smaller of two numbers of this type.
fn extreme(larger: bool, of: DatumType) -> TypedBinOp {
    let op: Box<dyn BinMiniOp> = match (of.is_float(), larger) {
        (true, true) => Box::new(Larger),
        (true, false) => Box::new(Smaller),
        (false, true) => Box::new(math::Max),
        (false, false) => Box::new(math::Min),
    };
    TypedBinOp(op, None)
}

pub(super) fn max(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Extreme { larger: true })
}

pub(super) fn min(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Extreme { larger: false })
}

/// The largest or the smallest of any number of values.
#[derive(Clone, Debug)]
struct Extreme {
    larger: bool,
}

impl Expansion for Extreme {
    fn name(&self) -> StaticName {
        if self.larger { "Max" } else { "Min" }.into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_output_arity(outputs, 1)?;
        s.given_all(inputs.iter().map(|input| (&input.datum_type).bex()), move |s, types: Vec<DatumType>| {
            s.equals(&outputs[0].datum_type, common(&types)?)
        })?;
        s.given_all(inputs.iter().map(|input| &input.shape), move |s, shapes: Vec<TVec<TDim>>| {
            s.equals(&outputs[0].shape, ShapeFactoid::from(multi_broadcast(&shapes)?))
        })
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let types: Vec<DatumType> =
            inputs.iter().map(|input| Ok(model.outlet_fact(*input)?.datum_type)).collect::<TractResult<_>>()?;
        let of = common(&types)?;
        let inputs = wire_cast(name, model, inputs, of)?;
        let mut wire = inputs[0];
        for (index, input) in inputs[1..].iter().enumerate() {
            let pair = [wire, *input];
            wire = wire_with_rank_broadcast(format!("{name}.{index}"), model, extreme(self.larger, of), &pair)?[0];
        }
        Ok(tvec!(wire))
    }
}

fn common(types: &[DatumType]) -> TractResult<DatumType> {
    let names = || types.iter().map(|of| format!("{of:?}")).join(", ");
    DatumType::super_type_for(types).with_context(|| format!("no common type of {}", names()))
}
