//! `Einsum` whose ellipses may stand anywhere and for differing numbers of axes.

use super::{Built, built};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_hir::{
        internal::*,
        tract_core::{broadcast::multi_broadcast, ops::einsum::EinSum},
    },
};

const ELLIPSIS: &str = "...";

pub(super) fn einsum(_: &ParsingContext, node: &NodeProto) -> Built {
    let text: String = node.get_attr::<String>("equation")?.chars().filter(|c| !c.is_whitespace()).collect();
    built(Equation::of(&text)?)
}

/// The letters of each operand and of the result, with at most one ellipsis each.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Equation {
    operands: Vec<String>,
    result: String,
}

impl Equation {
    fn of(text: &str) -> TractResult<Self> {
        let (operands, result) = text.split_once("->").map_or((text, None), |(before, after)| (before, Some(after)));
        let operands: Vec<String> = operands.split(',').map(str::to_owned).collect();
        let result = result.map_or_else(|| implicit(&operands), str::to_owned);
        for term in operands.iter().chain([&result]) {
            let letters = term.replacen(ELLIPSIS, "", 1);
            ensure!(letters.chars().all(|c| c.is_ascii_alphabetic()), "equation `{text}`");
        }
        Ok(Self { operands, result })
    }

    /// The equation for operands of these ranks, with letters in the place of ellipses.
    fn resolved(&self, ranks: &[usize]) -> TractResult<(Vec<String>, String)> {
        ensure!(ranks.len() == self.operands.len(), "{} operands instead of {}", ranks.len(), self.operands.len());
        let stands_for = |(term, rank): (&String, &usize)| {
            let left = rank.checked_sub(term.replacen(ELLIPSIS, "", 1).len());
            left.filter(|left| *left == 0 || term.contains(ELLIPSIS))
                .with_context(|| format!("`{term}` of rank {rank}"))
        };
        let counts = self.operands.iter().zip(ranks).map(stands_for).collect::<TractResult<Vec<usize>>>()?;
        let most = counts.iter().copied().max().unwrap_or(0);
        let text = self.operands.concat() + &self.result;
        let fresh: Vec<char> = ('a'..).filter(|c| c.is_alphabetic() && !text.contains(*c)).take(most).collect();
        let last = |count: usize| fresh[most - count..].iter().collect::<String>();
        let operands = self.operands.iter().zip(counts).map(|(term, count)| term.replacen(ELLIPSIS, &last(count), 1));
        Ok((operands.collect(), self.result.replacen(ELLIPSIS, &last(most), 1)))
    }

    /// The shape of the result: extents of 1 are broadcast.
    fn shape(&self, shapes: &[TVec<TDim>]) -> TractResult<TVec<TDim>> {
        let ranks: Vec<usize> = shapes.iter().map(|shape| shape.len()).collect();
        let (operands, result) = self.resolved(&ranks)?;
        let extent = |letter: char| {
            let of = |(term, shape): (&String, &TVec<TDim>)| {
                term.chars().position(|c| c == letter).map(|at| tvec!(shape[at].clone()))
            };
            let all: Vec<_> = operands.iter().zip(shapes).filter_map(of).collect();
            multi_broadcast(&all)?.into_iter().next().with_context(|| format!("no operand has `{letter}`"))
        };
        result.chars().map(extent).collect()
    }
}

/// What a result is that the equation leaves out: the axes of the ellipses, then letters that are used once, by the
/// alphabet.
fn implicit(operands: &[String]) -> String {
    let text = operands.concat();
    let mut once: Vec<char> = text.chars().filter(|c| *c != '.' && text.matches(*c).count() == 1).collect();
    once.sort_unstable();
    let all: String = once.into_iter().collect();
    if text.contains(ELLIPSIS) { ELLIPSIS.to_owned() + &all } else { all }
}

impl Expansion for Equation {
    fn name(&self) -> StaticName {
        "Einsum".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, self.operands.len())?;
        check_output_arity(outputs, 1)?;
        for input in inputs {
            s.equals(&input.datum_type, &outputs[0].datum_type)?;
        }
        let ranks: Vec<_> = inputs.iter().map(|input| &input.rank).collect();
        s.given_all(ranks, move |s, ranks| {
            let ranks: Vec<usize> = ranks.iter().map(|rank| *rank as usize).collect();
            s.equals(&outputs[0].rank, self.resolved(&ranks)?.1.chars().count() as i64)
        })?;
        let shapes: Vec<_> = inputs.iter().map(|input| &input.shape).collect();
        s.given_all(shapes, move |s, shapes| s.equals(&outputs[0].shape, self.shape(&shapes)?))
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let facts = inputs.iter().map(|input| model.outlet_fact(*input)).collect::<TractResult<Vec<_>>>()?;
        let ranks: Vec<usize> = facts.iter().map(|fact| fact.rank()).collect();
        let (operands, result) = self.resolved(&ranks)?;
        let axes: AxesMapping = format!("{}->{result}", operands.join(",")).parse()?;
        let operating_dt = facts[0].datum_type;
        model.wire_node(prefix, EinSum { axes, operating_dt, q_params: None }, inputs)
    }
}
