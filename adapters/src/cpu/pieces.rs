//! Optimised plans of one typed model. tract's time to optimise grows more than quadratically with the operators: larger
//! models are optimised and run in pieces.

use super::translate::unsupported;
use burst_host::nouns::Fault;
use std::{collections::HashMap, sync::Arc};
use tract_onnx::{
    prelude::{
        DatumTypeExt, Graph, IntoRunnable, OutletId, TValue, TVec, TractResult, TypedFact, TypedModel,
        TypedRunnableModel,
    },
    tract_core::{
        internal::SpecialOps,
        ops::{konst::Const, source::TypedSource},
    },
};

/// Operators of a model that is optimised as a whole, at most. What stands between pieces is not fused.
const WHOLE_MAX: usize = 1500;

/// Operators of a piece.
const PIECE: usize = 200;

/// What computes a model.
pub(super) struct Pieces {
    pieces: Vec<Piece>,
    inputs: usize,
    /// Places of the outputs among all values.
    outputs: Vec<usize>,
    values: usize,
}

/// A plan, and where its inputs and outputs are among the values.
struct Piece {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    /// Values that nobody reads afterwards.
    last: Vec<usize>,
}

impl Pieces {
    /// Optimises a model. Takes milliseconds to seconds.
    pub(super) fn of(model: TypedModel) -> Result<Self, Fault> {
        Self::cut(model, WHOLE_MAX, PIECE)
    }

    fn cut(model: TypedModel, whole: usize, each: usize) -> Result<Self, Fault> {
        let computes = |id: &usize| !model.node(*id).op_is::<Const>() && !model.node(*id).op_is::<TypedSource>();
        let order: Vec<usize> = model.eval_order().map_err(unsupported)?.into_iter().filter(computes).collect();
        // Symbols are known within a piece only.
        let known = |fact: &TypedFact| fact.shape.as_concrete().is_some();
        let concrete = model.nodes().iter().all(|node| node.outputs.iter().all(|output| known(&output.fact)));
        if order.len() <= whole || !concrete {
            let (inputs, outputs) = (model.inputs.len(), model.outputs.len());
            let places = (inputs..inputs + outputs).collect::<Vec<_>>();
            let plan = optimised(model)?;
            let piece = Piece { plan, inputs: (0..inputs).collect(), outputs: places.clone(), last: Vec::new() };
            return Ok(Self { pieces: vec![piece], inputs, outputs: places, values: inputs + outputs });
        }
        Cutting::new(&model, &order, each).done().map_err(unsupported)?
    }

    pub(super) fn run(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        if let [whole] = self.pieces.as_slice() {
            return whole.plan.run(inputs);
        }
        debug_assert_eq!(inputs.len(), self.inputs);
        let mut values: Vec<Option<TValue>> = inputs.into_iter().map(Some).collect();
        values.resize(self.values, None);
        for piece in &self.pieces {
            let inputs = piece.inputs.iter().filter_map(|place| values[*place].clone()).collect();
            piece.last.iter().for_each(|place| values[*place] = None);
            for (place, output) in piece.outputs.iter().zip(piece.plan.run(inputs)?) {
                values[*place] = Some(output);
            }
        }
        Ok(self.outputs.iter().filter_map(|place| values[*place].clone()).collect())
    }
}

fn optimised(model: TypedModel) -> Result<Arc<TypedRunnableModel>, Fault> {
    model.into_optimized().and_then(IntoRunnable::into_runnable).map_err(unsupported)
}

struct Cutting<'a> {
    model: &'a TypedModel,
    /// Operators in their order, by piece.
    chunks: Vec<&'a [usize]>,
    /// Which piece computes an operator.
    piece_of: HashMap<usize, usize>,
    places: HashMap<OutletId, usize>,
}

impl<'a> Cutting<'a> {
    fn new(model: &'a TypedModel, order: &'a [usize], each: usize) -> Self {
        let chunks: Vec<&[usize]> = order.chunks(each).collect();
        let of = chunks.iter().enumerate().flat_map(|(piece, ids)| ids.iter().map(move |id| (*id, piece)));
        let places = model.inputs.iter().enumerate().map(|(place, outlet)| (*outlet, place)).collect();
        Self { model, piece_of: of.collect(), chunks, places }
    }

    fn done(mut self) -> TractResult<Result<Pieces, Fault>> {
        let mut pieces = Vec::new();
        for piece in 0..self.chunks.len() {
            let (model, inputs, outputs) = self.piece(piece)?;
            match optimised(model) {
                Ok(plan) => pieces.push(Piece { plan, inputs, outputs, last: Vec::new() }),
                Err(fault) => return Ok(Err(fault)),
            }
        }
        // Outputs that no piece computes: inputs and constants.
        let mut rest = TypedModel::default();
        let mut left = Vec::new();
        for outlet in self.model.output_outlets()? {
            if !self.places.contains_key(outlet) {
                self.places.insert(*outlet, self.places.len());
                left.push((*outlet, self.constant(&mut rest, *outlet)?));
            }
        }
        if !left.is_empty() {
            rest.outputs = left.iter().map(|(_, inner)| *inner).collect();
            let outputs = left.iter().map(|(outlet, _)| self.places[outlet]).collect();
            match optimised(rest) {
                Ok(plan) => pieces.push(Piece { plan, inputs: Vec::new(), outputs, last: Vec::new() }),
                Err(fault) => return Ok(Err(fault)),
            }
        }
        let outputs: Vec<usize> = self.model.outputs.iter().map(|outlet| self.places[outlet]).collect();
        drop_early(&mut pieces, &outputs);
        Ok(Ok(Pieces { pieces, inputs: self.model.inputs.len(), outputs, values: self.places.len() }))
    }

    fn constant(&self, to: &mut TypedModel, outlet: OutletId) -> TractResult<OutletId> {
        let node = self.model.node(outlet.node);
        Ok(to.wire_node(&node.name, node.op.clone(), &[])?[0])
    }

    /// The model of a piece, and the places of its inputs and outputs.
    fn piece(&mut self, piece: usize) -> TractResult<(TypedModel, Vec<usize>, Vec<usize>)> {
        let model = self.model;
        let mut to: TypedModel = Graph { symbols: model.symbols.clone(), ..Graph::default() };
        let mut mapping: HashMap<OutletId, OutletId> = HashMap::new();
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for &id in self.chunks[piece] {
            let node = model.node(id);
            for outlet in &node.inputs {
                if mapping.contains_key(outlet) {
                    continue;
                }
                let inner = if model.node(outlet.node).op_is::<Const>() {
                    self.constant(&mut to, *outlet)?
                } else {
                    inputs.push(self.places[outlet]);
                    let fact = model.outlet_fact(*outlet)?;
                    to.add_source(format!("input-{}", inputs.len()), fact.datum_type.fact(fact.shape.clone()))?
                };
                mapping.insert(*outlet, inner);
            }
            let given: TVec<OutletId> = node.inputs.iter().map(|outlet| mapping[outlet]).collect();
            let found = to.wire_node(&node.name, node.op.clone(), &given)?;
            mapping.extend(found.iter().enumerate().map(|(slot, inner)| (OutletId::new(id, slot), *inner)));
        }
        for &id in self.chunks[piece] {
            for slot in 0..model.node(id).outputs.len() {
                let outlet = OutletId::new(id, slot);
                let later = |node: usize| self.piece_of.get(&node).is_some_and(|other| *other != piece);
                let read = model.node(id).outputs[slot].successors.iter().any(|inlet| later(inlet.node));
                if read || model.outputs.contains(&outlet) {
                    to.outputs.push(mapping[&outlet]);
                    self.places.insert(outlet, self.places.len());
                    outputs.push(self.places[&outlet]);
                }
            }
        }
        Ok((to, inputs, outputs))
    }
}

/// Notes for each piece what it is the last to read.
fn drop_early(pieces: &mut [Piece], outputs: &[usize]) {
    let mut kept: Vec<usize> = outputs.to_vec();
    for piece in pieces.iter_mut().rev() {
        piece.last = piece.inputs.iter().copied().filter(|place| !kept.contains(place)).collect();
        kept.extend(&piece.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::{
        prelude::{DatumExt, IntoTensor, tensor1, tract_ndarray::arr1},
        tract_core::ops::math,
    };

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let mut model = TypedModel::default();
        let input = model.add_source("x", f32::fact([3])).unwrap();
        let constant = model.add_const("c", tensor1(&[1.0f32, -2.0, 0.5])).unwrap();
        let (mut wire, mut early) = (input, input);
        for step in 0..7 {
            let pair = [wire, if step % 2 == 0 { constant } else { early }];
            early = wire;
            wire = model
                .wire_node(format!("{step}"), if step % 3 == 0 { math::mul() } else { math::add() }, &pair)
                .unwrap()[0];
        }
        model.outputs = vec![wire, early, input, constant];
        let run = |pieces: Pieces| {
            let x = arr1(&[3.0f32, 5.0, -7.0]).into_tensor();
            let found = pieces.run([x.into()].into_iter().collect()).unwrap();
            found.iter().map(|value| value.to_plain_array_view::<f32>().unwrap().iter().copied().collect()).collect()
        };
        let whole: Vec<Vec<f32>> = run(Pieces::cut(model.clone(), 100, 2).unwrap());
        for each in 1..4 {
            let cut = Pieces::cut(model.clone(), 2, each).unwrap();
            assert!(cut.pieces.len() > 1);
            assert_eq!(run(cut), whole, "{each} in a piece");
        }
    }
}
