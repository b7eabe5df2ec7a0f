//! Optimised plans of one model, one for each set of input extents, and of numbers that decide, that is in use.

use super::{
    decide::{decided, deciding, numbers, wants},
    pieces::Pieces,
    translate::{self, concrete, outputs, symbolic},
    workers::guarded,
};
use crate::onnx::Limits;
use burst_host::nouns::{Extent, Fault, Graph, Port, Shape, Signature, Tensor};
use bytes::Bytes;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use tract_onnx::prelude::{InferenceModel, TypedModel};

/// Plans kept for a model with open extents. Each holds packed weights of its own; making one takes a good part of the
/// model's load time.
const PLANS_MAX: usize = 8;

pub(super) type Plan = Arc<Pieces>;

/// Filled by whoever comes first; others wait for it.
type Slot = Arc<OnceLock<Result<Plan, Fault>>>;

/// A loaded model.
pub(super) struct Plans {
    pub signature: Signature,
    kind: Kind,
}

enum Kind {
    /// Every extent is known: one plan, made at load.
    Static(Plan),
    Dynamic {
        model: Box<InferenceModel>,
        /// Whether there are extents that it can take.
        proven: bool,
        plans: Recent<Vec<Shape>>,
    },
    /// Some inputs decide over how it is typed: it is translated anew for their numbers.
    Decided { graph: Box<Graph>, limits: Limits, deciding: Vec<usize>, plans: Recent<Decision> },
}

/// The most recently used first.
type Recent<K> = Mutex<VecDeque<(K, Slot)>>;

/// Shapes of all inputs, and the numbers of those that decide.
type Decision = (Vec<Shape>, Vec<Bytes>);

impl Plans {
    /// Translates and types the graph. Takes milliseconds to seconds.
    pub(super) fn new(graph: &Graph, limits: &Limits) -> Result<Self, Fault> {
        let typed = translate::translate(graph, limits).and_then(|model| Self::typed(graph, model));
        let Err(Fault::Unsupported(reason)) = &typed else { return typed };
        // Whatever the numbers are, an operator that tract lacks stays one.
        let known = || translate::known(graph, limits).ok().filter(|_| translate::named(reason).is_some_and(wants));
        match known().map(|inlined| (deciding(&inlined), inlined)) {
            Some((deciding, inlined)) if !deciding.is_empty() => {
                let (graph, limits, signature) = (Box::new(inlined), limits.clone(), graph.signature());
                Ok(Self { signature, kind: Kind::Decided { graph, limits, deciding, plans: Mutex::default() } })
            }
            _ => typed,
        }
    }

    fn typed(graph: &Graph, model: InferenceModel) -> Result<Self, Fault> {
        let mut signature = graph.signature();
        if let Some(shapes) = shapes(&signature.inputs, None) {
            let typed = concrete(&model, &signature.inputs, &shapes)?;
            signature.outputs = outputs(&typed, &signature.outputs, &HashMap::new());
            return Ok(Self { signature, kind: Kind::Static(optimised(typed)?) });
        }
        let (outputs, proven) = dynamic_outputs(&model, &signature)?;
        signature.outputs = outputs;
        Ok(Self { signature, kind: Kind::Dynamic { model: Box::new(model), proven, plans: Mutex::default() } })
    }

    /// The plan for these inputs, which must fit the signature.
    pub(super) fn plan(&self, inputs: &[Tensor]) -> Result<Plan, Fault> {
        let shapes = || inputs.iter().map(|input| input.spec().shape.clone()).collect::<Vec<_>>();
        match &self.kind {
            Kind::Static(plan) => Ok(Arc::clone(plan)),
            Kind::Dynamic { model, proven, plans } => {
                let shapes = shapes();
                let make = || match concrete(model, &self.signature.inputs, &shapes).and_then(optimised) {
                    // What it can't do is these extents.
                    Err(Fault::Unsupported(reason)) if *proven => {
                        Err(Fault::Invalid(format!("the graph can't take {shapes:?}: {reason}")))
                    }
                    plan => plan,
                };
                touch(plans, &shapes).get_or_init(make).clone()
            }
            Kind::Decided { graph, limits, deciding, plans } => {
                let numbers = numbers(graph, deciding, inputs)?;
                let make = || {
                    let graph = decided(graph, deciding, inputs);
                    let model = translate::translate(&graph, limits)?;
                    let rest = self.rest(inputs);
                    let shapes: Vec<Shape> = rest.iter().map(|input| input.spec().shape.clone()).collect();
                    concrete(&model, &graph.inputs, &shapes).and_then(optimised)
                };
                touch(plans, &(shapes(), numbers)).get_or_init(make).clone()
            }
        }
    }

    /// Those that the plan is given: what decided is in it already.
    pub(super) fn rest<'a>(&self, inputs: &'a [Tensor]) -> Vec<&'a Tensor> {
        let inside = |index| matches!(&self.kind, Kind::Decided { deciding, .. } if deciding.contains(&index));
        inputs.iter().enumerate().filter(|(index, _)| !inside(*index)).map(|(_, input)| input).collect()
    }
}

/// Moves the slot of this key to the front, making it if need be.
fn touch<K: PartialEq + Clone>(plans: &Recent<K>, wanted: &K) -> Slot {
    let mut plans = plans.lock().unwrap_or_else(PoisonError::into_inner);
    let known = plans.iter().position(|(key, _)| key == wanted).and_then(|index| plans.remove(index));
    let (key, slot) = known.unwrap_or_else(|| (wanted.clone(), Slot::default()));
    plans.truncate(PLANS_MAX - 1);
    plans.push_front((key, Arc::clone(&slot)));
    slot
}

/// The shapes of the ports, with `open` in the place of open extents; `None` where one is not known.
pub(super) fn shapes(ports: &[Port], open: Option<usize>) -> Option<Vec<Shape>> {
    let extent = |extent: &Extent| match extent {
        Extent::Fixed(fixed) => Some(*fixed),
        Extent::Named(_) | Extent::Any => open,
    };
    let shape = |port: &Port| {
        let extents: Option<Vec<usize>> = port.shape.as_ref()?.iter().map(extent).collect();
        Shape::new(extents?).ok()
    };
    ports.iter().map(shape).collect()
}

/// Extents that are tried in the place of open ones: the least, and one that images are cut in.
const PROBES: [usize; 2] = [1, 64];

/// What the outputs are, as far as can be told before extents come, and whether the graph is known to take some. Types
/// with symbols; where tract can't, with numbers. Nothing is known where a rank is open.
///
/// Fails where all tries fail alike: it is not the extents.
fn dynamic_outputs(model: &InferenceModel, signature: &Signature) -> Result<(Vec<Port>, bool), Fault> {
    let declared = &signature.outputs;
    if shapes(&signature.inputs, Some(1)).is_none() {
        return Ok((declared.clone(), false));
    }
    // Some graphs compute with extents in ways that symbols can't follow.
    if let Ok(symbolic) = guarded(|| symbolic(model, &signature.inputs)) {
        return Ok((open_where_numbers_differ(model, signature, symbolic.outputs(declared)), true));
    }
    let (mut faults, mut found) = (Vec::new(), Vec::new());
    for shapes in PROBES.iter().filter_map(|probe| shapes(&signature.inputs, Some(*probe))) {
        match guarded(|| concrete(model, &signature.inputs, &shapes)) {
            Ok(typed) => found.push(outputs(&typed, declared, &HashMap::new())),
            Err(fault) => faults.push(fault),
        }
    }
    if !found.is_empty() {
        return Ok((ranks_that_hold(declared, &found), true));
    }
    let first = faults.swap_remove(0);
    if faults.iter().all(|fault| *fault == first) { Err(first) } else { Ok((declared.clone(), false)) }
}

/// What is declared, without the shape of what comes out with another number of axes.
fn ranks_that_hold(declared: &[Port], found: &[Vec<Port>]) -> Vec<Port> {
    let rank = |port: &Port| port.shape.as_ref().map(Vec::len);
    let mut ports = declared.to_vec();
    for (index, port) in ports.iter_mut().enumerate() {
        if found.iter().any(|found| rank(&found[index]) != rank(port)) {
            port.shape = None;
        }
    }
    ports
}

/// With symbols a condition that extents decide is taken for false, and an axis for one that reaches to the bounds of a
/// `Slice`: what comes out otherwise with numbers is open.
fn open_where_numbers_differ(model: &InferenceModel, signature: &Signature, mut ports: Vec<Port>) -> Vec<Port> {
    let guessed = |kind: &str| ["If", "Slice"].contains(&kind);
    if !model.nodes().iter().any(|node| translate::kind(&node.name).is_some_and(guessed)) {
        return ports;
    }
    let mut tried = false;
    for shapes in PROBES.iter().filter_map(|probe| shapes(&signature.inputs, Some(*probe))) {
        let Ok(typed) = guarded(|| concrete(model, &signature.inputs, &shapes)) else { continue };
        tried = true;
        for (port, found) in ports.iter_mut().zip(outputs(&typed, &signature.outputs, &HashMap::new())) {
            match (&mut port.shape, found.shape) {
                (Some(shape), Some(found)) if shape.len() == found.len() => {
                    shape.iter_mut().zip(found).for_each(|(extent, found)| open_where_it_differs(extent, &found));
                }
                _ => port.shape = None,
            }
        }
    }
    if !tried {
        ports.iter_mut().flat_map(|port| &mut port.shape).flatten().for_each(|extent| *extent = Extent::Any);
    }
    ports
}

fn open_where_it_differs(extent: &mut Extent, found: &Extent) {
    if matches!((&*extent, found), (Extent::Fixed(promised), Extent::Fixed(found)) if promised != found) {
        *extent = Extent::Any;
    }
}

fn optimised(model: TypedModel) -> Result<Plan, Fault> {
    Pieces::of(model).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_plan_goes() {
        let plans = Recent::default();
        let key = |extent| vec![Shape::new([extent]).unwrap()];
        let first = touch(&plans, &key(0));
        for extent in 1..PLANS_MAX {
            touch(&plans, &key(extent));
        }
        assert!(Arc::ptr_eq(&first, &touch(&plans, &key(0))), "kept");
        let second = Arc::downgrade(&touch(&plans, &key(1)));
        for extent in 0..PLANS_MAX {
            touch(&plans, &key(100 + extent));
        }
        assert_eq!(plans.lock().unwrap().len(), PLANS_MAX);
        assert!(second.upgrade().is_none(), "gone");
    }
}
