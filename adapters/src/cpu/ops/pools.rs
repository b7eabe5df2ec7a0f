//! Pools of the largest, what is no number among them, and of norms: one axis after the other, each tap a pass over
//! numbers side by side.

use super::{
    Built, built,
    extremes::{Number, beats, most},
    kernel::{Kernel, Native},
    standard,
};
use tract_linalg::multithread::par_chunks_mut;
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_core::ops::{
        cnn::{MaxPool, PoolSpec},
        nn::DataFormat,
    },
    tract_hir::internal::*,
};

/// What stands for a pool of floats in the place of tract's; `None` for one of integers.
pub(in super::super) fn max_pool(pool: &MaxPool, of: DatumType) -> Option<Box<dyn TypedOp>> {
    let planes_first = pool.pool_spec.data_format == DataFormat::NCHW;
    (of.is_float() && planes_first).then(|| {
        let of = Of::Most { indices: pool.with_index_outputs };
        Box::new(Native(Pool { spec: pool.pool_spec.clone(), of })) as Box<dyn TypedOp>
    })
}

/// The windows of a `MaxPool`: their attributes are the same.
pub(super) fn lp_pool(context: &ParsingContext, node: &NodeProto) -> Built {
    let order = node.get_attr_opt("p")?.unwrap_or(2);
    ensure!(order > 0, "norms of order {order}");
    let windows = NodeProto { op_type: "MaxPool".into(), ..node.clone() };
    let (op, _) = standard(context, &windows)?;
    let inner = op.as_op().downcast_ref::<Box<dyn Expansion>>().context("a pool of another kind")?.clone();
    built(LpPool { inner, order })
}

#[derive(Clone, Debug)]
struct LpPool {
    inner: Box<dyn Expansion>,
    order: i64,
}

impl Expansion for LpPool {
    fn name(&self) -> StaticName {
        "LpPool".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        self.inner.rules(s, inputs, outputs)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let wire = self.inner.wire(prefix, model, inputs)?;
        let node = model.node_mut(wire[0].node);
        let spec = node.op_as::<MaxPool>().context("a pool of another kind")?.pool_spec.clone();
        node.op = Box::new(Native(Pool { spec, of: Of::Norm(self.order) }));
        Ok(wire)
    }
}

/// What is made of a window.
#[derive(Clone, Debug, PartialEq)]
enum Of {
    /// The largest, and the type in which a second output says where it was in its plane.
    Most { indices: Option<DatumType> },
    /// The norm of this order.
    Norm(i64),
}

#[derive(Clone, Debug, PartialEq)]
struct Pool {
    spec: PoolSpec,
    of: Of,
}

/// The windows along one axis.
struct Windows {
    before: usize,
    after: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pad: usize,
}

impl Windows {
    /// The place that a tap of a window reads, if it is none of the pads.
    fn place(&self, window: usize, tap: usize) -> Option<usize> {
        (window * self.stride + tap * self.dilation).checked_sub(self.pad).filter(|place| *place < self.before)
    }

    /// The windows of which a tap is in the input, and what it reads in the first of them.
    fn inside(&self, tap: usize) -> (std::ops::Range<usize>, usize) {
        let reach = tap * self.dilation;
        let first = self.pad.saturating_sub(reach).div_ceil(self.stride);
        let last = (self.before + self.pad).saturating_sub(reach).div_ceil(self.stride).min(self.after);
        (first..last.max(first), (first * self.stride + reach).saturating_sub(self.pad))
    }
}

impl Kernel for Pool {
    fn name(&self) -> &'static str {
        match self.of {
            Of::Most { .. } => "MaxPool",
            Of::Norm(_) => "LpPool",
        }
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut facts = self.spec.output_facts(inputs)?;
        if let Of::Most { indices: Some(of) } = self.of {
            facts.push(of.fact(facts[0].shape.clone()));
        }
        Ok(facts)
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let of = input.datum_type();
        let windows = self.windows(&input.shape()[2..]);
        let mut shape: TVec<usize> = input.shape()[..2].into();
        shape.extend(windows.iter().map(|windows| windows.after));
        let order = match self.of {
            Of::Most { indices: None } => {
                return Ok(tvec!(largest(&input, &windows, &shape)?.into_tvalue()));
            }
            Of::Most { indices: Some(indices) } => {
                let (found, places) = places(&input, &windows, &shape)?;
                let places = places.cast_to_dt(indices)?.into_owned();
                return Ok(tvec!(found.into_tvalue(), places.into_tvalue()));
            }
            Of::Norm(order) => order,
        };
        let mut powers = input.cast_to::<f64>()?.into_owned();
        let raised = |x: f64| if order == 2 { x * x } else { x.abs().powf(order as f64) };
        powers.try_as_plain_ram_mut()?.as_slice_mut::<f64>()?.iter_mut().for_each(|x| *x = raised(*x));
        let plain = powers.try_as_plain_ram()?;
        let mut found = pooled(plain.as_slice::<f64>()?, &windows, planes(&shape), 0.0, |a, b| a + b)?;
        found.iter_mut().for_each(|x| *x = x.powf(1.0 / order as f64));
        Ok(tvec!(Tensor::from_shape(&shape, &found)?.cast_to_dt(of)?.into_owned().into_tvalue()))
    }
}

fn planes(shape: &[usize]) -> usize {
    shape[0] * shape[1]
}

impl Pool {
    fn windows(&self, extents: &[usize]) -> Vec<Windows> {
        let padded = self.spec.computed_padding(extents);
        let windows = |(axis, &before): (usize, &usize)| Windows {
            before,
            after: padded[axis].convoluted,
            kernel: self.spec.kernel_shape[axis],
            stride: self.spec.stride(axis),
            dilation: self.spec.dilation(axis),
            pad: padded[axis].pad_before,
        };
        extents.iter().enumerate().map(windows).collect()
    }
}

fn largest(x: &Tensor, windows: &[Windows], shape: &[usize]) -> TractResult<Tensor> {
    let plain = x.try_as_plain_ram()?;
    macro_rules! each {
        ($type:ty) => {{
            let x = plain.as_slice::<$type>()?;
            let found = pooled(x, windows, planes(shape), <$type>::LOWEST, most::<$type, true>)?;
            Tensor::from_shape(shape, &found)
        }};
    }
    match x.datum_type() {
        DatumType::F16 => each!(f16),
        DatumType::F32 => each!(f32),
        DatumType::F64 => each!(f64),
        other => bail!("a pool of {other:?}"),
    }
}

fn places(x: &Tensor, windows: &[Windows], shape: &[usize]) -> TractResult<(Tensor, Tensor)> {
    let plain = x.try_as_plain_ram()?;
    macro_rules! each {
        ($type:ty) => {{
            let (found, places) = placed(plain.as_slice::<$type>()?, windows, planes(shape));
            Ok((Tensor::from_shape(shape, &found)?, Tensor::from_shape(shape, &places)?))
        }};
    }
    match x.datum_type() {
        DatumType::F16 => each!(f16),
        DatumType::F32 => each!(f32),
        DatumType::F64 => each!(f64),
        other => bail!("a pool of {other:?}"),
    }
}

/// Pools every plane, the last axis first: there are fewest passes where numbers are not side by side.
fn pooled<T: Copy + Send + Sync>(
    x: &[T],
    windows: &[Windows],
    planes: usize,
    start: T,
    of: impl Fn(T, T) -> T + Copy + Sync + Send,
) -> TractResult<Vec<T>> {
    let before: usize = windows.iter().map(|windows| windows.before).product();
    let after: usize = windows.iter().map(|windows| windows.after).product();
    let mut found = vec![start; planes * after];
    if found.is_empty() {
        return Ok(found);
    }
    par_chunks_mut(&mut found, after, x.len(), |first, found| {
        for (index, found) in found.chunks_exact_mut(after).enumerate() {
            let mut plane = Cow::Borrowed(&x[(first + index) * before..][..before]);
            let mut inner = 1;
            for (axis, windows_of_axis) in windows.iter().enumerate().rev() {
                let outer: usize = windows[..axis].iter().map(|windows| windows.before).product();
                let mut next = vec![start; outer * windows_of_axis.after * inner];
                fold_axis(&plane, &mut next, inner, windows_of_axis, of);
                inner *= windows_of_axis.after;
                plane = Cow::Owned(next);
            }
            found.copy_from_slice(&plane);
        }
        Ok(())
    })?;
    Ok(found)
}

fn fold_axis<T: Copy>(x: &[T], found: &mut [T], inner: usize, windows: &Windows, of: impl Fn(T, T) -> T) {
    let fold = |found: &mut [T], x: &[T]| found.iter_mut().zip(x).for_each(|(found, x)| *found = of(*found, *x));
    let (before, after) = (windows.before * inner, windows.after * inner);
    if before == 0 || after == 0 {
        return;
    }
    for (x, found) in x.chunks_exact(before).zip(found.chunks_exact_mut(after)) {
        for (range, from) in (0..windows.kernel).map(|tap| windows.inside(tap)).filter(|(range, _)| !range.is_empty()) {
            let (found, x) = (&mut found[range.start * inner..range.end * inner], &x[from * inner..]);
            match (inner, windows.stride) {
                (_, 1) => fold(found, x),
                (1, stride) => {
                    found.iter_mut().zip(x.iter().step_by(stride)).for_each(|(found, x)| *found = of(*found, *x));
                }
                (_, stride) => {
                    found.chunks_exact_mut(inner).zip(x.chunks(stride * inner)).for_each(|(found, x)| fold(found, x));
                }
            }
        }
    }
}

/// The largest of every window, and where in its plane the first of them is.
fn placed<T: Number>(x: &[T], windows: &[Windows], planes: usize) -> (Vec<T>, Vec<i64>) {
    let before: usize = windows.iter().map(|windows| windows.before).product();
    let after: usize = windows.iter().map(|windows| windows.after).product();
    let taps: usize = windows.iter().map(|windows| windows.kernel).product();
    let (mut found, mut places) = (Vec::with_capacity(planes * after), Vec::with_capacity(planes * after));
    for plane in 0..planes {
        let x = &x[plane * before..][..before];
        for window in 0..after {
            let mut best: Option<(T, usize)> = None;
            for place in (0..taps).filter_map(|tap| place(window, tap, windows)) {
                if best.is_none_or(|(best, _)| beats(x[place], best, true, false)) {
                    best = Some((x[place], place));
                }
            }
            let (value, place) = best.unwrap_or((T::LOWEST, 0));
            found.push(value);
            places.push(place as i64);
        }
    }
    (found, places)
}

/// The place in a plane that a tap of a window reads.
fn place(mut window: usize, mut tap: usize, windows: &[Windows]) -> Option<usize> {
    let (mut place, mut step) = (0, 1);
    for axis in windows.iter().rev() {
        place += axis.place(window % axis.after, tap % axis.kernel)? * step;
        step *= axis.before;
        window /= axis.after;
        tap /= axis.kernel;
    }
    Some(place)
}
