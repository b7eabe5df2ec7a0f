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

/// The most elements of a run that one invocation goes through, and the fewest that are worth a part of their own.
const STEPS_MAX: usize = 16_384;
const STEPS_MIN: usize = 128;
/// Runs up to this are not shared out for the sake of speed: a pass more takes as long as they do.
const SHORT: usize = STEPS_MAX;
/// Invocations that keep a device busy.
const BUSY: usize = 1_024;
/// The longest run that a workgroup goes through.
const ROW_MAX: usize = 1 << 20;

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

/// In how many parts each of `count` runs is folded, by passes one after the other: one where a run is short enough, or
/// where many are folded at once.
pub fn parts(planner: &Planner, sizes: [usize; 3]) -> usize {
    let [count, run, _] = sizes;
    if count == 0 || run <= ROW_MAX && by_rows(planner, sizes) {
        return 1;
    }
    shares(sizes)
}

/// The same of kernels whose invocations go through a part each, whatever the device.
pub fn shares([count, run, _]: [usize; 3]) -> usize {
    if count == 0 {
        return 1;
    }
    let wanted = if run > SHORT { (BUSY / count).min(run / STEPS_MIN) } else { 1 };
    wanted.max(run.div_ceil(STEPS_MAX)).max(1)
}

/// The same where parts follow each other in a run: elements of a part, but for the last.
pub fn stretch(count: usize, run: usize) -> usize {
    run.div_ceil(shares([count, run, 1])).max(1)
}

/// What `run.wgsl` is told of runs in so many parts, whose elements are as far apart as there are parts.
pub fn parameters([count, run, inner]: [usize; 3], parts: usize) -> Vec<u32> {
    [count * parts, run, inner, parts, run.div_ceil(parts), run].map(|value| value as u32).to_vec()
}

fn by_rows(planner: &Planner, [_, run, inner]: [usize; 3]) -> bool {
    planner.target.shares_rows() && inner == 1 && run >= ROW_MIN
}

/// The kernel and its workgroups for `count` runs, whose elements are `inner` apart: an invocation each, or a workgroup
/// where one can.
pub fn kernel(
    planner: &Planner,
    [each, rows]: [Shader; 2],
    mut constants: Vec<(&'static str, u32)>,
    sizes @ [count, run, _]: [usize; 3],
) -> (Kernel, [u32; 3]) {
    if rows == each || !by_rows(planner, sizes) {
        return (Kernel::new(each, constants), grid(count));
    }
    constants.push(("INVOCATIONS", if run < LONG_ROW_MIN { 64 } else { 256 }));
    (Kernel::new(rows, constants), grid(64 * count))
}
