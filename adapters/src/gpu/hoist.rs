//! Does once what depends on nothing but constants: weights in another layout, or of another element.

use super::{
    device::Gpu,
    draft::{Draft, Step, Storage, StorageId},
    memory::{Block, Memory},
    plan::Plan,
    transfer,
    weights::Weights,
};
use burst_host::nouns::{Digest, Element, Fault, Spec, Tensor};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// Takes such steps out of a draft, which then holds their results.
pub async fn hoist(draft: &mut Draft, gpu: &Gpu, memory: &Memory, weights: &Weights) -> Result<(), Fault> {
    let steady = steady(draft);
    let (once, rest): (Vec<_>, Vec<_>) =
        std::mem::take(&mut draft.steps).into_iter().partition(|step| steady[step.write()]);
    draft.steps = rest;
    let (origins, sources) = (origins(draft, &once), sources(draft, &once));
    let used = draft.steps.iter().flat_map(Step::reads).chain(draft.outputs.iter().map(|(_, storage)| *storage));
    let mut missing = Vec::new();
    for storage in used.filter(|storage| origins.contains_key(storage)).collect::<BTreeSet<_>>() {
        match weights.derived(&origins[&storage]) {
            Some(block) => draft.storages[storage] = Storage::Held(block),
            None => missing.push(storage),
        }
    }
    for (storage, block) in missing.iter().zip(made(draft, once, &missing, gpu, memory).await?) {
        weights.derive(origins[storage], sources.clone(), &block);
        draft.storages[*storage] = Storage::Held(block);
    }
    Ok(())
}

/// Which values never change: those that are written by nothing that reads another kind.
pub fn steady(draft: &Draft) -> Vec<bool> {
    let constant = |storage: &Storage| matches!(storage, Storage::Constant(_) | Storage::Held(_));
    let mut steady: Vec<bool> = draft.storages.iter().map(constant).collect();
    let mut written = vec![false; steady.len()];
    for step in &draft.steps {
        let to = step.write();
        let whole = !every_run(draft, to) && step.reads().iter().all(|&storage| steady[storage]);
        steady[to] = whole && (steady[to] || !written[to]);
        written[to] = true;
    }
    steady
}

/// Whether each run writes it anew, whatever from.
fn every_run(draft: &Draft, storage: StorageId) -> bool {
    let checked = draft.checks.word.as_ref().is_some_and(|word| word.storage == storage);
    checked || matches!(draft.storages[storage], Storage::State(_))
}

/// The constants that steps begin with.
fn sources(draft: &Draft, steps: &[Step]) -> Vec<Tensor> {
    let constant = |storage: StorageId| match &draft.storages[storage] {
        Storage::Constant(tensor) => Some(tensor.clone()),
        _ => None,
    };
    steps.iter().flat_map(Step::reads).filter_map(constant).collect()
}

/// How each result is made: a digest that is the same for the same result, and as short after many steps as after one.
fn origins(draft: &Draft, once: &[Step]) -> HashMap<StorageId, Digest> {
    let mut origins: HashMap<StorageId, Digest> = HashMap::new();
    for step in once {
        let written = step.write();
        let before = origins.get(&written);
        let dispatch = step.dispatch();
        let reads = dispatch.iter().flat_map(|dispatch| &dispatch.reads);
        let read = |storage: &StorageId| match &draft.storages[*storage] {
            Storage::Constant(tensor) => tensor.contents().map(|bytes| format!("{:?}+{}", bytes.as_ptr(), bytes.len())),
            _ => origins.get(storage).map(Digest::to_string),
        };
        let reads: Vec<_> = reads.map(read).collect();
        let kernel = dispatch.as_ref().map(|dispatch| (&dispatch.kernel, &dispatch.parameters, dispatch.groups));
        let origin = Digest::of(format!("{before:?}{kernel:?}{reads:?}").as_bytes());
        origins.insert(written, origin);
    }
    origins
}

/// Runs the steps and returns what they made.
async fn made(
    draft: &Draft,
    steps: Vec<Step>,
    wanted: &[StorageId],
    gpu: &Gpu,
    memory: &Memory,
) -> Result<Vec<Arc<Block>>, Fault> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let output = |&storage: &StorageId| {
        let bytes = if let Storage::Temporary { bytes } = draft.storages[storage] { bytes } else { 0 };
        let words = Spec::new(Element::U64, [bytes.div_ceil(8) as usize]);
        let spec = words.map_err(|error| Fault::TooLarge(error.to_string()))?;
        Ok((spec, storage))
    };
    let outputs = wanted.iter().map(output).collect::<Result<_, Fault>>()?;
    let mut once = Draft { storages: draft.storages.clone(), inputs: Vec::new(), steps, outputs, ..Draft::default() };
    once.prune();
    // What is only read here does not stay on the device.
    let plan = Plan::new(&once, gpu, memory, &Weights::default()).await?;
    let mut blocks = Vec::with_capacity(wanted.len());
    for tensor in plan.run(gpu, memory, &[]).await? {
        blocks.push(transfer::place(gpu, memory, &tensor).await?);
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            draft::Dispatch,
            kernels::{Kernel, Shader},
        },
        *,
    };

    /// Steps on one constant, each of which reads twice what the one before it has made.
    fn chain(steps: &[u32]) -> Vec<Digest> {
        let constant = Tensor::host(Spec::new(Element::U8, [4]).unwrap(), bytes::Bytes::from_static(b"four")).unwrap();
        let mut draft = Draft { storages: vec![Storage::Constant(constant)], ..Draft::default() };
        let step = |(at, &parameter): (usize, &u32)| {
            draft.storages.push(Storage::Temporary { bytes: 4 });
            let kernel = Kernel::new(Shader::Join, []);
            Step::Dispatch(Dispatch {
                kernel,
                parameters: vec![parameter],
                reads: vec![at; 2],
                write: at + 1,
                groups: [1; 3],
            })
        };
        let once: Vec<Step> = steps.iter().enumerate().map(step).collect();
        let origins = origins(&draft, &once);
        (1..=steps.len()).map(|storage| origins[&storage]).collect()
    }

    #[test]
    fn long_chains_have_origins_of_their_own() {
        let steps: Vec<u32> = (0..100).collect();
        let whole = chain(&steps);
        assert_eq!(whole, chain(&steps), "the same is found again");
        assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), 100, "no two steps are one");
        let other: Vec<u32> = [7].into_iter().chain(1..100).collect();
        assert!(whole.iter().zip(chain(&other)).all(|(one, other)| *one != other), "what begins otherwise stays other");
    }

    /// A value that is written twice is what both have made of it.
    #[test]
    fn what_was_written_before_counts() {
        let draft = Draft { storages: vec![Storage::Temporary { bytes: 4 }], ..Draft::default() };
        let write = |parameter: u32| {
            let kernel = Kernel::new(Shader::Advance, []);
            Step::Dispatch(Dispatch {
                kernel,
                parameters: vec![parameter],
                reads: Vec::new(),
                write: 0,
                groups: [1; 3],
            })
        };
        let origin = |steps: &[u32]| {
            let once: Vec<Step> = [Step::Clear(0)].into_iter().chain(steps.iter().map(|&step| write(step))).collect();
            origins(&draft, &once)[&0]
        };
        assert_eq!(origin(&[1, 2]), origin(&[1, 2]));
        assert_ne!(origin(&[1, 2]), origin(&[2]));
        assert_ne!(origin(&[1, 2]), origin(&[2, 1]));
    }
}
