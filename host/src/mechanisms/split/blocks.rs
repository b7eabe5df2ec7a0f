//! Where a model repeats itself.

use super::line::Line;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A block has to come so often before it counts as one.
const REPEATS_MIN: usize = 3;

/// Those of `cuts` that stand between blocks, or outside the part of the model that is made of blocks. All of them
/// where nothing repeats: the smallest period that more than half of the parts between cuts keep.
pub(super) fn between(line: &Line<'_>, cuts: &[usize]) -> Vec<usize> {
    let bounds: Vec<usize> = [0].into_iter().chain(cuts.iter().copied()).chain([line.steps.len()]).collect();
    let parts: Vec<u64> = bounds.windows(2).map(|bounds| kinds(line, bounds[0]..bounds[1])).collect();
    let (start, end, period) = repeating(&parts).unwrap_or((0, 0, 1));
    // The last block may end differently; it is one all the same, so its middle is no place for a cut.
    let inside = |part: usize| (start..=end).contains(&part) && !(part - start).is_multiple_of(period);
    cuts.iter().enumerate().filter(|(index, _)| !inside(index + 1)).map(|(_, &cut)| cut).collect()
}

/// A number for the operators of a part, in order.
fn kinds(line: &Line<'_>, steps: std::ops::Range<usize>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for step in &line.steps[steps] {
        line.graph.ops[step.op].kind.hash(&mut hasher);
    }
    hasher.finish()
}

/// Start, end and period of the parts that repeat.
fn repeating(parts: &[u64]) -> Option<(usize, usize, usize)> {
    (1..=parts.len() / REPEATS_MIN).find_map(|period| {
        let equal = |at: &usize| parts[*at] == parts[*at + period];
        let mut best = (0, 0);
        let mut at = 0;
        while at + period < parts.len() {
            let run = (at..parts.len() - period).take_while(equal).count();
            if run > best.1 {
                best = (at, run);
            }
            at += run + 1;
        }
        let (start, length) = (best.0, best.1 + period);
        (length >= REPEATS_MIN * period && 2 * length > parts.len()).then_some((start, start + length, period))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_period_is_found() {
        let check = |parts: &str, expected| {
            let parts: Vec<u64> = parts.bytes().map(u64::from).collect();
            assert_eq!(repeating(&parts), expected);
        };
        check("", None);
        check("abcdef", None);
        check("eamamamamt", Some((1, 9, 2)));
        check("eaaaaat", Some((1, 6, 1)));
        check("sdiidiiidiiiiidiih", None);
        check("xabcabcabcabcay", Some((1, 14, 3)));
    }
}
