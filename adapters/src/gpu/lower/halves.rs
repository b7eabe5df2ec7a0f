//! Products of halves; their sums are floats. Small matrices are multiplied as one where the device does that.

use super::{
    super::{
        kernels::Shader,
        planner::{Halt, Node, Placed, Planner},
        product::{Epilogue, Product},
    },
    matrix::strides_of,
    pointwise::{padded, widened},
};
use burst_host::nouns::Element;

/// Rows and columns of a workgroup's tile, as `cooperative.wgsl` says.
const TILE: usize = 128;
/// Fewer rows leave most of a tile empty.
const ROWS_MIN: usize = 16;

/// Both sides of a product: as they are where both are halves, else as floats.
pub fn sides(planner: &mut Planner, node: &Node<'_>) -> Result<[Placed; 2], Halt> {
    let halves = node.spec(0)?.element == Element::Fp16 && node.spec(1)?.element == Element::Fp16;
    let mut side = |index| match halves {
        true => planner.place(node.input(index)),
        false => widened(planner, node, node.input(index)),
    };
    Ok([side(0)?, side(1)?])
}

/// Whether the device multiplies such matrices as small ones of halves.
pub fn cooperate(planner: &Planner, [a, b]: [&Placed; 2]) -> bool {
    let rows = a.extents().iter().rev().nth(1).copied().unwrap_or(0);
    planner.target.cooperates() && rows >= ROWS_MIN && by_quads(a) && by_quads(b)
}

/// Whether they are matrices of halves whose rows and columns are quads.
fn by_quads(x: &Placed) -> bool {
    let [.., rows, columns] = x.extents() else { return false };
    x.spec.element == Element::Fp16 && columns.is_multiple_of(4) && rows.is_multiple_of(4)
}

/// y = a·b, batched, and the epilogue.
pub fn multiply(
    planner: &mut Planner,
    [a, b]: [&Placed; 2],
    sizes @ [m, n, k]: [usize; 3],
    y: Placed,
    epilogue: Epilogue,
) -> Result<Placed, Halt> {
    let of = |placed: &Placed| placed.extents()[..placed.extents().len() - 2].to_vec();
    let batch = of(&y);
    let mut parameters = sizes.map(|value| value as u32).to_vec();
    for axes in [padded(&batch, 1), strides_of(&of(a), &batch, m * k), strides_of(&of(b), &batch, k * n)] {
        parameters.extend(&axes[2..]);
    }
    let groups = [m.div_ceil(TILE), n.div_ceil(TILE), batch.iter().product()].map(|count| count as u32);
    let (constants, a, b) = (Vec::new(), a.clone(), Some(b.clone()));
    let shader = Shader::Cooperative;
    planner.multiply(Product { shader, constants, parameters, a, b, y, groups, epilogue }, 1)
}
