//! Folds along axes.

use super::{
    super::{
        kernels::Shader,
        planner::{Halt, Node, Placed, Planner, Value, axes, axis},
    },
    pointwise::{convert, widened},
    runs::{self, Runs},
};
use burst_host::nouns::{Attribute, Element, Spec};

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
/// One for the first largest, of the modes of `softmax.wgsl`.
const HARDMAX: u32 = 2;

/// Axes are an input since opset 18, for sums since 13.
pub fn reduce(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let mode = MODES.iter().find(|(name, _)| *name == node.op.kind).map_or(0, |(_, mode)| *mode);
    let given = node.list("axes", 1)?.unwrap_or_default();
    let rank = node.spec(0)?.shape.extents().len();
    if given.is_empty() && node.int("noop_with_empty_axes", 0) == 1 {
        return Ok(vec![node.input(0).clone()]);
    }
    let axes = if given.is_empty() { (0..rank).collect() } else { axes(node, &given, rank)? };
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
    let y = reduced(planner, mode, &x, [shape.elements(), run, inner], Spec { element: Element::Fp32, shape })?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// Folds runs of elements into one each.
fn reduced(planner: &mut Planner, mode: u32, x: &Placed, sizes: [usize; 3], spec: Spec) -> Result<Placed, Halt> {
    dispatch(planner, [Shader::Reduce, Shader::ReduceRows], vec![("MODE", mode)], x, (sizes, spec))
}

/// Softmax or a relative of it.
fn shares(
    planner: &mut Planner,
    constants: Vec<(&'static str, u32)>,
    x: &Placed,
    sizes: [usize; 3],
) -> Result<Placed, Halt> {
    let first_wins = constants[0] == ("MODE", HARDMAX);
    let rows = if first_wins { Shader::Softmax } else { Shader::SoftmaxRows };
    dispatch(planner, [Shader::Softmax, rows], constants, x, (sizes, x.spec.clone()))
}

fn dispatch(
    planner: &mut Planner,
    shaders: [Shader; 2],
    constants: Vec<(&'static str, u32)>,
    x: &Placed,
    (sizes, spec): ([usize; 3], Spec),
) -> Result<Placed, Halt> {
    let (kernel, groups) = runs::kernel(planner, shaders, constants, sizes);
    planner.dispatch(kernel, sizes.map(|value| value as u32).to_vec(), &[x], spec, groups)
}

pub fn softmax(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    spread(planner, node, 0)
}

pub fn log_softmax(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    spread(planner, node, 1)
}

pub fn hardmax(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    spread(planner, node, HARDMAX)
}

/// Before opset 13 the axis and all after it were one.
fn spread(planner: &mut Planner, node: &Node<'_>, mode: u32) -> Result<Vec<Value>, Halt> {
    if node.spec(0)?.element == Element::Fp64 {
        return soft_doubles(planner, node, mode);
    }
    let element = node.spec(0)?.element;
    let x = widened(planner, node, node.input(0))?;
    let rank = x.extents().len();
    // A scalar is a run of its own.
    let at = axis(node, node.int("axis", if node.opset >= 13 { -1 } else { 1 }), rank.max(1))?;
    let (run, inner) = if rank == 0 {
        (1, 1)
    } else if node.opset >= 13 {
        (x.extents()[at], x.extents()[at + 1..].iter().product())
    } else {
        (x.extents()[at..].iter().product(), 1)
    };
    let count = x.spec.shape.elements().checked_div(run).unwrap_or(0);
    let halves = u32::from(element == Element::Fp16);
    let y = shares(planner, vec![("MODE", mode), ("HALVES", halves)], &x, [count, run, inner])?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// The same in 64-bit floats, of the operators that it is made of.
fn soft_doubles(planner: &mut Planner, node: &Node<'_>, mode: u32) -> Result<Vec<Value>, Halt> {
    if node.opset < 13 || mode == HARDMAX {
        return Err(node.lacks("FP64"));
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
    reduced(planner, SUM, x, [1, x.spec.shape.elements(), 1], spec)
}

/// The mean of each of `count` runs.
pub fn means(planner: &mut Planner, node: &Node<'_>, x: &Placed, count: usize, run: usize) -> Result<Placed, Halt> {
    let spec = Spec { element: Element::Fp32, shape: node.shape(vec![count, 1])? };
    reduced(planner, MEAN, x, [count, run, 1], spec)
}

/// Logarithms of probabilities along one axis.
pub fn log_softmax_of(planner: &mut Planner, node: &Node<'_>, x: &Placed, at: usize) -> Result<Placed, Halt> {
    let run = x.extents().get(at).copied().ok_or_else(|| node.invalid("no such axis"))?;
    let inner: usize = x.extents()[at + 1..].iter().product();
    let count = x.spec.shape.elements().checked_div(run).unwrap_or(0);
    shares(planner, vec![("MODE", 1)], x, [count, run, inner])
}
