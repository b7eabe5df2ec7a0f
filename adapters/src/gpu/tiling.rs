//! How a product is cut: into tiles, one a workgroup, and its steps into parts where tiles are few.

use super::family::{Family, Target};

/// Columns of a block of weights, whatever the tile.
pub const COLUMNS: usize = 32;
/// Rows of a tile in registers, which all invocations of a workgroup have together.
pub const REGISTER_ROWS: usize = 32;
/// The smallest tile in the memory of a workgroup.
pub const TILE_MIN: usize = 64;
/// Workgroups that keep a GPU busy.
const BUSY: usize = 128;
/// Steps of a part at least: a part is written and read again.
const PART_MIN: usize = 256;
/// Floats of all parts of a product.
const PARTS_MAX_FLOATS: usize = 4 << 20;
/// The largest count of workgroups along an axis.
pub const GROUPS_MAX: usize = 65_535;

/// A product of m × k by k × n, cut.
pub struct Tiling {
    rows: usize,
    columns: usize,
    sizes: [usize; 3],
    batch: usize,
    /// How many parts the steps are shared out in, and steps of a part.
    pub parts: usize,
    pub part: usize,
}

impl Tiling {
    /// Tiles as large as keep the device busy, then parts.
    pub fn of(target: &Target, sizes @ [_, _, k]: [usize; 3], batch: usize) -> Self {
        let whole = |rows, columns| Self { rows, columns, sizes, batch, parts: 1, part: k };
        if target.choice.family != Family::Shared {
            return whole(REGISTER_ROWS, COLUMNS);
        }
        let large = whole(target.choice.tile, target.choice.tile);
        let tiling = if large.tiles() < BUSY { whole(TILE_MIN, TILE_MIN) } else { large };
        tiling.shared_out()
    }

    /// The same for one row a workgroup.
    pub fn of_rows(target: &Target, sizes @ [_, _, k]: [usize; 3], batch: usize) -> Self {
        let whole = Self { rows: 1, columns: COLUMNS, sizes, batch, parts: 1, part: k };
        if target.choice.family == Family::Shared { whole.shared_out() } else { whole }
    }

    fn shared_out(mut self) -> Self {
        let [m, n, k] = self.sizes;
        let room = PARTS_MAX_FLOATS / (self.batch * m * n).max(1);
        let most = room.min(k / PART_MIN).min(GROUPS_MAX / self.batch.max(1));
        let parts = BUSY.div_ceil(self.tiles().max(1)).min(most).max(1);
        // Whole blocks of steps, for every tile.
        self.part = if parts == 1 { k } else { k.div_ceil(parts).next_multiple_of(16) };
        self.parts = k.div_ceil(self.part.max(1)).max(1);
        self
    }

    fn tiles(&self) -> usize {
        let [m, n, _] = self.sizes;
        m.div_ceil(self.rows) * n.div_ceil(self.columns) * self.batch
    }

    /// Workgroups, parts and all.
    pub fn groups(&self) -> [u32; 3] {
        let [m, n, _] = self.sizes;
        [m.div_ceil(self.rows), n.div_ceil(self.columns), self.batch * self.parts].map(|count| count as u32)
    }

    /// What the kernel is made with.
    pub fn constants(&self) -> Vec<(&'static str, u32)> {
        if self.rows < TILE_MIN { Vec::new() } else { vec![("TILE", self.rows as u32)] }
    }
}
