//! Makes one step of several: what only the next step reads need never be in memory.

use super::{
    chain::{Chain, Link, With},
    draft::{Draft, Step, StorageId},
    kernels::Lane,
    planner::Placed,
};
use burst_host::nouns::Element;
use std::collections::HashMap;

/// Joins chains to longer ones, and takes them into the products before them.
pub fn fuse(draft: &mut Draft) {
    let mut fused = Fused { readers: readers(draft), makers: HashMap::new(), steps: Vec::new() };
    for step in std::mem::take(&mut draft.steps) {
        let step = match step {
            Step::Chain(chain) => {
                let joined = fused.joined(chain);
                fused.taken(joined)
            }
            other => other,
        };
        fused.makers.insert(step.write(), fused.steps.len());
        fused.steps.push(Some(step));
    }
    draft.steps = fused.steps.into_iter().flatten().collect();
}

/// How many steps read a value; an output is read by one that never comes.
fn readers(draft: &Draft) -> HashMap<StorageId, usize> {
    let mut readers = HashMap::new();
    let outputs = draft.outputs.iter().map(|(_, storage)| *storage);
    for storage in draft.steps.iter().flat_map(distinct).chain(outputs) {
        *readers.entry(storage).or_default() += 1;
    }
    readers
}

fn distinct(step: &Step) -> Vec<StorageId> {
    let mut reads = step.reads();
    reads.sort_unstable();
    reads.dedup();
    reads
}

struct Fused {
    readers: HashMap<StorageId, usize>,
    /// Which step writes a value, the last if several do.
    makers: HashMap<StorageId, usize>,
    steps: Vec<Option<Step>>,
}

impl Fused {
    /// The step that makes a value which only one later step reads.
    fn before(&self, value: &Placed) -> Option<&Step> {
        let alone = self.readers.get(&value.storage) == Some(&1);
        self.makers.get(&value.storage).filter(|_| alone).and_then(|&at| self.steps[at].as_ref())
    }

    /// The chain with those before it that only it reads.
    fn joined(&mut self, mut chain: Chain) -> Chain {
        loop {
            let join = |way: Chain| match self.before(&way.x)? {
                Step::Chain(before) => join(before, &way).map(|both| (way.x.storage, both)),
                _ => None,
            };
            let Some((gone, both)) = ways(&chain).into_iter().find_map(join) else { return chain };
            self.remove(gone, &Step::Chain(chain));
            chain = both;
        }
    }

    /// The chain, or the product before it which has taken it in.
    fn taken(&mut self, chain: Chain) -> Step {
        let take = |way: Chain| match self.before(&way.x)? {
            Step::Product(product) => product.then(&way.short()).map(|longer| (way.x.storage, longer)),
            _ => None,
        };
        let found = ways(&chain).into_iter().find_map(take);
        let step = Step::Chain(chain);
        let Some((gone, longer)) = found else { return step };
        self.remove(gone, &step);
        Step::Product(Box::new(longer))
    }

    /// Takes away the step that made a value, in favour of one that reads what it read.
    fn remove(&mut self, value: StorageId, by: &Step) {
        let Some(step) = self.makers.get(&value).and_then(|&at| self.steps[at].take()) else { return };
        let reads = distinct(by);
        for shared in distinct(&step).iter().filter(|storage| reads.contains(storage)) {
            self.readers.entry(*shared).and_modify(|count| *count -= 1);
        }
    }
}

/// The chain as it is, and begun with its first link's other operand.
fn ways(chain: &Chain) -> Vec<Chain> {
    let turned = || {
        let (first, rest) = chain.links.split_first()?;
        let With::Tensor(x) = &first.with else { return None };
        let link = Link { with: With::Tensor(chain.x.clone()), ..first.reversed()? };
        let links = [link].into_iter().chain(rest.iter().cloned()).collect();
        Some(Chain { x: x.clone(), links, ..chain.clone() })
    };
    [chain.clone()].into_iter().chain(turned()).collect()
}

/// Both as one; `None` where they don't fit together.
fn join(before: &Chain, after: &Chain) -> Option<Chain> {
    let middle = &before.y;
    let again = |link: &Link| matches!(&link.with, With::Tensor(other) if other.storage == middle.storage);
    let exact = before.lane == after.lane && keeps(after.lane, middle.spec.element, before.x.spec.element);
    let whole = middle.spec == after.x.spec && middle.spec.shape == after.y.spec.shape;
    if !exact || !whole || after.links.iter().any(again) {
        return None;
    }
    let links = before.links.iter().chain(&after.links).cloned().collect();
    Some(Chain { x: before.x.clone(), links, ..after.clone() }).filter(Chain::fits)
}

/// Whether a value in between is what it would be in memory.
fn keeps(lane: Lane, middle: Element, first: Element) -> bool {
    match lane {
        Lane::F32 | Lane::F8 => middle == Element::Fp32,
        Lane::F64 => middle == Element::Fp64,
        Lane::I32 => matches!(middle, Element::I32 | Element::U32) && middle == first,
        Lane::I64 => matches!(middle, Element::I64 | Element::U64) && middle == first,
    }
}
