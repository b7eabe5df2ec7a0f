//! What each cut lets through, and what each fragment holds.

use super::{Values, line::Line};
use crate::nouns::{Element, Extent, Memory, Port, Signature};
use std::{collections::HashSet, iter};

/// A line with weights.
pub(super) struct Weighed<'a> {
    line: &'a Line<'a>,
    values: &'a Values,
    /// For the cut before each step; `None` where it can't be cut.
    crossing: Vec<Option<u64>>,
    /// What is held while each step computes, the model's own inputs and outputs aside.
    during: Vec<u64>,
    /// Outputs that the model takes again as inputs.
    states: HashSet<&'a str>,
}

impl<'a> Weighed<'a> {
    pub fn new(line: &'a Line<'a>, values: &'a Values) -> Self {
        let count = line.steps.len();
        // Sums of what begins less what ends.
        let (mut bytes, mut blocked, mut held) =
            (vec![0i128; count + 2], vec![0i64; count + 2], vec![0i128; count + 2]);
        for (&name, &maker) in &line.maker {
            let size = values.get(name).map_or(0, |known| i128::from(known.bytes));
            let last = line.last_use.get(name).copied().unwrap_or(maker);
            bytes[maker + 1] += size;
            bytes[last + 1] -= size;
            if !values.get(name).is_some_and(|known| crosses(&known.port)) {
                blocked[maker + 1] += 1;
                blocked[last + 1] -= 1;
            }
            if !line.is_output(name) {
                held[maker] += size;
                held[last + 1] -= size;
            }
        }
        let sum = |steps: Vec<i128>| {
            let mut total = 0;
            steps.into_iter().map(move |step| {
                total += step;
                u64::try_from(total).unwrap_or(u64::MAX)
            })
        };
        let mut hindrances = 0;
        let open = blocked.into_iter().map(|change| {
            hindrances += change;
            hindrances == 0
        });
        let crossing = sum(bytes).zip(open).map(|(bytes, open)| open.then_some(bytes)).take(count + 1).collect();
        Self { line, values, crossing, during: sum(held).take(count).collect(), states: states(line) }
    }

    /// The bytes that cross the cut before a step; `None` where it can't be cut.
    pub fn crossing(&self, step: usize) -> Option<u64> {
        self.crossing.get(step).copied().flatten()
    }

    /// The name of a value whose size nobody knows.
    pub fn unknown(&self) -> Option<&'a str> {
        let line = self.line;
        let used = |name: &&&str| line.last_use.contains_key(**name) || line.is_output(name);
        line.maker.keys().filter(used).find(|name| !self.values.contains_key(**name)).copied()
    }

    /// What the fragments from `start` on hold, by their length, shortest first. Never less for a longer one.
    pub fn memory(&self, start: usize) -> impl Iterator<Item = Memory> {
        let (mut constants, mut inputs) = (HashSet::new(), HashSet::new());
        let (mut memory, mut passing, mut peak) = (Memory::default(), 0u64, 0u64);
        let mut steps = start..self.line.steps.len();
        iter::from_fn(move || {
            let step = steps.next()?;
            for name in &self.line.steps[step].constants {
                if constants.insert(*name) {
                    memory.weight_bytes += self.line.constants[name].contents().map_or(0, |bytes| bytes.len() as u64);
                }
            }
            for name in &self.line.steps[step].uses {
                let Some(port) = self.line.inputs.get(name).filter(|_| inputs.insert(*name)) else { continue };
                let part = if self.states.contains(name) { &mut memory.state_bytes } else { &mut passing };
                *part = part.saturating_add(input_bytes(port));
            }
            for name in self.line.yields(step).filter(|name| self.line.is_output(name)) {
                passing = passing.saturating_add(self.values.get(name).map_or(0, |known| known.bytes));
            }
            peak = peak.max(self.during[step]);
            Some(Memory { activation_bytes: passing.saturating_add(peak), ..memory })
        })
    }
}

/// Whether a value may come to a fragment from elsewhere. Short lists of integers are mostly shapes: a fragment that
/// is given one can't know the extents of its own tensors before it runs.
fn crosses(port: &Port) -> bool {
    let rank = port.shape.as_ref().map(Vec::len);
    match port.element {
        None => false,
        Some(Element::I64 | Element::I32) => rank.is_some_and(|rank| rank > 1),
        Some(_) => true,
    }
}

/// The size of an input, with 1 for open extents.
fn input_bytes(port: &Port) -> u64 {
    let size = port.element.and_then(Element::size).unwrap_or(0) as u64;
    let extent = |extent: &Extent| if let Extent::Fixed(fixed) = extent { *fixed as u64 } else { 1 };
    port.shape.iter().flatten().map(extent).fold(size, u64::saturating_mul)
}

/// Inputs that the model gives back: they stay from run to run.
fn states<'a>(line: &Line<'a>) -> HashSet<&'a str> {
    let returns = |name: &str| Signature::state_output(name).is_some_and(|output| line.is_output(&output));
    line.inputs.keys().copied().filter(|name| returns(name)).collect()
}
