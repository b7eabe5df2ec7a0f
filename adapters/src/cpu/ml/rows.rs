//! An operator of tract that makes something of each row of features.

use std::sync::Arc;
use tract_onnx::tract_hir::internal::*;

/// What is made of rows.
pub trait Learned: std::fmt::Debug + Send + Sync + 'static {
    /// The element of each result, and how many there are for a row; `None` where a row gives one, on no axis of its own.
    fn results(&self, features: DatumType) -> Vec<(DatumType, Option<usize>)>;

    /// Results of rows, one after the other.
    fn compute(&self, features: &Tensor, rows: usize, width: usize) -> TractResult<TVec<Tensor>>;
}

/// The operator. Two are the same only if they are one.
#[derive(Clone, Debug)]
pub struct Rows {
    pub name: &'static str,
    pub learned: Arc<dyn Learned>,
}

impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.learned, &other.learned)
    }
}

impl Eq for Rows {}

impl Rows {
    pub fn boxed(name: &'static str, learned: impl Learned) -> (Box<dyn InferenceOp>, Vec<String>) {
        (expand(Self { name, learned: Arc::new(learned) }), Vec::new())
    }
}

/// Rows and features of a shape: a list is one row.
fn extents<D: Clone + From<usize>>(shape: &[D]) -> TractResult<(D, D)> {
    match shape {
        [width] => Ok((1.into(), width.clone())),
        [rows, width] => Ok((rows.clone(), width.clone())),
        _ => bail!("features of {} axes", shape.len()),
    }
}

impl Expansion for Rows {
    fn name(&self) -> StaticName {
        self.name.into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.learned.results(DatumType::F32).len())
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        s.given(&inputs[0].datum_type, move |s, element| {
            let results = self.learned.results(element);
            outputs.iter().zip(results).try_for_each(|(output, (element, _))| s.equals(&output.datum_type, element))
        })?;
        s.given(&inputs[0].shape, move |s, shape| {
            let (rows, _) = extents(&shape)?;
            let results = self.learned.results(DatumType::F32);
            outputs.iter().zip(results).try_for_each(|(output, (_, count))| {
                let own = [rows.clone()].into_iter().chain(count.map(|count| count.to_dim()));
                s.equals(&output.shape, own.collect::<TVec<TDim>>())
            })
        })
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl Op for Rows {
    fn name(&self) -> StaticName {
        self.name.into()
    }

    op_as_typed_op!();
}

impl EvalOp for Rows {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let features = args_1!(inputs);
        let (rows, width) = extents(features.shape())?;
        let results = self.learned.compute(&features, rows, width)?;
        Ok(results.into_iter().map(IntoTValue::into_tvalue).collect())
    }
}

impl TypedOp for Rows {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let (rows, _) = extents(&inputs[0].shape.to_tvec())?;
        let fact = |(element, count): (DatumType, Option<usize>)| {
            let shape: TVec<TDim> = [rows.clone()].into_iter().chain(count.map(|count| count.to_dim())).collect();
            element.fact(&shape)
        };
        Ok(self.learned.results(inputs[0].datum_type).into_iter().map(fact).collect())
    }

    as_op!();
}
