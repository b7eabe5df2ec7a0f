//! Decides where the fragments of a model go, if this node is the first of those that know it.

use super::{
    Member, Nodes,
    view::{Plans, View, held},
};
use crate::{
    mechanisms::place::{PlaceError, Placement},
    nouns::{Epoch, Spread, Stage},
};

/// A spread is given up for one that takes less than this part of its time; moving costs time, too.
const WORTH_IT: f64 = 0.8;

impl Member {
    /// Tells a new spread of each model that this node leads and that needs one.
    pub(super) fn lead(&self, nodes: &Nodes) {
        let plans = self.plans();
        for (digest, plan) in &plans {
            let Some(view) = View::new(nodes, &plans, digest) else { continue };
            if view.able.first() != Some(&self.fabric.name()) {
                continue;
            }
            let stages = match decide(&view) {
                Ok(stages) => stages,
                Err(error) => {
                    tracing::warn!(model = %plan.model, %error, "it can't be spread");
                    continue;
                }
            };
            if view.latest.is_some_and(|latest| latest.stages == stages) {
                continue;
            }
            let number = view.latest.map_or(0, |latest| latest.epoch.number) + 1;
            let epoch = Epoch { number, leader: self.fabric.name().clone() };
            tracing::info!(model = %plan.model, epoch = number, ?stages, "spread");
            self.tell(*digest, |model| model.spread = Some(Spread { epoch, stages }));
        }
    }

    /// The cut models that this node has measured.
    fn plans(&self) -> Plans {
        self.known().iter().map(|(digest, known)| (*digest, known.plan.clone())).collect()
    }
}

/// Where the stages should be: where they are, as long as that is possible and good enough.
fn decide(view: &View<'_>) -> Result<Vec<Stage>, PlaceError> {
    let best = view.best()?;
    let chosen = with_standbys(&best, view);
    let kept = view.now().and_then(|now| {
        let stages = with_standbys(&now, view);
        (now.interval_us() * WORTH_IT <= best.interval_us() && alone(&stages) <= alone(&chosen)).then_some(stages)
    });
    Ok(kept.unwrap_or(chosen))
}

/// Stages that nobody stands by for.
fn alone(stages: &[Stage]) -> usize {
    stages.iter().filter(|stage| stage.nodes.len() == 1).count()
}

/// Gives each stage a second node that has room for it, those that hold most first, since they fit in the fewest places;
/// the one it had, if it can stay.
fn with_standbys(placement: &Placement, view: &View<'_>) -> Vec<Stage> {
    let mut room: Vec<u64> = view.cluster.nodes.iter().map(|node| node.memory_bytes).collect();
    let mut stages: Vec<Stage> = Vec::new();
    for stage in &placement.stages {
        room[stage.node] = room[stage.node].saturating_sub(stage.memory_bytes);
        let nodes = vec![view.able[stage.node].clone()];
        stages.push(Stage { fragments: stage.fragments.clone(), nodes });
    }
    let mut order: Vec<usize> = (0..stages.len()).collect();
    order.sort_by_key(|&stage| std::cmp::Reverse(placement.stages[stage].memory_bytes));
    for index in order {
        let stage = &stages[index];
        let needed = held(&view.tasks[stage.fragments.clone()]);
        let before = view.latest.and_then(|latest| latest.stages.iter().find(|old| old.fragments == stage.fragments));
        let stood_by = |node: &usize| before.is_some_and(|before| before.nodes.contains(view.able[*node]));
        let fits = |node: &usize| *node != placement.stages[index].node && room[*node] >= needed;
        let fitting = || (0..room.len()).filter(fits);
        if let Some(node) = fitting().find(stood_by).or_else(|| fitting().max_by_key(|node| room[*node])) {
            room[node] -= needed;
            stages[index].nodes.push(view.able[node].clone());
        }
    }
    stages
}
