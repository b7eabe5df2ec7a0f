//! Decides where the fragments of a model go, if this node is the first of those that know it.

use super::{
    Member, Nodes, lock,
    standby::with_standbys,
    view::{Plans, View},
};
use crate::{
    mechanisms::place::PlaceError,
    nouns::{Epoch, Objective, Spread, Stage},
};

/// A spread is given up for one that takes less than this part of its time; moving costs time, too.
const WORTH_IT: f64 = 0.8;

impl Member {
    /// Tells a new spread of each model that this node leads and that needs one.
    pub(super) fn lead(&self, nodes: &Nodes) {
        let plans = self.plans();
        lock(&self.refused).retain(|digest, _| plans.contains_key(digest));
        for (digest, plan) in &plans {
            let Some(view) = View::new(nodes, &plans, digest) else { continue };
            if view.able.first() != Some(&self.fabric.name()) {
                continue;
            }
            let stages = match decide(&view, self.objective) {
                Ok(stages) => stages,
                Err(error) => {
                    let before = lock(&self.refused).insert(*digest, error.clone());
                    if before.as_ref() != Some(&error) {
                        tracing::warn!(model = %plan.model, %error, "it can't be spread");
                    }
                    continue;
                }
            };
            lock(&self.refused).remove(digest);
            if view.latest.is_some_and(|latest| latest.stages == stages) {
                continue;
            }
            let Some(epoch) = Epoch::after(view.latest.map(|latest| &latest.epoch), self.fabric.name()) else {
                tracing::error!(model = %plan.model, "it was spread too often");
                continue;
            };
            tracing::info!(model = %plan.model, epoch = epoch.number, ?stages, "spread");
            self.tell(*digest, |model| model.spread = Some(Spread { epoch, stages }));
        }
    }

    /// The cut models that this node has measured.
    fn plans(&self) -> Plans {
        self.known().iter().map(|(digest, known)| (*digest, known.plan.clone())).collect()
    }
}

/// Where the stages should be: where they are, as long as that is possible and good enough.
fn decide(view: &View<'_>, objective: Objective) -> Result<Vec<Stage>, PlaceError> {
    let best = view.best(objective)?;
    let chosen = with_standbys(&best, view);
    let kept = view.now().and_then(|now| {
        let stages = with_standbys(&now, view);
        (now.cost_us(objective) * WORTH_IT <= best.cost_us(objective) && alone(&stages) <= alone(&chosen))
            .then_some(stages)
    });
    Ok(kept.unwrap_or(chosen))
}

/// Stages that nobody stands by for.
fn alone(stages: &[Stage]) -> usize {
    stages.iter().filter(|stage| stage.nodes.len() == 1).count()
}
