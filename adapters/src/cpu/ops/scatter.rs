//! Updates of which the largest or the smallest stays, what is no number among them.

use super::{
    axis_of,
    extremes::{Number, most},
    kernel::{Kernel, Native},
};
use tract_onnx::{
    tract_core::ops::array::{ScatterElements, ScatterNd, ScatterReduction},
    tract_hir::internal::*,
};

/// What stands for a scatter of floats in the place of tract's; `None` for one that tract has right.
pub(in super::super) fn scatter(op: &dyn TypedOp, of: DatumType) -> Option<Box<dyn TypedOp>> {
    let (along, reduction) = if let Some(op) = op.downcast_ref::<ScatterNd>() {
        (None, op.reduction)
    } else {
        let op = op.downcast_ref::<ScatterElements>()?;
        (Some(op.axis), op.reduction)
    };
    let larger = match reduction {
        ScatterReduction::Max => true,
        ScatterReduction::Min => false,
        _ => return None,
    };
    of.is_float().then(|| Box::new(Native(Scatter { along, larger })) as Box<dyn TypedOp>)
}

#[derive(Clone, Debug, PartialEq)]
struct Scatter {
    /// The axis that indices are of; without one, rows of indices are of the first axes.
    along: Option<usize>,
    larger: bool,
}

impl Kernel for Scatter {
    fn name(&self) -> &'static str {
        "Scatter"
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(inputs[0].without_value()))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (data, indices, updates) = args_3!(inputs);
        ensure!(data.datum_type() == updates.datum_type(), "updates of another type");
        let indices = indices.cast_to::<i64>()?;
        let places = match self.along {
            Some(axis) => places_along(axis, data.shape(), &indices)?,
            None => places_of_rows(data.shape(), &indices)?,
        };
        let mut data = data.into_tensor();
        let each = updates.len() / places.len().max(1);
        macro_rules! each {
            ($type:ty) => {{
                let (mut data, updates) = (data.try_as_plain_ram_mut()?, updates.try_as_plain_ram()?);
                let (data, updates) = (data.as_slice_mut::<$type>()?, updates.as_slice::<$type>()?);
                let of = if self.larger { most::<$type, true> } else { most::<$type, false> };
                apply(data, updates, &places, each, of)?;
            }};
        }
        match data.datum_type() {
            DatumType::F16 => each!(f16),
            DatumType::F32 => each!(f32),
            DatumType::F64 => each!(f64),
            other => bail!("the largest of {other:?}"),
        }
        Ok(tvec!(data.into_tvalue()))
    }
}

fn apply<T: Number>(
    data: &mut [T],
    updates: &[T],
    places: &[usize],
    each: usize,
    of: fn(T, T) -> T,
) -> TractResult<()> {
    ensure!(updates.len() == places.len() * each, "{} updates for {} indices", updates.len(), places.len());
    if each == 0 {
        return Ok(());
    }
    for (place, updates) in places.iter().zip(updates.chunks_exact(each)) {
        let data = data.get_mut(*place..place + each).context("updates beyond the data")?;
        data.iter_mut().zip(updates).for_each(|(data, update)| *data = of(*data, *update));
    }
    Ok(())
}

/// Where the numbers of each row of indices begin.
fn places_of_rows(shape: &[usize], indices: &Tensor) -> TractResult<Vec<usize>> {
    let each = *indices.shape().last().context("indices without axes")?;
    ensure!(each <= shape.len(), "{each} indices into {} axes", shape.len());
    let rows: usize = indices.shape()[..indices.rank() - 1].iter().product();
    let plain = indices.try_as_plain_ram()?;
    let indices = plain.as_slice::<i64>()?;
    let place = |row: usize| -> TractResult<usize> {
        let mut place = 0;
        for (index, extent) in indices[row * each..][..each].iter().zip(shape) {
            place = place * extent + index_of(*index, *extent)?;
        }
        Ok(place * shape[each..].iter().product::<usize>())
    };
    (0..rows).map(place).collect()
}

/// Where each update goes, whose place but for one axis is its own.
fn places_along(axis: usize, shape: &[usize], indices: &Tensor) -> TractResult<Vec<usize>> {
    let own = indices.shape();
    ensure!(own.len() == shape.len(), "{} axes of indices into {}", own.len(), shape.len());
    let fits = |other: usize| other == axis || own[other] <= shape[other];
    ensure!((0..own.len()).all(fits), "indices of {own:?} into {shape:?}");
    let plain = indices.try_as_plain_ram()?;
    let place = |(at, index): (usize, &i64)| -> TractResult<usize> {
        let (mut rest, mut place, mut step) = (at, 0, 1);
        for along in (0..shape.len()).rev() {
            let own_place = rest % own[along];
            rest /= own[along];
            place += step * if along == axis { index_of(*index, shape[axis])? } else { own_place };
            step *= shape[along];
        }
        Ok(place)
    };
    plain.as_slice::<i64>()?.iter().enumerate().map(place).collect()
}

fn index_of(index: i64, extent: usize) -> TractResult<usize> {
    axis_of(index, extent).map_err(|_| format_err!("index {index} of {extent}"))
}
