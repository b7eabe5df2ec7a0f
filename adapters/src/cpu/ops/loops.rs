//! `Loop`: a body that is run again and again, on states of one shape each.

use super::{super::mend::mend, Built};
use std::iter;
use tract_onnx::{
    model::{ParseResult, ParsingContext, optional_inputs},
    pb::{GraphProto, NodeProto},
    tract_hir::internal::*,
};

/// Rounds of a loop at most: nothing ends one that never ends.
const ROUNDS_MAX: i64 = 1 << 20;

pub(super) fn repeat(context: &ParsingContext, node: &NodeProto) -> Built {
    let graph: &GraphProto = node.get_attr("body")?;
    let ParseResult { model: body, unresolved_inputs, .. } = context.parse_graph(graph)?;
    let mut given = optional_inputs(node);
    let (count, condition) = (given.next().flatten(), given.next().flatten());
    let states = graph.input.len().checked_sub(2).context("a body without a round and a condition")?;
    let gathered = graph.output.len().checked_sub(1 + states).context("a body with fewer outputs than states")?;
    ensure!(node.output.iter().all(|output| !output.is_empty()), "outputs that are left out");
    let first = usize::from(count.is_some()) + usize::from(condition.is_some());
    let shape = Shape { count, condition, first, states, gathered };
    Ok((Box::new(Loop { body, shape, endless: endless(graph) }), unresolved_inputs))
}

/// Whether the body gives back the condition that it was given.
fn endless(graph: &GraphProto) -> bool {
    let (given, mut name) = (&graph.input[1].name, &graph.output[0].name);
    while let Some(op) = graph.node.iter().find(|op| op.op_type == "Identity" && op.output.contains(name)) {
        name = &op.input[0];
    }
    name == given
}

/// Where inputs and outputs are.
#[derive(Clone, Debug)]
struct Shape {
    count: Option<usize>,
    condition: Option<usize>,
    /// The input that is the first state.
    first: usize,
    states: usize,
    /// Outputs that have a part from each round.
    gathered: usize,
}

#[derive(Clone, Debug)]
struct Loop {
    body: InferenceModel,
    shape: Shape,
    endless: bool,
}

impl PartialEq for Loop {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Eq for Loop {}

impl Loop {
    /// The body, with what is known of its inputs.
    fn analysed(&self, inputs: &[InferenceFact]) -> TractResult<InferenceModel> {
        let mut body = self.body.clone();
        let fixed = |of: DatumType| InferenceFact::dt_shape(of, tvec!() as TVec<usize>);
        let states = inputs[self.shape.first..][..self.shape.states].iter();
        // What a state is now says nothing of what it will be.
        let states = states.map(|state| InferenceFact { value: GenericFactoid::default(), ..state.clone() });
        let outer = inputs[self.shape.first + self.shape.states..].iter().cloned();
        let facts = [fixed(DatumType::I64), fixed(DatumType::Bool)].into_iter().chain(states).chain(outer);
        for (index, fact) in facts.enumerate() {
            body.set_input_fact(index, fact)?;
        }
        body.analyse(false)?;
        Ok(body)
    }

    /// How many rounds there are, if that is known beforehand.
    fn rounds(&self, count: Option<&Tensor>, condition: Option<Option<&Tensor>>) -> TractResult<Option<i64>> {
        let holds = match condition {
            None => true,
            Some(Some(condition)) => condition.cast_to_scalar::<bool>()?,
            Some(None) => return Ok(None),
        };
        match count {
            _ if !holds => Ok(Some(0)),
            Some(count) if self.endless => Ok(Some(count.cast_to_scalar::<i64>()?.max(0))),
            _ => Ok(None),
        }
    }
}

impl Op for Loop {
    fn name(&self) -> StaticName {
        "Loop".into()
    }

    not_a_typed_op!();
}

impl EvalOp for Loop {
    not_out_of_plan!();
}

impl InferenceOp for Loop {
    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<(TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>)> {
        let inputs: TVec<InferenceFact> = inputs.into_iter().cloned().collect();
        let mut outputs: TVec<InferenceFact> = outputs.into_iter().cloned().collect();
        let body = self.analysed(&inputs)?;
        for (index, output) in outputs.iter_mut().enumerate() {
            let inner = body.output_fact(index + 1)?;
            output.datum_type.unify_with(&inner.datum_type)?;
            if index < self.shape.states && inner.shape == inputs[self.shape.first + index].shape {
                output.shape.unify_with(&inner.shape)?;
            }
        }
        Ok((inputs, outputs, observed.into_iter().cloned().collect()))
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.shape.states + self.shape.gathered)
    }

    fn to_typed(
        &self,
        _: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs: TVec<OutletId> = node.inputs.iter().map(|input| mapping[input]).collect();
        let facts: Vec<TypedFact> =
            inputs.iter().map(|input| target.outlet_fact(*input).cloned()).collect::<TractResult<_>>()?;
        let known: Vec<InferenceFact> = facts.iter().map(InferenceFact::from).collect();
        let mut body = self.analysed(&known)?.into_typed()?;
        mend(&mut body)?;
        let konst = |index: usize| facts[index].konst.as_deref();
        let rounds = self.rounds(self.shape.count.and_then(konst), self.shape.condition.map(konst))?;
        let rounds = rounds.map_or_else(|| target.symbols.new_with_prefix("rounds").to_dim(), |rounds| rounds.to_dim());
        let mut results: TVec<TypedFact> = tvec!();
        for index in 0..self.shape.states + self.shape.gathered {
            let mut fact = body.output_fact(index + 1)?.without_value();
            if index < self.shape.states {
                let state = &facts[self.shape.first + index];
                let same = state.datum_type == fact.datum_type && state.shape == fact.shape;
                ensure!(same, "states that change their shape");
            } else {
                fact.shape.insert_axis(0)?;
                fact.shape.set(0, rounds.clone());
            }
            results.push(fact);
        }
        let plan = body.into_optimized()?.into_runnable()?;
        target.wire_node(&node.name, Rounds { plan, shape: self.shape.clone(), results }, &inputs)
    }

    as_op!();
}

/// A loop whose body is planned.
#[derive(Clone, Debug)]
struct Rounds {
    plan: Arc<TypedRunnableModel>,
    shape: Shape,
    results: TVec<TypedFact>,
}

impl PartialEq for Rounds {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.plan, &other.plan)
    }
}

impl Eq for Rounds {}

impl Op for Rounds {
    fn name(&self) -> StaticName {
        "Loop".into()
    }

    fn mints_runtime_symbols(&self) -> bool {
        true
    }

    op_as_typed_op!();
}

impl EvalOp for Rounds {
    not_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let Shape { count, condition, first, states, gathered } = self.shape;
        let count = count.map(|count| inputs[count].cast_to_scalar::<i64>()).transpose()?;
        let mut holds = condition.map_or(Ok(true), |condition| inputs[condition].cast_to_scalar::<bool>())?;
        let mut current: TVec<TValue> = inputs[first..][..states].into();
        let mut parts: Vec<Vec<Tensor>> = vec![Vec::new(); gathered];
        let mut round = 0;
        while holds && count.is_none_or(|count| round < count) {
            ensure!(round < ROUNDS_MAX, "a loop of more than {ROUNDS_MAX} rounds");
            let own = [tensor0(round).into_tvalue(), tensor0(holds).into_tvalue()];
            let given = own.into_iter().chain(current.drain(..)).chain(inputs[first + states..].iter().cloned());
            let mut results = self.plan.run(given.collect())?.into_iter();
            holds = results.next().context("a body without outputs")?.cast_to_scalar()?;
            current = results.by_ref().take(states).collect();
            for (parts, part) in parts.iter_mut().zip(results) {
                let mut part = part.into_tensor();
                part.insert_axis(0)?;
                parts.push(part);
            }
            round += 1;
        }
        for (parts, fact) in parts.iter().zip(&self.results[states..]) {
            let all = match parts.as_slice() {
                [] => {
                    let rest: TVec<usize> =
                        fact.shape.iter().skip(1).map(|extent| Ok(extent.to_usize()?)).collect::<TractResult<_>>()?;
                    Tensor::zero_dt(fact.datum_type, &iter::once(0).chain(rest).collect::<TVec<usize>>())?
                }
                parts => Tensor::stack_tensors(0, parts)?,
            };
            current.push(all.into_tvalue());
        }
        Ok(current)
    }
}

impl TypedOp for Rounds {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.results.clone())
    }

    as_op!();
}
