//! Sums and what is made of them along axes, in FP64 or in 64-bit integers whatever the type is.

use super::{
    Built, axis_of, built,
    kernel::{Kernel, Native},
    runs::{Runs, along, rows},
};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_hir::{
        internal::*,
        ops::nn as hir,
        tract_core::ops::{
            binary::TypedBinOp,
            cast::wire_cast,
            element_wise::ElementWiseOp,
            math::{Mul, Pow, Square},
        },
    },
};

/// Of so many squares or fewer, a sum in FP32 is good to a hundredth of a thousandth: they do not cancel out. tract has
/// one operator for what is normalised by them.
const SHORT_MAX: i64 = 1024;

/// What is made of the numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sum {
    Plain,
    Mean,
    Squares,
    L1,
    L2,
    /// The norm of this order.
    Lp(i64),
    Log,
    LogExp,
}

/// Which axes go.
#[derive(Clone, Debug, PartialEq)]
enum Axes {
    All,
    Given(Vec<i64>),
    /// The second input says it.
    Input,
    /// All but the first two.
    Spatial,
}

pub(super) fn reduce(context: &ParsingContext, node: &NodeProto) -> Built {
    let sum = match node.op_type.as_str() {
        "ReduceSum" => Sum::Plain,
        "ReduceMean" => Sum::Mean,
        "ReduceSumSquare" => Sum::Squares,
        "ReduceL1" => Sum::L1,
        "ReduceL2" => Sum::L2,
        "ReduceLogSum" => Sum::Log,
        _ => Sum::LogExp,
    };
    let since = if node.op_type == "ReduceSum" { 13 } else { 18 };
    let axes = if context.onnx_operator_set_version >= since {
        if node.input.len() == 2 { Axes::Input } else { Axes::All }
    } else {
        node.get_attr_opt_vec("axes")?.map_or(Axes::All, Axes::Given)
    };
    let keep = node.get_attr_opt("keepdims")?.unwrap_or(1i64) == 1;
    let noop = node.get_attr_opt("noop_with_empty_axes")?.unwrap_or(0i64) == 1;
    built(Reduction { sum, axes, keep, noop })
}

pub(super) fn global_average_pool(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Reduction { sum: Sum::Mean, axes: Axes::Spatial, keep: true, noop: false })
}

pub(super) fn global_lp_pool(_: &ParsingContext, node: &NodeProto) -> Built {
    let order = node.get_attr_opt("p")?.unwrap_or(2);
    built(Reduction { sum: Sum::Lp(order), axes: Axes::Spatial, keep: true, noop: false })
}

/// A reduction as ONNX has it.
#[derive(Clone, Debug)]
struct Reduction {
    sum: Sum,
    axes: Axes,
    keep: bool,
    /// Without axes nothing is summed up.
    noop: bool,
}

impl Reduction {
    /// The axes of an input of this rank; `told` is what the second input says.
    fn resolved(&self, rank: usize, told: Option<&Tensor>) -> TractResult<TVec<usize>> {
        let given = match (&self.axes, told) {
            (Axes::Spatial, _) => return Ok((2..rank).collect()),
            (Axes::Given(axes), _) => axes.clone(),
            (Axes::Input, Some(axes)) => axes.cast_to::<i64>()?.try_as_plain_ram()?.as_slice::<i64>()?.to_vec(),
            (Axes::Input, None) => bail!("axes that its inputs decide"),
            (Axes::All, _) => Vec::new(),
        };
        if given.is_empty() {
            return Ok(if self.noop { tvec!() } else { (0..rank).collect() });
        }
        let mut axes: TVec<usize> = given.iter().map(|axis| axis_of(*axis, rank)).collect::<TractResult<_>>()?;
        axes.sort_unstable();
        axes.dedup();
        Ok(axes)
    }

    fn shape(&self, axes: &[usize], extents: &[TDim]) -> TVec<TDim> {
        let kept = extents.iter().enumerate().filter(|(axis, _)| self.keep || !axes.contains(axis));
        kept.map(|(axis, extent)| if axes.contains(&axis) { 1.to_dim() } else { extent.clone() }).collect()
    }

    /// Whether tract's own sum is near enough.
    fn is_short(&self, model: &TypedModel, input: OutletId, axes: &[usize]) -> TractResult<bool> {
        let fact = model.outlet_fact(input)?;
        let count: TDim = axes.iter().map(|axis| &fact.shape[*axis]).product();
        let short = count.to_i64().is_ok_and(|count| (1..=SHORT_MAX).contains(&count));
        let plain = fact.datum_type == DatumType::F32 && matches!(self.sum, Sum::Plain | Sum::Mean);
        Ok(plain && short && !axes.is_empty() && is_square(model.node(input.node)))
    }
}

impl Expansion for Reduction {
    fn name(&self) -> StaticName {
        format!("{:?}", self.sum).into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, if self.axes == Axes::Input { 2 } else { 1 })?;
        check_output_arity(outputs, 1)?;
        s.equals(&outputs[0].datum_type, &inputs[0].datum_type)?;
        if self.axes == Axes::Input {
            return s.given_2(&inputs[0].shape, &inputs[1].value, move |s, shape, axes| {
                let axes = self.resolved(shape.len(), Some(&axes))?;
                s.equals(&outputs[0].shape, self.shape(&axes, &shape))
            });
        }
        s.given(&inputs[0].shape, move |s, shape| {
            let axes = self.resolved(shape.len(), None)?;
            s.equals(&outputs[0].shape, self.shape(&axes, &shape))
        })
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let fact = model.outlet_fact(inputs[0])?.clone();
        let told = inputs.get(1).map(|axes| model.outlet_fact(*axes).map(|fact| fact.konst.clone())).transpose()?;
        let axes = self.resolved(fact.rank(), told.flatten().as_deref())?;
        let mut wire: TVec<OutletId> = inputs[..1].into();
        if self.is_short(model, inputs[0], &axes)? {
            let reducer = if self.sum == Sum::Mean { hir::Reducer::Mean } else { hir::Reducer::Sum };
            wire = tvec!(reducer.wire(axes.clone(), name, model, wire[0])?);
        } else {
            let extents = fact.datum_type == TDim::datum_type();
            if extents {
                wire = wire_cast(format!("{name}.long"), model, &wire, DatumType::I64)?;
            }
            wire = model.wire_node(name, Native(Fold { sum: self.sum, axes: axes.clone() }), &wire)?;
            if extents {
                wire = model.wire_node(format!("{name}.extents"), super::extents(), &wire)?;
            }
        }
        for axis in axes.iter().rev().filter(|_| !self.keep) {
            wire = model.wire_node(format!("{name}.without-{axis}"), AxisOp::Rm(*axis), &wire)?;
        }
        Ok(wire)
    }
}

/// A reduction that keeps the axes, with an extent of 1.
#[derive(Clone, Debug, PartialEq)]
struct Fold {
    sum: Sum,
    axes: TVec<usize>,
}

impl Kernel for Fold {
    fn name(&self) -> &'static str {
        "Fold"
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape = inputs[0].shape.to_tvec();
        self.axes.iter().for_each(|axis| shape[*axis] = 1.to_dim());
        Ok(tvec!(inputs[0].datum_type.fact(shape)))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let mut shape: TVec<usize> = input.shape().into();
        self.axes.iter().for_each(|axis| shape[*axis] = 1);
        let (x, runs) = along(input.into_tensor(), &self.axes)?;
        if runs.inner > 1 && x.datum_type() == DatumType::F32 && matches!(self.sum, Sum::Plain | Sum::Mean) {
            let plain = x.try_as_plain_ram()?;
            let sums = self.columns(plain.as_slice::<f32>()?, runs);
            return Ok(tvec!(Tensor::from_shape(&shape, &sums)?.into_tvalue()));
        }
        let (x, runs) = if runs.inner > 1 { rows(x, &self.axes)? } else { (x, runs) };
        let mut output = Tensor::zero_dt(x.datum_type(), &shape)?;
        self.fold(&x, runs.count, &mut output)?;
        Ok(tvec!(output.into_tvalue()))
    }
}

/// Whether a value is a product of something with itself, or a power.
fn is_square(node: &TypedNode) -> bool {
    if let Some(op) = node.op_as::<ElementWiseOp>() {
        return op.0.is::<Square>();
    }
    let Some(op) = node.op_as::<TypedBinOp>() else { return false };
    op.0.is::<Pow>() || (op.0.is::<Mul>() && node.inputs[0] == node.inputs[1])
}

impl Fold {
    /// Sums whose numbers lie apart, many of them at a time.
    fn columns(&self, x: &[f32], runs: Runs) -> Vec<f32> {
        let Runs { outer, count, inner } = runs;
        if count == 0 {
            let none = if self.sum == Sum::Mean { f32::NAN } else { 0.0 };
            return vec![none; outer * inner];
        }
        let mut found = Vec::with_capacity(outer * inner);
        for block in x.chunks_exact(count * inner) {
            let mut sums = vec![0.0f64; inner];
            for row in block.chunks_exact(inner) {
                sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
            }
            let by = if self.sum == Sum::Mean { count as f64 } else { 1.0 };
            found.extend(sums.iter().map(|sum| (sum / by) as f32));
        }
        found
    }

    /// Folds each run of `count` numbers.
    fn fold(&self, rows: &Tensor, count: usize, output: &mut Tensor) -> TractResult<()> {
        macro_rules! each {
            ($type:ty, $of:expr) => {{
                let (rows, mut output) = (rows.try_as_plain_ram()?, output.try_as_plain_ram_mut()?);
                let (rows, output) = (rows.as_slice::<$type>()?, output.as_slice_mut::<$type>()?);
                let of: fn(Sum, &[$type]) -> $type = $of;
                for (index, to) in output.iter_mut().enumerate() {
                    *to = of(self.sum, &rows[index * count..][..count]);
                }
            }};
        }
        match rows.datum_type() {
            DatumType::F16 => each!(f16, |sum, row| f16::from_f64(float(sum, row, f16::to_f64))),
            DatumType::F32 => each!(f32, |sum, row| float(sum, row, f64::from) as f32),
            DatumType::F64 => each!(f64, |sum, row| float(sum, row, |x| x)),
            DatumType::I8 => each!(i8, |sum, row| whole(sum, row.iter().map(|x| i64::from(*x))) as i8),
            DatumType::I16 => each!(i16, |sum, row| whole(sum, row.iter().map(|x| i64::from(*x))) as i16),
            DatumType::I32 => each!(i32, |sum, row| whole(sum, row.iter().map(|x| i64::from(*x))) as i32),
            DatumType::I64 => each!(i64, |sum, row| whole(sum, row.iter().copied())),
            DatumType::U8 => each!(u8, |sum, row| natural(sum, row.iter().map(|x| u64::from(*x))) as u8),
            DatumType::U16 => each!(u16, |sum, row| natural(sum, row.iter().map(|x| u64::from(*x))) as u16),
            DatumType::U32 => each!(u32, |sum, row| natural(sum, row.iter().map(|x| u64::from(*x))) as u32),
            DatumType::U64 => each!(u64, |sum, row| natural(sum, row.iter().copied())),
            other => bail!("a sum of {other:?}"),
        }
        Ok(())
    }
}

/// A sum of doubles in eight strands, each a block at a time: its error does not grow with the number.
pub(super) fn added<T: Copy>(row: &[T], of: impl Fn(T) -> f64) -> f64 {
    const BLOCK: usize = 4096;
    let block = |block: &[T]| {
        let mut strands = [0.0; 8];
        let (whole, rest) = block.as_chunks::<8>();
        for chunk in whole {
            for (strand, value) in strands.iter_mut().zip(chunk) {
                *strand += of(*value);
            }
        }
        strands.iter().sum::<f64>() + rest.iter().map(|value| of(*value)).sum::<f64>()
    };
    row.chunks(BLOCK).map(block).sum()
}

fn float<T: Copy>(sum: Sum, row: &[T], wide: impl Fn(T) -> f64 + Copy) -> f64 {
    let largest = |of: fn(f64) -> f64, from: f64| {
        row.iter().map(|x| of(wide(*x))).fold(from, |a, b| if b > a || b.is_nan() { b } else { a })
    };
    match sum {
        Sum::Plain => added(row, wide),
        Sum::Mean => added(row, wide) / row.len() as f64,
        Sum::Squares => added(row, |x| wide(x) * wide(x)),
        Sum::L1 | Sum::Lp(1) => added(row, |x| wide(x).abs()),
        Sum::L2 | Sum::Lp(2) => {
            let plain = added(row, |x| wide(x) * wide(x));
            if plain.is_normal() || row.iter().all(|x| wide(*x) == 0.0) {
                return plain.sqrt();
            }
            let scale = largest(f64::abs, 0.0);
            if !scale.is_finite() {
                return scale;
            }
            scale * added(row, |x| (wide(x) / scale).powi(2)).sqrt()
        }
        Sum::Lp(order) => added(row, |x| wide(x).abs().powf(order as f64)).powf(1.0 / order as f64),
        Sum::Log => added(row, wide).ln(),
        Sum::LogExp => {
            let most = largest(|x| x, f64::NEG_INFINITY);
            if !most.is_finite() {
                return most;
            }
            most + added(row, |x| (wide(x) - most).exp()).ln()
        }
    }
}

/// Wraps as integers do. What is no integer loses its fraction.
fn whole(sum: Sum, row: impl ExactSizeIterator<Item = i64> + Clone) -> i64 {
    let count = row.len() as i64;
    match sum {
        Sum::Plain => row.fold(0, i64::wrapping_add),
        Sum::Mean if count == 0 => 0,
        Sum::Mean => row.fold(0, i64::wrapping_add) / count,
        Sum::Squares => row.fold(0, |sum, x| sum.wrapping_add(x.wrapping_mul(x))),
        Sum::L1 => row.fold(0, |sum, x| sum.wrapping_add(x.wrapping_abs())),
        other => float(other, &row.map(|x| x as f64).collect::<Vec<_>>(), |x| x) as i64,
    }
}

fn natural(sum: Sum, row: impl ExactSizeIterator<Item = u64> + Clone) -> u64 {
    let count = row.len() as u64;
    match sum {
        Sum::Plain | Sum::L1 => row.fold(0, u64::wrapping_add),
        Sum::Mean if count == 0 => 0,
        Sum::Mean => row.fold(0, u64::wrapping_add) / count,
        Sum::Squares => row.fold(0, |sum, x| sum.wrapping_add(x.wrapping_mul(x))),
        other => float(other, &row.map(|x| x as f64).collect::<Vec<_>>(), |x| x) as u64,
    }
}
