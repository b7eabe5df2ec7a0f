//! The largest and the smallest along axes, and where they are. What is no number wins over every number.

use super::{
    kernel::{Kernel, Native},
    runs::{Runs, along},
};
use tract_linalg::multithread::par_chunks_mut;
use tract_onnx::{
    tract_core::ops::nn::{Reduce, Reducer},
    tract_hir::internal::*,
};

/// Floats of any width.
pub(super) trait Number: Datum + Copy + PartialOrd {
    const LOWEST: Self;
    const HIGHEST: Self;

    fn is_none(self) -> bool;
}

macro_rules! number {
    ($($type:ty)*) => {$(
        impl Number for $type {
            const LOWEST: Self = Self::NEG_INFINITY;
            const HIGHEST: Self = Self::INFINITY;

            fn is_none(self) -> bool {
                self.is_nan()
            }
        }
    )*};
}

number!(f16 f32 f64);

/// The larger or the smaller of two, in a form that compilers vectorise.
pub(super) fn most<T: Number, const LARGER: bool>(a: T, b: T) -> T {
    let first = if LARGER { a >= b } else { a <= b };
    if first | a.is_none() { a } else { b }
}

/// Whether `x` takes the place of `best`, which came before it.
pub(super) fn beats<T: Number>(x: T, best: T, larger: bool, last: bool) -> bool {
    if best.is_none() {
        return last && x.is_none();
    }
    x.is_none() || (if larger { x > best } else { x < best }) || (last && x == best)
}

/// What stands for a reduction of floats in the place of tract's; `None` for one of something else.
pub(in super::super) fn extreme(reduce: &Reduce, of: DatumType) -> Option<Box<dyn TypedOp>> {
    let axes = reduce.axes.clone();
    if !of.is_float() {
        return None;
    }
    Some(match reduce.reducer {
        Reducer::Max => Box::new(Native(Most { axes, larger: true })),
        Reducer::Min => Box::new(Native(Most { axes, larger: false })),
        Reducer::ArgMax(last) => Box::new(Native(Place { axes, larger: true, last })),
        Reducer::ArgMin(last) => Box::new(Native(Place { axes, larger: false, last })),
        _ => return None,
    })
}

/// A reduction that keeps the axes, with an extent of 1. Of no numbers it is infinite.
#[derive(Clone, Debug, PartialEq)]
struct Most {
    axes: TVec<usize>,
    larger: bool,
}

fn reduced(fact: &TypedFact, of: DatumType, axes: &[usize]) -> TVec<TypedFact> {
    let mut shape = fact.shape.to_tvec();
    axes.iter().for_each(|axis| shape[*axis] = 1.to_dim());
    tvec!(of.fact(shape))
}

impl Kernel for Most {
    fn name(&self) -> &'static str {
        if self.larger { "Largest" } else { "Smallest" }
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(reduced(inputs[0], inputs[0].datum_type, &self.axes))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let mut shape: TVec<usize> = input.shape().into();
        self.axes.iter().for_each(|axis| shape[*axis] = 1);
        let (x, runs) = along(input.into_tensor(), &self.axes)?;
        macro_rules! each {
            ($type:ty) => {{
                let plain = x.try_as_plain_ram()?;
                let x = plain.as_slice::<$type>()?;
                let found =
                    if self.larger { folded::<$type, true>(x, runs)? } else { folded::<$type, false>(x, runs)? };
                Tensor::from_shape(&shape, &found)?
            }};
        }
        let found = match x.datum_type() {
            DatumType::F16 => each!(f16),
            DatumType::F32 => each!(f32),
            DatumType::F64 => each!(f64),
            other => bail!("the largest of {other:?}"),
        };
        Ok(tvec!(found.into_tvalue()))
    }
}

fn folded<T: Number, const LARGER: bool>(x: &[T], runs: Runs) -> TractResult<Vec<T>> {
    let Runs { outer, count, inner } = runs;
    let mut found = vec![if LARGER { T::LOWEST } else { T::HIGHEST }; outer * inner];
    if count == 0 || found.is_empty() {
        return Ok(found);
    }
    par_chunks_mut(&mut found, inner, x.len(), |first, found| {
        let blocks = x[first * count * inner..].chunks_exact(count * inner);
        for (found, block) in found.chunks_exact_mut(inner).zip(blocks) {
            if let [found] = found {
                *found = of_row::<T, LARGER>(block, *found);
                continue;
            }
            for row in block.chunks_exact(inner) {
                found.iter_mut().zip(row).for_each(|(found, x)| *found = most::<T, LARGER>(*found, *x));
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// Of numbers side by side, in strands that compilers put into one register.
fn of_row<T: Number, const LARGER: bool>(row: &[T], start: T) -> T {
    let mut strands = [start; 16];
    let (whole, rest) = row.as_chunks::<16>();
    for chunk in whole {
        strands.iter_mut().zip(chunk).for_each(|(strand, x)| *strand = most::<T, LARGER>(*strand, *x));
    }
    strands.iter().chain(rest).fold(start, |a, b| most::<T, LARGER>(a, *b))
}

/// The place of the first or the last of the largest or the smallest.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    axes: TVec<usize>,
    larger: bool,
    last: bool,
}

impl Kernel for Place {
    fn name(&self) -> &'static str {
        if self.larger { "PlaceOfLargest" } else { "PlaceOfSmallest" }
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(reduced(inputs[0], DatumType::I64, &self.axes))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let mut shape: TVec<usize> = input.shape().into();
        self.axes.iter().for_each(|axis| shape[*axis] = 1);
        let (x, runs) = along(input.into_tensor(), &self.axes)?;
        let plain = x.try_as_plain_ram()?;
        let found = match x.datum_type() {
            DatumType::F16 => self.places(plain.as_slice::<f16>()?, runs),
            DatumType::F32 => self.places(plain.as_slice::<f32>()?, runs),
            DatumType::F64 => self.places(plain.as_slice::<f64>()?, runs),
            other => bail!("the place of the largest of {other:?}"),
        };
        Ok(tvec!(Tensor::from_shape(&shape, &found)?.into_tvalue()))
    }
}

impl Place {
    fn places<T: Number>(&self, x: &[T], runs: Runs) -> Vec<i64> {
        let Runs { outer, count, inner } = runs;
        let mut found = vec![0; outer * inner];
        if count == 0 || found.is_empty() {
            return found;
        }
        for (found, block) in found.chunks_exact_mut(inner).zip(x.chunks_exact(count * inner)) {
            let mut best = block[..inner].to_vec();
            for (place, row) in block.chunks_exact(inner).enumerate().skip(1) {
                for ((found, best), x) in found.iter_mut().zip(&mut best).zip(row) {
                    if beats(*x, *best, self.larger, self.last) {
                        (*found, *best) = (place as i64, *x);
                    }
                }
            }
        }
        found
    }
}
