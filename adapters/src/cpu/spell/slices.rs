//! Slices that tract takes wrongly: steps longer than any axis, which it takes through 32 bits, and ends before starts.

use super::Spelling;

/// Longer than an axis can be, and as far from what 32 bits hold.
const STEP_MAX: i64 = 1 << 30;

pub fn bounded(spelling: &mut Spelling<'_>) -> Option<()> {
    let told = |index: usize| spelling.input(index).and_then(|name| spelling.indices(&name));
    let (starts, ends, steps) = (told(1), told(2), told(4));
    if spelling.input(4).is_some() && steps.is_none() {
        return None;
    }
    let mut op = spelling.op.clone();
    let changed = |new: &[i64], old: &Option<Vec<i64>>| old.as_deref().is_some_and(|old| old != new);
    let short: Vec<i64> = steps.iter().flatten().map(|step| (*step).clamp(-STEP_MAX, STEP_MAX)).collect();
    let of = |index: usize| short.get(index).copied().unwrap_or(1);
    let pairs = starts.iter().flatten().zip(ends.iter().flatten()).enumerate();
    let near: Vec<i64> = pairs.map(|(index, (start, end))| nearest_end(*start, *end, of(index))).collect();
    if changed(&short, &steps) {
        op.inputs[4] = spelling.longs(&[short.len()], &short)?;
    }
    if starts.is_some() && changed(&near, &ends) {
        op.inputs[2] = spelling.longs(&[near.len()], &near)?;
    }
    spelling.ops.push(op);
    Some(())
}

/// The end, or the start where nothing lies between them. Numbers of unlike signs count from unlike ends.
fn nearest_end(start: i64, end: i64, step: i64) -> i64 {
    let nothing = if step > 0 { end < start } else { start < end };
    if nothing && (start < 0) == (end < 0) { start } else { end }
}
