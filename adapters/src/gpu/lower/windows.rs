//! The windows of a line, an image or a volume: what convolutions and pools share.

use super::super::planner::{Halt, Node, Placed};

/// Windows over `AXES` axes; those that an operator lacks come first and hold one window of one element.
#[derive(Clone)]
pub struct Windows<const AXES: usize = 2> {
    pub kernel: [usize; AXES],
    pub strides: [usize; AXES],
    /// What is added before and after.
    pub begin: [usize; AXES],
    pub end: [usize; AXES],
    pub dilations: [usize; AXES],
    pub output: [usize; AXES],
}

/// The largest stride, dilation or pad: sums and products of them fit the shaders' integers.
const STEP_MAX: i64 = 1 << 24;
/// The most elements from the first to the last that a window reads.
const REACH_MAX: usize = 1 << 30;

impl<const AXES: usize> Windows<AXES> {
    /// Windows over an input of these extents; `up` lets the last one pass the end.
    pub fn new(node: &Node<'_>, input: [usize; AXES], kernel: &[usize], up: bool) -> Result<Self, Halt> {
        let mut windows = Self::given(node, kernel)?;
        let rule = node.text("auto_pad", "NOTSET");
        for (axis, extent) in input.into_iter().enumerate() {
            if rule.starts_with("SAME") {
                windows.same(axis, extent, rule == "SAME_UPPER");
            } else {
                windows.fit(node, axis, extent, up)?;
            }
        }
        Ok(windows)
    }

    /// As the attributes have them, without an output yet.
    pub fn given(node: &Node<'_>, kernel: &[usize]) -> Result<Self, Halt> {
        let axes = kernel.len();
        let pads = list(node, "pads", 0, 2 * axes)?;
        let windows = Self {
            kernel: aligned(kernel, 1),
            strides: aligned(&list(node, "strides", 1, axes)?, 1),
            begin: aligned(&pads[..axes], 0),
            end: aligned(&pads[axes..], 0),
            dilations: aligned(&list(node, "dilations", 1, axes)?, 1),
            output: [1; AXES],
        };
        let steps = [&windows.kernel, &windows.strides, &windows.dilations];
        if axes > AXES || steps.iter().any(|steps| steps.contains(&0)) {
            return Err(node.invalid("a stride, dilation or kernel of 0, or too many of them"));
        }
        if (0..AXES).any(|axis| windows.reach(axis) > REACH_MAX) {
            return Err(node.unsupported("a window of that size"));
        }
        Ok(windows)
    }

    /// Elements from the first to the last that a window reads.
    pub fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1).saturating_mul(self.dilations[axis]).saturating_add(1)
    }

    fn same(&mut self, axis: usize, extent: usize, upper: bool) {
        let output = extent.div_ceil(self.strides[axis]);
        let all = ((output.max(1) - 1) * self.strides[axis] + self.reach(axis)).saturating_sub(extent);
        let less = all / 2;
        self.output[axis] = output;
        (self.begin[axis], self.end[axis]) = if upper { (less, all - less) } else { (all - less, less) };
    }

    fn fit(&mut self, node: &Node<'_>, axis: usize, extent: usize, up: bool) -> Result<(), Halt> {
        let (begin, stride) = (self.begin[axis], self.strides[axis]);
        let room = (extent + begin + self.end[axis]).checked_sub(self.reach(axis));
        let room = room.ok_or_else(|| node.invalid("the kernel is larger than the padded input"))?;
        let output = room / stride + 1;
        // A window that begins beyond the input is not one.
        let more = up && !room.is_multiple_of(stride) && output * stride < extent + begin;
        self.output[axis] = output + usize::from(more);
        Ok(())
    }
}

/// An attribute of so many numbers.
pub fn list(node: &Node<'_>, name: &str, default: usize, length: usize) -> Result<Vec<usize>, Halt> {
    let Some(values) = node.ints(name) else { return Ok(vec![default; length]) };
    if name == "pads" && values.iter().any(|&pad| pad < 0) {
        return Err(node.unsupported("negative `pads`"));
    }
    let whole = values.len() == length && values.iter().all(|value| (0..=STEP_MAX).contains(value));
    if !whole {
        return Err(node.invalid(&format!("`{name}` is {values:?}")));
    }
    Ok(values.iter().map(|&value| value as usize).collect())
}

/// The last axes, those before them filled up.
fn aligned<const AXES: usize>(values: &[usize], fill: usize) -> [usize; AXES] {
    let mut all = [fill; AXES];
    all.iter_mut().rev().zip(values.iter().rev()).for_each(|(to, from)| *to = *from);
    all
}

/// Batch, channels, rows and columns; a line is an image of one row.
pub fn image(node: &Node<'_>, x: &Placed) -> Result<[usize; 4], Halt> {
    match *x.extents() {
        [n, c, w] => Ok([n, c, 1, w]),
        [n, c, h, w] => Ok([n, c, h, w]),
        _ => Err(rank(node, x)),
    }
}

/// Batch, channels and the extents of a volume; an image is a volume of one slice.
pub fn volume(node: &Node<'_>, x: &Placed) -> Result<([usize; 2], [usize; 3]), Halt> {
    match *x.extents() {
        [n, c, ref axes @ ..] if (1..=3).contains(&axes.len()) => Ok(([n, c], aligned(axes, 1))),
        _ => Err(rank(node, x)),
    }
}

fn rank(node: &Node<'_>, x: &Placed) -> Halt {
    node.unsupported(&format!("an input of {} axes", x.extents().len()))
}
