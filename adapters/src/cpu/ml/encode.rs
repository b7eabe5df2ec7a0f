//! Texts in the place of whole numbers.

use super::attributes::{ints, text, texts};
use std::{collections::HashMap, sync::Arc};
use tract_onnx::{model::ParsingContext, pb::NodeProto, tract_hir::internal::*};

/// The text of each number that has one.
#[derive(Debug, PartialEq, Eq)]
struct Table {
    texts: HashMap<i64, String>,
    default: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Encode(Arc<Table>);

/// Numbers for numbers are ONNX's own; what takes texts is refused.
pub fn labels(_: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let (keys, values) = (ints(node, "keys_int64s"), texts(node, "values_strings"));
    ensure!(!keys.is_empty() && keys.len() == values.len(), "only texts for INT64 keys");
    let mut found = HashMap::new();
    for (&key, value) in keys.iter().zip(values) {
        found.entry(key).or_insert(value);
    }
    Ok((expand(Encode(Arc::new(Table { texts: found, default: text(node, "default_string", "_Unused") }))), Vec::new()))
}

impl Expansion for Encode {
    fn name(&self) -> StaticName {
        "LabelEncoder".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        s.equals(&inputs[0].datum_type, DatumType::I64)?;
        s.equals(&outputs[0].datum_type, DatumType::String)?;
        s.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(prefix, self.clone(), inputs)
    }
}

impl Op for Encode {
    fn name(&self) -> StaticName {
        "LabelEncoder".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Encode {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let keys = args_1!(inputs);
        let text = |key: &i64| self.0.texts.get(key).unwrap_or(&self.0.default).clone();
        let texts: Vec<String> = keys.try_as_plain_ram()?.as_slice::<i64>()?.iter().map(text).collect();
        Ok(tvec![tensor1(&texts).into_shape(keys.shape())?.into_tvalue()])
    }
}

impl TypedOp for Encode {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec![DatumType::String.fact(inputs[0].shape.iter())])
    }

    as_op!();
}
