//! The largest or smallest along an axis: what is no number is the largest, of equals the first comes first.

use super::{
    Built, axis_of, built,
    kernel::{Kernel, Native},
};
use std::cmp::Ordering;
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_hir::{internal::*, tract_core::ops::cast::wire_cast},
};

pub(super) fn topk(_: &ParsingContext, node: &NodeProto) -> Built {
    built(TopK {
        axis: node.get_attr_opt("axis")?.unwrap_or(-1),
        largest: node.get_attr_opt("largest")?.unwrap_or(1i64) == 1,
        count: node.get_attr_opt("k")?,
    })
}

/// `TopK`, whose number is an attribute before opset 10.
#[derive(Clone, Debug)]
struct TopK {
    axis: i64,
    largest: bool,
    count: Option<i64>,
}

impl TopK {
    /// The number, if it is known.
    fn count(&self, told: Option<&Tensor>) -> TractResult<TDim> {
        let told = match (self.count, told) {
            (Some(count), _) => return Ok(count.to_dim()),
            (None, Some(told)) => told.cast_to::<TDim>()?.into_owned(),
            (None, None) => bail!("a number that its inputs decide"),
        };
        let told = told.try_as_plain_ram()?.as_slice::<TDim>()?.first().cloned();
        told.context("no number is given")
    }

    fn shape(&self, shape: &[TDim], count: TDim) -> TractResult<TVec<TDim>> {
        let axis = axis_of(self.axis, shape.len())?;
        if let (Ok(count), Ok(extent)) = (count.to_i64(), shape[axis].to_i64()) {
            ensure!((0..=extent).contains(&count), "the first {count} of {extent}");
        }
        let mut shape: TVec<TDim> = shape.into();
        shape[axis] = count;
        Ok(shape)
    }
}

impl Expansion for TopK {
    fn name(&self) -> StaticName {
        "TopK".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(2)
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, if self.count.is_some() { 1 } else { 2 })?;
        check_output_arity(outputs, 2)?;
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.equals(&outputs[1].datum_type, i64::datum_type())?;
        s.equals(&inputs[0].rank, &outputs[0].rank)?;
        s.equals(&inputs[0].rank, &outputs[1].rank)?;
        let fill = move |s: &mut Solver<'r>, shape: &[TDim], told: Option<&Tensor>| {
            let shape = self.shape(shape, self.count(told)?)?;
            s.equals(&outputs[0].shape, shape.clone())?;
            s.equals(&outputs[1].shape, shape)
        };
        if self.count.is_some() {
            return s.given(&inputs[0].shape, move |s, shape| fill(s, &shape, None));
        }
        s.given_2(&inputs[0].shape, &inputs[1].value, move |s, shape, told| fill(s, &shape, Some(&told)))
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let fact = model.outlet_fact(inputs[0])?.clone();
        let told = inputs.get(1).map(|count| model.outlet_fact(*count).map(|fact| fact.konst.clone())).transpose()?;
        let count = self.count(told.flatten().as_deref())?;
        let axis = axis_of(self.axis, fact.rank())?;
        self.shape(&fact.shape, count.clone())?;
        let mut wires = tvec!(inputs[0]);
        if let Some(count) = inputs.get(1) {
            wires.extend(wire_cast(format!("{prefix}.count"), model, &[*count], DatumType::I64)?);
        }
        model.wire_node(prefix, Native(Sorted { axis, largest: self.largest, count }), &wires)
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Sorted {
    axis: usize,
    largest: bool,
    /// Symbolic where a second input tells it.
    count: TDim,
}

impl Kernel for Sorted {
    fn name(&self) -> &'static str {
        "TopK"
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape = inputs[0].shape.to_tvec();
        shape[self.axis] = self.count.clone();
        Ok(tvec!(inputs[0].datum_type.fact(shape.clone()), i64::fact(shape)))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let count = match inputs.get(1) {
            Some(count) => count.try_as_plain_ram()?.as_slice::<i64>()?.first().copied().unwrap_or(0),
            None => self.count.to_i64()?,
        };
        let extent = inputs[0].shape()[self.axis];
        ensure!((0..=extent as i64).contains(&count), "the first {count} of {extent}");
        let count = count as usize;
        let (x, largest) = (&inputs[0], self.largest);
        macro_rules! each {
            ($type:ty, $order:expr) => {{ sorted::<$type>(x, self.axis, count, largest, $order)? }};
        }
        let (values, places) = match x.datum_type() {
            DatumType::F16 => {
                each!(f16, |a, b| a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(b).unwrap_or(Ordering::Equal)))
            }
            DatumType::F32 => {
                each!(f32, |a, b| a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(b).unwrap_or(Ordering::Equal)))
            }
            DatumType::F64 => {
                each!(f64, |a, b| a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(b).unwrap_or(Ordering::Equal)))
            }
            DatumType::I8 => each!(i8, Ord::cmp),
            DatumType::I16 => each!(i16, Ord::cmp),
            DatumType::I32 => each!(i32, Ord::cmp),
            DatumType::I64 => each!(i64, Ord::cmp),
            DatumType::U8 => each!(u8, Ord::cmp),
            DatumType::U16 => each!(u16, Ord::cmp),
            DatumType::U32 => each!(u32, Ord::cmp),
            DatumType::U64 => each!(u64, Ord::cmp),
            other => bail!("the largest of {other:?}"),
        };
        Ok(tvec!(values.into_tvalue(), places.into_tvalue()))
    }
}

fn sorted<T: Datum + Copy>(
    x: &Tensor,
    axis: usize,
    count: usize,
    largest: bool,
    order: impl Fn(&T, &T) -> Ordering,
) -> TractResult<(Tensor, Tensor)> {
    let shape = x.shape();
    let (extent, inner): (usize, usize) = (shape[axis], shape[axis + 1..].iter().product());
    let outer: usize = shape[..axis].iter().product();
    let plain = x.try_as_plain_ram()?;
    let values = plain.as_slice::<T>()?;
    let mut after: TVec<usize> = shape.into();
    after[axis] = count;
    let (mut found, mut places) = (Tensor::zero_dt(x.datum_type(), &after)?, Tensor::zero::<i64>(&after)?);
    let (mut found_plain, mut places_plain) = (found.try_as_plain_ram_mut()?, places.try_as_plain_ram_mut()?);
    let (found_slice, places_slice) = (found_plain.as_slice_mut::<T>()?, places_plain.as_slice_mut::<i64>()?);
    for run in 0..outer * inner {
        let (first, step) = (run / inner * extent * inner + run % inner, inner);
        let value = |place: &usize| &values[first + place * step];
        let compare = |a: &usize, b: &usize| {
            let by_value = order(value(a), value(b));
            (if largest { by_value.reverse() } else { by_value }).then(a.cmp(b))
        };
        let mut all: Vec<usize> = (0..extent).collect();
        if count > 0 && count < extent {
            all.select_nth_unstable_by(count - 1, compare);
            all.truncate(count);
        }
        all.sort_unstable_by(compare);
        let to = run / inner * count * inner + run % inner;
        for (index, place) in all.iter().take(count).enumerate() {
            found_slice[to + index * inner] = *value(place);
            places_slice[to + index * inner] = *place as i64;
        }
    }
    Ok((found, places))
}
