//! Folds along axes.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, axis, grid},
    },
    movement::permute,
    pointwise::{convert, widened},
};
use burst_host::nouns::{Attribute, Element, Shape, Spec};

/// Numbers of the folds in `reduce.wgsl`.
const MODES: &[(&str, u32)] = &[
    ("ReduceL1", 5),
    ("ReduceL2", 7),
    ("ReduceLogSum", 8),
    ("ReduceLogSumExp", 9),
    ("ReduceMax", 2),
    ("ReduceMean", 1),
    ("ReduceMin", 3),
    ("ReduceProd", 4),
    ("ReduceSum", 0),
    ("ReduceSumSquare", 6),
];

const SUM: u32 = 0;
const MEAN: u32 = 1;

/// Axes are an input since opset 18, for sums since 13.
pub fn reduce(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let mode = MODES.iter().find(|(name, _)| *name == node.op.kind).map_or(0, |(_, mode)| *mode);
    let given = node.list("axes", 1)?.unwrap_or_default();
    let rank = node.spec(0)?.shape.extents().len();
    if given.is_empty() && node.int("noop_with_empty_axes", 0) == 1 {
        return Ok(vec![node.input(0).clone()]);
    }
    let mut axes: Vec<usize> = given.iter().map(|&at| axis(node, at, rank)).collect::<Result<_, _>>()?;
    if given.is_empty() {
        axes = (0..rank).collect();
    }
    fold(planner, node, mode, &axes, node.int("keepdims", 1) == 1)
}

pub fn global_average(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let rank = node.spec(0)?.shape.extents().len();
    fold(planner, node, 1, &(2..rank).collect::<Vec<_>>(), true)
}

pub fn global_max(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let rank = node.spec(0)?.shape.extents().len();
    fold(planner, node, 2, &(2..rank).collect::<Vec<_>>(), true)
}

fn fold(planner: &mut Planner, node: &Node<'_>, mode: u32, axes: &[usize], keep: bool) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    if !matches!(element, Element::Fp32 | Element::Fp16 | Element::Bf16) {
        return Ok(vec![super::fold::fold(planner, node, &node.op.kind, axes, keep)?]);
    }
    let x = widened(planner, node, node.input(0))?;
    let Runs { x, run, inner, shape } = Runs::along(planner, node, &x, axes, keep)?;
    let spec = Spec { element: Element::Fp32, shape };
    let y = runs(planner, reducing(mode), &x, [spec.shape.elements(), run, inner], spec)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

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

fn reducing(mode: u32) -> Kernel {
    Kernel::new(Shader::Reduce, [("MODE", mode)])
}

/// One invocation a run of elements.
fn runs(
    planner: &mut Planner,
    kernel: Kernel,
    x: &Placed,
    [count, run, inner]: [usize; 3],
    spec: Spec,
) -> Result<Placed, Halt> {
    let parameters = [count, run, inner].map(|value| value as u32).to_vec();
    planner.dispatch(kernel, parameters, &[x], spec, grid(count))
}

pub fn softmax(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    spread(planner, node, 0)
}

pub fn log_softmax(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    spread(planner, node, 1)
}

pub fn hardmax(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    spread(planner, node, 2)
}

/// Before opset 13 the axis and all after it were one.
fn spread(planner: &mut Planner, node: &Node<'_>, mode: u32) -> Result<Vec<Value>, Halt> {
    if node.spec(0)?.element == Element::Fp64 {
        return soft_doubles(planner, node, mode);
    }
    let element = node.spec(0)?.element;
    let x = widened(planner, node, node.input(0))?;
    let rank = x.extents().len();
    let at = axis(node, node.int("axis", if node.opset >= 13 { -1 } else { 1 }), rank)?;
    let (run, inner) = if rank == 0 {
        (1, 1)
    } else if node.opset >= 13 {
        (x.extents()[at], x.extents()[at + 1..].iter().product())
    } else {
        (x.extents()[at..].iter().product(), 1)
    };
    let count = x.spec.shape.elements().checked_div(run).unwrap_or(0);
    let spec = x.spec.clone();
    let halves = u32::from(element == Element::Fp16);
    let kernel = Kernel::new(Shader::Softmax, [("MODE", mode), ("HALVES", halves)]);
    let y = runs(planner, kernel, &x, [count, run, inner], spec)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// The same in 64-bit floats, of the operators that it is made of.
fn soft_doubles(planner: &mut Planner, node: &Node<'_>, mode: u32) -> Result<Vec<Value>, Halt> {
    if node.opset < 13 || mode == 2 {
        return Err(node.unsupported("FP64"));
    }
    let at = axis(node, node.int("axis", -1), node.spec(0)?.shape.extents().len())?;
    let x = planner.place(node.input(0))?;
    let largest = super::fold::fold(planner, node, "ReduceMax", &[at], true)?;
    let below = planner.apply("Sub", Vec::new(), vec![x.into(), largest])?;
    let powers = planner.apply("Exp", Vec::new(), vec![below.clone()])?;
    let axes = planner.axes(&[at])?;
    let keep = vec![("keepdims".into(), Attribute::Int(1))];
    let sum = planner.apply("ReduceSum", keep, vec![powers.clone(), axes])?;
    if mode == 0 {
        return Ok(vec![planner.apply("Div", Vec::new(), vec![powers, sum])?]);
    }
    let sum = planner.apply("Log", Vec::new(), vec![sum])?;
    Ok(vec![planner.apply("Sub", Vec::new(), vec![below, sum])?])
}

/// The sum of all elements.
pub fn fold_all(planner: &mut Planner, node: &Node<'_>, x: &Placed) -> Result<Placed, Halt> {
    let spec = Spec { element: Element::Fp32, shape: node.shape(Vec::new())? };
    runs(planner, reducing(SUM), x, [1, x.spec.shape.elements(), 1], spec)
}

/// The mean of each of `count` runs.
pub fn means(planner: &mut Planner, node: &Node<'_>, x: &Placed, count: usize, run: usize) -> Result<Placed, Halt> {
    let spec = Spec { element: Element::Fp32, shape: node.shape(vec![count, 1])? };
    runs(planner, reducing(MEAN), x, [count, run, 1], spec)
}

/// Logarithms of probabilities along one axis.
pub fn log_softmax_of(planner: &mut Planner, node: &Node<'_>, x: &Placed, at: usize) -> Result<Placed, Halt> {
    let run = x.extents().get(at).copied().ok_or_else(|| node.invalid("no such axis"))?;
    let inner: usize = x.extents()[at + 1..].iter().product();
    let count = x.spec.shape.elements().checked_div(run).unwrap_or(0);
    runs(planner, Kernel::new(Shader::Softmax, [("MODE", 1)]), x, [count, run, inner], x.spec.clone())
}
