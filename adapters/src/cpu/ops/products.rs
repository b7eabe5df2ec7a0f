//! Products of vectors, and of matrices of integers.

use super::{
    Built,
    around::around,
    kernel::{Kernel, Native},
};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_hir::{
        internal::*,
        ops::matmul::compute_shapes,
        tract_core::ops::cast::{cast, wire_cast},
    },
};

/// tract has products of floats and of INT32.
pub(super) fn mat_mul(context: &ParsingContext, node: &NodeProto) -> Built {
    around(context, node, |inner, prefix, model, inputs| {
        let fact = model.outlet_fact(inputs[0])?.clone();
        let whole = fact.datum_type.is_integer() && fact.datum_type != DatumType::I32;
        if whole || fact.datum_type == TDim::datum_type() {
            let long = wire_cast(format!("{prefix}.long"), model, inputs, DatumType::I64)?;
            let wire = model.wire_node(format!("{prefix}.product"), Native(Product), &long)?;
            let back: Box<dyn TypedOp> = match fact.datum_type {
                of if of == TDim::datum_type() => super::extents(),
                of => Box::new(cast(of)),
            };
            return model.wire_node(prefix, back, &wire);
        }
        if fact.rank() != 1 || model.outlet_fact(inputs[1])?.rank() != 1 {
            return inner.wire(prefix, model, inputs);
        }
        let row = model.wire_node(format!("{prefix}.row"), AxisOp::Add(0), &inputs[..1])?;
        let wire = inner.wire(prefix, model, &[row[0], inputs[1]])?;
        model.wire_node(format!("{prefix}.scalar"), AxisOp::Rm(0), &wire)
    })
}

/// Of INT64, which wraps.
#[derive(Clone, Debug, PartialEq)]
struct Product;

/// The shape without the axes that vectors were given.
fn shape<D: DimLike>(a: &[D], b: &[D]) -> TractResult<TVec<D>> {
    Ok(compute_shapes(a.into(), b.into(), false, false, false)?.3)
}

impl Kernel for Product {
    fn name(&self) -> &'static str {
        "IntegerProduct"
    }

    fn facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(DatumType::I64.fact(shape(&inputs[0].shape.to_tvec(), &inputs[1].shape.to_tvec())?)))
    }

    fn compute(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (a, b) = args_2!(inputs);
        let (a_shape, b_shape, c_shape, after) =
            compute_shapes(TVec::from(a.shape()), TVec::from(b.shape()), false, false, false)?;
        let rank = c_shape.len();
        let (rows, inner, columns) = (c_shape[rank - 2], a_shape[rank - 1], c_shape[rank - 1]);
        let (a, b) = (a.try_as_plain_ram()?, b.try_as_plain_ram()?);
        let (a, b) = (a.as_slice::<i64>()?, b.as_slice::<i64>()?);
        let batches: usize = c_shape[..rank - 2].iter().product();
        let mut c: Vec<i64> = Vec::with_capacity(batches * rows * columns);
        for batch in 0..batches {
            let a = &a[at(batch, &c_shape[..rank - 2], &a_shape) * rows * inner..];
            let b = &b[at(batch, &c_shape[..rank - 2], &b_shape) * inner * columns..];
            for row in 0..rows {
                for column in 0..columns {
                    let terms = (0..inner).map(|k| a[row * inner + k].wrapping_mul(b[k * columns + column]));
                    c.push(terms.fold(0, i64::wrapping_add));
                }
            }
        }
        Ok(tvec!(Tensor::from_shape(&after, &c)?.into_tvalue()))
    }
}

/// Which matrix of an operand belongs to a batch of the result.
fn at(batch: usize, batches: &[usize], operand: &[usize]) -> usize {
    let (mut rest, mut place, mut step) = (batch, 0, 1);
    for (extent, own) in batches.iter().zip(operand).rev() {
        place += rest % extent % own * step;
        step *= own;
        rest /= extent;
    }
    place
}
