//! `QuantizeLinear` and `DequantizeLinear`, saturating, with scales for all, for an axis or for blocks along one. tract
//! makes tables of what stands between the two, softmaxes too.

use super::{
    super::narrow::LEVELS,
    Built, axis_of, built,
    kernel::{Kernel, Native},
};
use tract_onnx::{model::ParsingContext, pb::NodeProto, tract_hir::internal::*};

pub(super) fn quantize(_: &ParsingContext, node: &NodeProto) -> Built {
    let told = node.get_attr_opt::<i64>("output_dtype")?.unwrap_or(0);
    let to = match told {
        0 | 2 => DatumType::U8,
        3 => DatumType::I8,
        4 => DatumType::U16,
        5 => DatumType::I16,
        other => bail!("`output_dtype` {other}"),
    };
    built(Linear { quantizes: true, to: Some(to), ..Linear::of(node)? })
}

pub(super) fn dequantize(_: &ParsingContext, node: &NodeProto) -> Built {
    let to = match node.get_attr_opt::<i64>("output_dtype")?.unwrap_or(0) {
        0 => None,
        1 => Some(DatumType::F32),
        10 => Some(DatumType::F16),
        other => bail!("`output_dtype` {other}"),
    };
    built(Linear { to, ..Linear::of(node)? })
}

/// Either of them; inputs are values, scales and, if there is a third, zeros.
#[derive(Clone, Debug, PartialEq)]
struct Linear {
    quantizes: bool,
    /// The type of the result, unless the zeros or the scales have one.
    to: Option<DatumType>,
    axis: i64,
    /// Along the axis; 0 where there are none.
    block: usize,
    /// The least and the most, where that is less than the type holds.
    levels: Option<(i32, i32)>,
}

impl Linear {
    fn of(node: &NodeProto) -> TractResult<Self> {
        let (axis, block) = (node.get_attr_opt("axis")?.unwrap_or(1), node.get_attr_opt("block_size")?.unwrap_or(0));
        let levels = node.get_attr_opt_vec::<i64>(LEVELS)?;
        let levels = levels.and_then(|levels| Some((*levels.first()? as i32, *levels.get(1)? as i32)));
        Ok(Self { quantizes: false, to: None, axis, block, levels })
    }

    fn result(&self, types: &[DatumType]) -> DatumType {
        match (self.quantizes, types.get(2), self.to) {
            (true, Some(zeros), _) => *zeros,
            (_, _, Some(to)) => to,
            _ => types[1],
        }
    }

    /// How scales lie beside values of this shape.
    fn places(&self, shape: &[usize], scales: &Tensor) -> TractResult<Places> {
        if scales.len() == 1 && self.block == 0 {
            return Ok(Places { extent: 1, inner: shape.iter().product(), block: 1, blocks: 1, spread: false });
        }
        let axis = axis_of(self.axis, shape.len())?;
        let (extent, inner) = (shape[axis], shape[axis + 1..].iter().product());
        let (block, spread) = (self.block.max(1), self.block > 0);
        let blocks = extent.div_ceil(block);
        let outer: usize = shape[..axis].iter().product();
        let wanted = if spread { outer * blocks * inner } else { extent };
        ensure!(scales.len() == wanted, "{} scales for {wanted} runs", scales.len());
        Ok(Places { extent, inner, block, blocks, spread })
    }
}

impl Expansion for Linear {
    fn name(&self) -> StaticName {
        if self.quantizes { "QuantizeLinear" } else { "DequantizeLinear" }.into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        ensure!((2..=3).contains(&inputs.len()), "{} inputs", inputs.len());
        check_output_arity(outputs, 1)?;
        s.equals(&outputs[0].shape, &inputs[0].shape)?;
        s.given_all(inputs.iter().map(|input| (&input.datum_type).bex()), move |s, types: Vec<DatumType>| {
            s.equals(&outputs[0].datum_type, self.result(&types))
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, Native(self.clone()), inputs)
    }
}

impl Kernel for Linear {
    fn name(&self) -> &'static str {
        if self.quantizes { "Quantize" } else { "Dequantize" }
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let types: Vec<DatumType> = inputs.iter().map(|input| input.datum_type).collect();
        let to = self.result(&types);
        if self.quantizes {
            ensure!([DatumType::U8, DatumType::I8, DatumType::U16, DatumType::I16].contains(&to), "to {to:?}");
        } else {
            ensure!([DatumType::F32, DatumType::F16].contains(&to), "to {to:?}");
        }
        Ok(tvec!(to.fact(inputs[0].shape.clone())))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let types: Vec<DatumType> = inputs.iter().map(|input| input.datum_type()).collect();
        let places = self.places(inputs[0].shape(), &inputs[1])?;
        let scales = inputs[1].cast_to::<f32>()?;
        let scales = scales.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
        let zeros = match inputs.get(2) {
            Some(zeros) => {
                ensure!(zeros.len() == scales.len(), "{} zeros beside {} scales", zeros.len(), scales.len());
                zeros.cast_to::<i32>()?.try_as_plain_ram()?.as_slice::<i32>()?.to_vec()
            }
            None => vec![0; scales.len()],
        };
        let to = self.result(&types);
        let levels = Levels { places, scales, zeros };
        let result = if self.quantizes {
            let values = inputs[0].cast_to::<f32>()?;
            let values = values.try_as_plain_ram()?.as_slice::<f32>()?;
            let (low, high) = self.levels.unwrap_or(match to {
                DatumType::U8 => (0, 255),
                DatumType::I8 => (-128, 127),
                DatumType::U16 => (0, 65535),
                _ => (-32768, 32767),
            });
            let (shape, of) = (inputs[0].shape(), move |x, s, z| level(x, s, z, low, high));
            match to {
                DatumType::U8 => levels.mapped(values, shape, |x, s, z| of(x, s, z) as u8)?,
                DatumType::I8 => levels.mapped(values, shape, |x, s, z| of(x, s, z) as i8)?,
                DatumType::U16 => levels.mapped(values, shape, |x, s, z| of(x, s, z) as u16)?,
                _ => levels.mapped(values, shape, |x, s, z| of(x, s, z) as i16)?,
            }
        } else {
            let found = match &inputs[0] {
                bytes if bytes.datum_type() == DatumType::U8 => {
                    levels.mapped(bytes.try_as_plain_ram()?.as_slice::<u8>()?, bytes.shape(), |x, s, z| {
                        (i32::from(x) - z) as f32 * s
                    })?
                }
                bytes if bytes.datum_type() == DatumType::I8 => {
                    levels.mapped(bytes.try_as_plain_ram()?.as_slice::<i8>()?, bytes.shape(), |x, s, z| {
                        (i32::from(x) - z) as f32 * s
                    })?
                }
                other => {
                    let wide = other.cast_to::<i32>()?;
                    levels.mapped(wide.try_as_plain_ram()?.as_slice::<i32>()?, other.shape(), |x, s, z| {
                        x.wrapping_sub(z) as f32 * s
                    })?
                }
            };
            found.cast_to_dt(to)?.into_owned()
        };
        Ok(tvec!(result.into_tvalue()))
    }
}

/// The nearest level, the even one of two, no further than the ends.
fn level(x: f32, scale: f32, zero: i32, low: i32, high: i32) -> i32 {
    // Adding and taking it off again rounds to a whole number.
    const WHOLE: f32 = 12_582_912.0;
    let x = x / scale;
    let x = if x < -1e6 { -1e6 } else { x };
    let x = if x > 1e6 { 1e6 } else { x };
    (((x + WHOLE) - WHOLE) as i32 + zero).clamp(low, high)
}

/// Which scale a value has: by its place along an axis of `extent`, in runs of `inner`.
struct Places {
    extent: usize,
    inner: usize,
    block: usize,
    blocks: usize,
    /// Whether the other axes tell scales apart, too.
    spread: bool,
}

struct Levels {
    places: Places,
    scales: Vec<f32>,
    zeros: Vec<i32>,
}

impl Levels {
    fn mapped<T: Copy, U: Datum + Copy>(
        &self,
        values: &[T],
        shape: &[usize],
        of: impl Fn(T, f32, i32) -> U,
    ) -> TractResult<Tensor> {
        let Places { extent, inner, block, blocks, spread } = self.places;
        let mut results: Vec<U> = Vec::with_capacity(values.len());
        for (run, values) in values.chunks(inner.max(1)).enumerate() {
            let at = if extent == 0 { 0 } else { run % extent };
            if spread {
                let first = (run / extent * blocks + at / block) * inner;
                let levels = self.scales[first..].iter().zip(&self.zeros[first..]);
                results.extend(values.iter().zip(levels).map(|(x, (scale, zero))| of(*x, *scale, *zero)));
            } else {
                let (scale, zero) = (self.scales[at], self.zeros[at]);
                results.extend(values.iter().map(|x| of(*x, scale, zero)));
            }
        }
        Tensor::from_shape(shape, &results)
    }
}
