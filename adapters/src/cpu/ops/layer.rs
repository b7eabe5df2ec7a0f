//! Layer normalisation: its mean first, then the squares of what is left, both in FP64 whatever the type is.

use super::{
    Built, axis_of, built,
    fold::added,
    kernel::{Kernel, Native},
};
use tract_linalg::multithread::par_chunks_mut;
use tract_onnx::{
    model::{ParsingContext, optional_outputs},
    pb::NodeProto,
    tract_hir::internal::*,
};

pub(super) fn layer_norm(_: &ParsingContext, node: &NodeProto) -> Built {
    let mut wanted = optional_outputs(node).skip(1).map(|output| output.is_some());
    let mut next = || wanted.next().unwrap_or(false);
    built(LayerNorm {
        axis: node.get_attr_opt("axis")?.unwrap_or(-1),
        epsilon: node.get_attr_opt("epsilon")?.unwrap_or(1e-5),
        statistics: node.get_attr_opt("stash_type")?.unwrap_or(DatumType::F32),
        mean: next(),
        scale: next(),
    })
}

/// `LayerNormalization`, and which of its further outputs are asked for.
#[derive(Clone, Debug)]
struct LayerNorm {
    axis: i64,
    epsilon: f32,
    /// The type of means and scales.
    statistics: DatumType,
    mean: bool,
    scale: bool,
}

impl Expansion for LayerNorm {
    fn name(&self) -> StaticName {
        "LayerNormalization".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(1 + usize::from(self.mean) + usize::from(self.scale))
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        ensure!((2..=3).contains(&inputs.len()), "{} inputs", inputs.len());
        check_output_arity(outputs, self.nboutputs()?)?;
        s.equals(&outputs[0].datum_type, &inputs[0].datum_type)?;
        s.equals(&outputs[0].shape, &inputs[0].shape)?;
        inputs[1..].iter().try_for_each(|input| s.equals(&input.datum_type, &inputs[0].datum_type))?;
        outputs[1..].iter().try_for_each(|output| s.equals(&output.datum_type, self.statistics))?;
        s.given(&inputs[0].shape, move |s, shape| {
            let shape = without(&shape, axis_of(self.axis, shape.len())?);
            outputs[1..].iter().try_for_each(|output| s.equals(&output.shape, shape.clone()))
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let axis = axis_of(self.axis, model.outlet_fact(inputs[0])?.rank())?;
        let Self { epsilon, statistics, mean, scale, .. } = *self;
        model.wire_node(prefix, Native(Layer { axis, epsilon, statistics, mean, scale }), inputs)
    }
}

/// The shape with an extent of 1 from the axis on.
fn without(shape: &[TDim], axis: usize) -> TVec<TDim> {
    shape.iter().enumerate().map(|(index, extent)| if index < axis { extent.clone() } else { 1.to_dim() }).collect()
}

#[derive(Clone, Debug, PartialEq)]
struct Layer {
    axis: usize,
    epsilon: f32,
    statistics: DatumType,
    mean: bool,
    scale: bool,
}

impl Kernel for Layer {
    fn name(&self) -> &'static str {
        "LayerNormalization"
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let told = self.statistics.fact(without(&inputs[0].shape, self.axis));
        let mut facts = tvec!(inputs[0].without_value());
        facts.extend(std::iter::repeat_n(told, usize::from(self.mean) + usize::from(self.scale)));
        Ok(facts)
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let of = inputs[0].datum_type();
        if of == DatumType::F64 {
            return self.normalised::<f64>(&inputs, |x| x);
        }
        self.normalised::<f32>(&inputs, |x| x as f32)
    }
}

/// Where the mean of a run is, and what takes its spread to 1.
#[derive(Clone, Copy, Default)]
struct Moments {
    mean: f64,
    scale: f64,
}

impl Layer {
    fn normalised<T>(&self, inputs: &[TValue], narrow: fn(f64) -> T) -> TractResult<TVec<TValue>>
    where
        T: Datum + Copy + Into<f64> + std::ops::Mul<Output = T> + std::ops::Add<Output = T>,
    {
        let (of, shape) = (inputs[0].datum_type(), inputs[0].shape());
        let x = inputs[0].cast_to::<T>()?;
        let plain = x.try_as_plain_ram()?;
        let x = plain.as_slice::<T>()?;
        let count: usize = shape[self.axis..].iter().product();
        let scale = spread::<T>(&inputs[1], shape, count)?;
        let bias = inputs.get(2).map(|bias| spread::<T>(bias, shape, count)).transpose()?;
        let moments = self.moments(x, shape[..self.axis].iter().product(), count)?;
        let mut y = x.to_vec();
        if !y.is_empty() {
            par_chunks_mut(&mut y, count, x.len(), |first, rows| {
                for (index, row) in rows.chunks_exact_mut(count).enumerate() {
                    let Moments { mean, scale: width } = moments[first + index];
                    let at = |all: &[T]| (first + index) * count % all.len();
                    let scales = &scale[at(&scale)..];
                    row.iter_mut().zip(scales).for_each(|(x, s)| *x = narrow(((*x).into() - mean) * width) * *s);
                    if let Some(bias) = &bias {
                        row.iter_mut().zip(&bias[at(bias)..]).for_each(|(x, b)| *x = *x + *b);
                    }
                }
                Ok(())
            })?;
        }
        let y = Tensor::from_shape(shape, &y)?.cast_to_dt(of)?.into_owned();
        let mut outputs = tvec!(y.into_tvalue());
        let means: Option<Vec<f64>> = self.mean.then(|| moments.iter().map(|moments| moments.mean).collect());
        let scales: Option<Vec<f64>> = self.scale.then(|| moments.iter().map(|moments| moments.scale).collect());
        let mut shape: TVec<usize> = shape.into();
        shape[self.axis..].fill(1);
        for values in [means, scales].into_iter().flatten() {
            let values = Tensor::from_shape(&shape, &values)?.cast_to_dt(self.statistics)?.into_owned();
            outputs.push(values.into_tvalue());
        }
        Ok(outputs)
    }

    fn moments<T: Datum + Copy + Into<f64>>(&self, x: &[T], rows: usize, count: usize) -> TractResult<Vec<Moments>> {
        let mut moments = vec![Moments::default(); rows];
        if x.is_empty() {
            return Ok(moments);
        }
        par_chunks_mut(&mut moments, 1, x.len(), |first, moments| {
            for (moments, row) in moments.iter_mut().zip(x[first * count..].chunks_exact(count)) {
                let mean = added(row, |x| x.into()) / count as f64;
                let variance = added(row, |x| (x.into() - mean) * (x.into() - mean)) / count as f64;
                *moments = Moments { mean, scale: 1.0 / (variance + f64::from(self.epsilon)).sqrt() };
            }
            Ok(())
        })?;
        Ok(moments)
    }
}

/// Scales or biases: those of one run, or of every run where they differ.
fn spread<T: Datum + Copy>(values: &Tensor, shape: &[usize], count: usize) -> TractResult<Vec<T>> {
    let values = values.cast_to::<T>()?;
    let values = if values.len() == count { values } else { Cow::Owned(values.broadcast_to_shape(shape)?) };
    let plain = values.try_as_plain_ram()?;
    Ok(plain.as_slice::<T>()?.to_vec())
}
