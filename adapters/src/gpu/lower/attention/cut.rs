//! How attention is cut: rows and values that a workgroup takes, and keys in parts where rows are few.

use super::{
    super::super::{family::Family, iterations, tiling::GROUPS_MAX},
    Attention,
};

/// Rows of a workgroup, and of an invocation where each works alone.
const ROWS: usize = 32;
const ROWS_ALONE: usize = 4;
/// vec4s of a value that a workgroup sums up in `attention_shared.wgsl`.
const SPAN: usize = 32;
/// Invocations that keep a CPU busy, as was measured, and workgroups that keep a GPU busy, as was not.
const INVOCATIONS_MIN: usize = 512;
const GROUPS_MIN: usize = 128;
/// Keys of a part at least: a part is written and read again.
const PART_MIN: usize = 128;

/// Attention, cut for a family.
pub struct Cut {
    tiles: usize,
    lists: usize,
    /// Keys of a part, and how many parts there are.
    pub part: usize,
    pub parts: usize,
}

impl Cut {
    /// `None` where it fits no grid, or no driver's patience.
    pub fn of(family: Family, attention: &Attention) -> Option<Self> {
        let (rows, lists, places) = (attention.rows(), attention.lists(), attention.key.places);
        let columns = attention.value.vectors();
        let rounds = iterations::Attention::of(family, attention.key.vectors(), columns);
        let spans = if family == Family::Shared { columns.div_ceil(SPAN).max(1) } else { 1 };
        let tiles = rows.div_ceil(ROWS) * spans;
        let idle = match family {
            Family::Shared => GROUPS_MIN / (tiles * lists).max(1),
            Family::Apart | Family::Together => INVOCATIONS_MIN / (rows.div_ceil(ROWS_ALONE) * lists).max(1),
        };
        let (keys, patience) = (rounds.keys, rounds.patience());
        let part = places.div_ceil(idle.min(places / PART_MIN).max(1));
        let part = part.next_multiple_of(keys).clamp(keys, patience.max(keys));
        let parts = places.div_ceil(part).max(1);
        let fits = patience > 0 && [tiles, lists, parts].iter().all(|&groups| groups <= GROUPS_MAX);
        fits.then_some(Self { tiles, lists, part, parts })
    }

    /// Workgroups along rows, parts of the keys, and heads of all batches.
    pub fn groups(&self) -> [u32; 3] {
        [self.tiles, self.parts, self.lists].map(|count| count as u32)
    }
}
