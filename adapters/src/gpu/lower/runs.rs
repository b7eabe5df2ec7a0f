//! Runs of elements along axes: where they lie, and who goes through one.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, grid},
    },
    movement::permute,
};
use burst_host::nouns::Shape;

/// Runs that are worth a workgroup, and those that are worth a large one.
const ROW_MIN: usize = 64;
const LONG_ROW_MIN: usize = 1024;

/// What is folded: runs of elements, `inner` apart, and the shape that is left of them.
pub struct Runs {
    pub x: Placed,
    pub run: usize,
    pub inner: usize,
    pub shape: Shape,
}

impl Runs {
    /// Axes that lie together are folded where they are; others are moved to the end.
    pub fn along(planner: &mut Planner, node: &Node<'_>, x: &Placed, axes: &[usize], keep: bool) -> Result<Self, Halt> {
        let extents = x.extents();
        let kept: Vec<usize> = (0..extents.len()).filter(|at| !axes.contains(at)).collect();
        let left = (0..extents.len()).filter(|at| keep || kept.contains(at));
        let shape = node.shape(left.map(|at| if kept.contains(&at) { extents[at] } else { 1 }).collect())?;
        let run = axes.iter().map(|&at| extents[at]).product();
        let together = axes.iter().copied().min().zip(axes.iter().copied().max());
        match together.filter(|(first, last)| last - first + 1 == axes.len()) {
            Some((_, last)) => {
                let inner = extents[last + 1..].iter().product();
                Ok(Self { x: x.clone(), run, inner, shape })
            }
            None => {
                let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
                Ok(Self { x: permute(planner, node, x, &order)?, run, inner: 1, shape })
            }
        }
    }
}

/// The kernel and its workgroups for `count` runs, whose elements are `inner` apart: an invocation each, or a workgroup
/// where one can.
pub fn kernel(
    planner: &Planner,
    [each, rows]: [Shader; 2],
    mut constants: Vec<(&'static str, u32)>,
    [count, run, inner]: [usize; 3],
) -> (Kernel, [u32; 3]) {
    if !planner.target.shares_rows() || rows == each || inner != 1 || run < ROW_MIN {
        return (Kernel::new(each, constants), grid(count));
    }
    constants.push(("INVOCATIONS", if run < LONG_ROW_MIN { 64 } else { 256 }));
    (Kernel::new(rows, constants), grid(64 * count))
}
