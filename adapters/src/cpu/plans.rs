//! Optimised plans of one model, one for each set of input extents that is in use.

use super::translate::{self, concrete, outputs, symbolic};
use crate::onnx::Limits;
use burst_host::nouns::{Extent, Fault, Graph, Port, Shape, Signature};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use tract_onnx::prelude::{InferenceModel, IntoRunnable, TypedModel, TypedRunnableModel};

/// Plans kept for a model with open extents. Each holds packed weights of its own; making one takes a good part of the
/// model's load time.
const PLANS_MAX: usize = 8;

pub(super) type Plan = Arc<TypedRunnableModel>;

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
    /// The most recently used first.
    Dynamic { model: Box<InferenceModel>, plans: Mutex<VecDeque<(Vec<Shape>, Slot)>> },
}

impl Plans {
    /// Translates and types the graph. Takes milliseconds to seconds.
    pub(super) fn new(graph: &Graph, limits: &Limits) -> Result<Self, Fault> {
        let model = translate::translate(graph, limits)?;
        let mut signature = graph.signature();
        if let Some(shapes) = shapes(&signature.inputs, None) {
            let typed = concrete(&model, &signature.inputs, &shapes)?;
            signature.outputs = outputs(&typed, &signature.outputs, &HashMap::new());
            return Ok(Self { signature, kind: Kind::Static(optimised(typed)?) });
        }
        signature.outputs = dynamic_outputs(&model, &signature)?;
        Ok(Self { signature, kind: Kind::Dynamic { model: Box::new(model), plans: Mutex::default() } })
    }

    /// The plan for inputs of these shapes, which must fit the signature.
    pub(super) fn plan(&self, shapes: &[Shape]) -> Result<Plan, Fault> {
        let (model, plans) = match &self.kind {
            Kind::Static(plan) => return Ok(Arc::clone(plan)),
            Kind::Dynamic { model, plans } => (model, plans),
        };
        let slot = {
            let mut plans = plans.lock().unwrap_or_else(PoisonError::into_inner);
            touch(&mut plans, shapes)
        };
        slot.get_or_init(|| match concrete(model, &self.signature.inputs, shapes).and_then(optimised) {
            // It loaded, so what it can't do is these extents.
            Err(Fault::Unsupported(reason)) => {
                Err(Fault::Invalid(format!("the graph can't take {shapes:?}: {reason}")))
            }
            plan => plan,
        })
        .clone()
    }
}

/// Moves the slot of `shapes` to the front, making it if need be.
fn touch(plans: &mut VecDeque<(Vec<Shape>, Slot)>, shapes: &[Shape]) -> Slot {
    let known = plans.iter().position(|(key, _)| key == shapes).and_then(|index| plans.remove(index));
    let (key, slot) = known.unwrap_or_else(|| (shapes.to_vec(), Slot::default()));
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

/// Types with symbols; where tract can't, with 1 for every open extent. Nothing is known where a rank is open.
fn dynamic_outputs(model: &InferenceModel, signature: &Signature) -> Result<Vec<Port>, Fault> {
    let Some(probe) = shapes(&signature.inputs, Some(1)) else {
        return Ok(signature.outputs.clone());
    };
    match symbolic(model, &signature.inputs) {
        Ok(symbolic) => Ok(symbolic.outputs(&signature.outputs)),
        // Some graphs compute with extents in ways that symbols can't follow.
        Err(_) => concrete(model, &signature.inputs, &probe).map(|_| signature.outputs.clone()),
    }
}

fn optimised(model: TypedModel) -> Result<Plan, Fault> {
    let model = model.into_optimized().map_err(translate::unsupported)?;
    model.into_runnable().map_err(translate::unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_plan_goes() {
        let mut plans = VecDeque::new();
        let key = |extent| vec![Shape::new([extent]).unwrap()];
        let first = touch(&mut plans, &key(0));
        for extent in 1..PLANS_MAX {
            touch(&mut plans, &key(extent));
        }
        assert!(Arc::ptr_eq(&first, &touch(&mut plans, &key(0))), "kept");
        let second = Arc::downgrade(&touch(&mut plans, &key(1)));
        for extent in 0..PLANS_MAX {
            touch(&mut plans, &key(100 + extent));
        }
        assert_eq!(plans.len(), PLANS_MAX);
        assert!(second.upgrade().is_none(), "gone");
    }
}
