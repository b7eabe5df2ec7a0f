//! `If`: where the condition is known, the branch that is taken and no other.

use super::Built;
use tract_onnx::{
    model::{ParseResult, ParsingContext},
    pb::NodeProto,
    tract_hir::{
        internal::*,
        tract_core::ops::{logic::IfThenElse, source::TypedSource},
    },
};

pub(super) fn branch(context: &ParsingContext, node: &NodeProto) -> Built {
    let mut outer: Vec<String> = Vec::new();
    let mut parsed = |name: &str| -> TractResult<Branch> {
        let ParseResult { model, unresolved_inputs, .. } = context.parse_graph(node.get_attr(name)?)?;
        let mut place = |input: String| match outer.iter().position(|known| *known == input) {
            Some(place) => place + 1,
            None => {
                outer.push(input);
                outer.len()
            }
        };
        Ok(Branch { body: model, inputs: unresolved_inputs.into_iter().map(&mut place).collect() })
    };
    let (then, other) = (parsed("then_branch")?, parsed("else_branch")?);
    ensure!(then.body.outputs.len() == other.body.outputs.len(), "branches of unlike numbers of outputs");
    Ok((Box::new(If { then, other }), outer))
}

/// A body, and which inputs of the `If` its own are.
#[derive(Clone, Debug)]
struct Branch {
    body: InferenceModel,
    inputs: Vec<usize>,
}

#[derive(Clone, Debug)]
struct If {
    then: Branch,
    other: Branch,
}

impl PartialEq for If {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Eq for If {}

impl Branch {
    /// The facts of the outputs, with what is known of the inputs.
    fn analysed(&self, inputs: &[InferenceFact]) -> TractResult<(InferenceModel, TVec<InferenceFact>)> {
        let mut body = self.body.clone();
        for (own, outer) in self.inputs.iter().enumerate() {
            body.input_fact_mut(own)?.unify_with(&inputs[*outer])?;
        }
        body.analyse(false)?;
        let facts =
            (0..body.outputs.len()).map(|output| body.output_fact(output).cloned()).collect::<TractResult<_>>()?;
        Ok((body, facts))
    }

    fn typed(&self, inputs: &[InferenceFact]) -> TractResult<TypedModel> {
        self.analysed(inputs)?.0.into_typed()
    }
}

impl If {
    fn taken(&self, condition: bool) -> &Branch {
        if condition { &self.then } else { &self.other }
    }
}

impl Op for If {
    fn name(&self) -> StaticName {
        "If".into()
    }

    not_a_typed_op!();
}

impl EvalOp for If {
    fn eval_out_of_plan(&self, inputs: TVec<TValue>) -> TractResult<Option<TVec<TValue>>> {
        self.eval(&EvalContext::out_of_plan(), inputs).map(Some)
    }

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let branch = self.taken(inputs[0].cast_to_scalar::<bool>()?);
        let facts: Vec<InferenceFact> = inputs
            .iter()
            .map(|input| InferenceFact::try_from(&input.clone().into_arc_tensor()))
            .collect::<TractResult<_>>()?;
        let given = branch.inputs.iter().map(|outer| inputs[*outer].clone()).collect();
        branch.typed(&facts)?.into_runnable()?.run(given)
    }
}

impl InferenceOp for If {
    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>)> {
        let inputs: TVec<InferenceFact> = inputs.into_iter().cloned().collect();
        let mut outputs: TVec<InferenceFact> = outputs.into_iter().cloned().collect();
        let found = match inputs[0].value.concretize() {
            Some(condition) => Some(self.taken(condition.cast_to_scalar()?).analysed(&inputs)?.1),
            None => match (self.then.analysed(&inputs), self.other.analysed(&inputs)) {
                (Ok((_, then)), Ok((_, other))) => Some(then.iter().zip(&other).map(|(a, b)| alike(a, b)).collect()),
                // It may never be taken.
                _ => None,
            },
        };
        for (output, found) in outputs.iter_mut().zip(found.into_iter().flatten()) {
            output.unify_with(&found)?;
        }
        Ok((inputs, outputs, observed.into_iter().cloned().collect()))
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.then.body.outputs.len())
    }

    fn to_typed(
        &self,
        _: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs: TVec<OutletId> = node.inputs.iter().map(|input| mapping[input]).collect();
        let facts: Vec<InferenceFact> = inputs
            .iter()
            .map(|input| Ok(InferenceFact::from(target.outlet_fact(*input)?)))
            .collect::<TractResult<_>>()?;
        if let Some(condition) = target.outlet_fact(inputs[0])?.konst.clone() {
            let branch = self.taken(condition.cast_to_scalar()?);
            return put(&branch.typed(&facts)?, &node.name, target, &branch.inputs, &inputs);
        }
        let (then_body, else_body) = (self.then.typed(&facts)?, self.other.typed(&facts)?);
        for output in 0..then_body.outputs.len() {
            let [then, other] =
                [&then_body, &else_body].map(|body| body.output_fact(output).map(TypedFact::without_value));
            ensure!(then? == other?, "branches of unlike shapes, by a condition that is computed");
        }
        let (then_input_mapping, else_input_mapping) = (self.then.inputs.clone(), self.other.inputs.clone());
        let op = IfThenElse { then_body, then_input_mapping, else_body, else_input_mapping };
        target.wire_node(&node.name, op, &inputs)
    }

    as_op!();
}

/// What two facts have in common.
fn alike(a: &InferenceFact, b: &InferenceFact) -> InferenceFact {
    let mut common = InferenceFact::default();
    if a.datum_type == b.datum_type {
        common.datum_type = a.datum_type;
    }
    if a.shape == b.shape {
        common.shape = a.shape.clone();
    }
    common
}

/// Puts a body into the model around it, and gives its outputs.
fn put(
    body: &TypedModel,
    name: &str,
    target: &mut TypedModel,
    places: &[usize],
    inputs: &[OutletId],
) -> TractResult<TVec<OutletId>> {
    let mut mapping: HashMap<OutletId, OutletId> =
        body.input_outlets()?.iter().zip(places).map(|(own, place)| (*own, inputs[*place])).collect();
    for id in body.eval_order()? {
        let inner = body.node(id);
        if inner.op_is::<TypedSource>() {
            continue;
        }
        let given: TVec<OutletId> = inner.inputs.iter().map(|input| mapping[input]).collect();
        // Its kind stays first: errors are told by it.
        let unique = target.unique_name(format!("{}.{name}", inner.name)).into_owned();
        let outlets = target.wire_node(unique, inner.op.clone(), &given)?;
        mapping.extend(outlets.iter().enumerate().map(|(slot, outlet)| (OutletId::new(id, slot), *outlet)));
    }
    body.outputs.iter().map(|output| mapping.get(output).copied().context("a branch gives what it has not")).collect()
}
