//! A cut model over several accelerators of this box: each fragment is tried on all of them and stays on one.

use super::{
    cut::named,
    models::{LoadError, Models},
};
use crate::{
    mechanisms::{
        measure::measure,
        mixed::{ACCELERATORS_MAX, Chain, Links, Mix, Step, assign},
        pipeline::Pipeline,
    },
    nouns::{Fault, Fragment, Graph, Measured, Plan, Tensor},
    ports::{Accelerator, Device, Part, Trial},
};
use std::{collections::HashMap, num::NonZeroUsize, sync::Arc, time::Duration};

/// How often a fragment is run on each accelerator, and for how long at most.
const RUNS: NonZeroUsize = NonZeroUsize::new(8).unwrap();
const WINDOW: Duration = Duration::from_millis(200);

impl Models {
    /// A cut model with each fragment in memory on the accelerator where one run of all takes the least time. While they
    /// are tried no two programs are there at once, so no more memory is needed than on one accelerator.
    pub(super) async fn mixed(
        &self,
        directory: &str,
        plan: &Plan,
        first: &Arc<dyn Accelerator>,
        others: Vec<Arc<dyn Accelerator>>,
    ) -> Result<Pipeline, LoadError> {
        let mut accelerators = vec![first.clone()];
        accelerators.extend(others.into_iter().filter(|other| has_room(plan, &**other)));
        accelerators.truncate(ACCELERATORS_MAX);
        let links = links(&accelerators).await?;
        let (trials, values) = self.trials(directory, plan, &accelerators).await?;
        let chosen = assign(&chain(plan, links, &trials, &values));
        let chosen = chosen.ok_or_else(|| LoadError::Nowhere(Vec::new()))?;
        tracing::info!(model = plan.model, expected_us = chosen.cost_us, "each fragment has its accelerator");
        let (mut programs, mut parts) = (Vec::new(), Vec::new());
        for ((fragment, &accelerator), trials) in plan.fragments.iter().zip(&chosen.accelerators).zip(trials) {
            let program = self.fragment(directory, fragment, &*accelerators[accelerator]).await?;
            let part = Part { fragment: fragment.name.clone(), device: program.device().clone(), trials };
            tracing::info!(model = plan.model, "{part}");
            programs.push(program);
            parts.push(part);
        }
        let pipeline = Pipeline::new(plan, programs, first.describe().clone())?;
        Ok(pipeline.over(Mix::new(accelerators, chosen.accelerators, parts)))
    }

    /// Every fragment on every accelerator, and what it yields: the next ones take it.
    async fn trials(
        &self,
        directory: &str,
        plan: &Plan,
        accelerators: &[Arc<dyn Accelerator>],
    ) -> Result<(Vec<Vec<Trial>>, HashMap<String, Tensor>), LoadError> {
        let (mut all, mut values) = (Vec::new(), HashMap::new());
        for fragment in &plan.fragments {
            let graph = self.fragment_graph(directory, fragment).await?;
            let mut trials = Vec::new();
            for accelerator in accelerators {
                trials.push(trial(&**accelerator, &graph, &mut values).await);
            }
            if trials.iter().all(|trial| trial.outcome.is_err()) {
                return Err(named(fragment)(LoadError::Nowhere(trials)));
            }
            all.push(trials);
        }
        Ok((all, values))
    }
}

/// Whether all of a model would fit beside what is on an accelerator already; it rounds up by an eighth at most.
fn has_room(plan: &Plan, accelerator: &dyn Accelerator) -> bool {
    let weights = plan.fragments.iter().map(|fragment| fragment.memory.weight_bytes);
    let needed_bytes = weights.fold(0, |sum: u64, bytes| sum.saturating_add(bytes).saturating_add(bytes / 8));
    let fits = accelerator.room_bytes().is_none_or(|room_bytes| needed_bytes <= room_bytes);
    if !fits {
        let (model, device) = (&plan.model, accelerator.describe());
        tracing::warn!(model, needed_bytes, %device, "it has no room for the whole model and computes none of it");
    }
    fits
}

async fn links(accelerators: &[Arc<dyn Accelerator>]) -> Result<Vec<Links>, LoadError> {
    let mut links = Vec::new();
    for accelerator in accelerators {
        let measured = Links::measure(&**accelerator).await;
        let device = || Box::new(accelerator.describe().clone());
        links.push(measured.map_err(|fault| LoadError::Accelerator { device: device(), fault })?);
    }
    Ok(links)
}

/// Loads a fragment, runs it a few times and drops it. Whatever goes wrong, the fragment is not computed there.
async fn trial(accelerator: &dyn Accelerator, graph: &Graph, values: &mut HashMap<String, Tensor>) -> Trial {
    let mut device = accelerator.describe().clone();
    let outcome = tried(accelerator, graph, values, &mut device).await;
    Trial { device, outcome }
}

async fn tried(
    accelerator: &dyn Accelerator,
    graph: &Graph,
    values: &mut HashMap<String, Tensor>,
    device: &mut Device,
) -> Result<Measured, Fault> {
    let program = accelerator.load(graph).await?;
    // A fallback may stand in for the accelerator.
    *device = program.device().clone();
    let mut inputs = Vec::new();
    for port in &program.signature().inputs {
        let value = values.get(&port.name).cloned().map_or_else(|| port.zeros(|_| 1), Ok)?;
        values.insert(port.name.clone(), value.clone());
        inputs.push(accelerator.upload(value).await?);
    }
    let (measured, outputs) = measure(&*program, accelerator, inputs, RUNS, WINDOW).await?;
    for (port, output) in program.signature().outputs.iter().zip(&outputs) {
        if !values.contains_key(&port.name) {
            values.insert(port.name.clone(), accelerator.download(output).await?);
        }
    }
    Ok(measured)
}

/// What was measured, by numbers.
fn chain(plan: &Plan, links: Vec<Links>, trials: &[Vec<Trial>], values: &HashMap<String, Tensor>) -> Chain {
    let yielded = plan.fragments.iter().flat_map(|fragment| &fragment.outputs);
    let names: Vec<_> = plan.inputs.iter().chain(yielded).collect();
    let numbers: HashMap<_, _> = names.iter().enumerate().map(|(number, name)| (name.as_str(), number)).collect();
    let numbered = |names: &[String]| names.iter().filter_map(|name| numbers.get(name.as_str()).copied()).collect();
    let bytes = |name: &&String| values.get(name.as_str()).and_then(Tensor::contents).map_or(0, |it| it.len() as u64);
    let step = |(fragment, trials): (&Fragment, &Vec<Trial>)| Step {
        takes: numbered(&fragment.inputs),
        yields: numbered(&fragment.outputs),
        compute_us: trials.iter().map(|trial| Some(trial.outcome.as_ref().ok()?.compute_us)).collect(),
    };
    Chain {
        bytes: names.iter().map(bytes).collect(),
        inputs: plan.inputs.len(),
        outputs: numbered(&plan.outputs),
        links,
        steps: plan.fragments.iter().zip(trials).map(step).collect(),
    }
}
