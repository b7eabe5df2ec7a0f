//! Products of halves where the device multiplies small matrices as one; their sums are floats.

use super::{
    super::{
        kernels::Shader,
        planner::{Halt, Node, Placed, Planner, Value},
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

/// Both sides of a product: as they are where they are halves that the device multiplies, else as floats.
pub fn sides(planner: &mut Planner, node: &Node<'_>, turned: bool) -> Result<[Placed; 2], Halt> {
    let kept = planner.target.cooperates() && !turned && [0, 1].into_iter().all(|index| by_quads(node.input(index)));
    let rows = node.spec(0)?.shape.extents().iter().rev().nth(1).copied().unwrap_or(0);
    let mut side = |index| match kept && rows >= ROWS_MIN {
        true => planner.place(node.input(index)),
        false => widened(planner, node, node.input(index)),
    };
    Ok([side(0)?, side(1)?])
}

/// Whether a value is matrices of halves whose rows and columns are quads.
fn by_quads(value: &Value) -> bool {
    value.spec().is_some_and(|spec| {
        let [.., rows, columns] = spec.shape.extents() else { return false };
        spec.element == Element::Fp16 && columns.is_multiple_of(4) && rows.is_multiple_of(4)
    })
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
    let (shader, constants, a, b) = (Shader::Cooperative, Vec::new(), a.clone(), b.clone());
    planner.multiply(Product { shader, constants, parameters, a, b, y, groups, epilogue }, 1)
}
