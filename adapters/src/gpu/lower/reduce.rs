//! Folds along axes.

use super::{
    super::{
        iterations::ITERATIONS_MAX,
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, axes, axis, grid},
    },
    pointwise::{Link, chain, code, convert, widened},
    runs::{self, Runs},
};
use burst_host::nouns::{Attribute, Element, ShapeError, Spec, Tensor};

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
const MAX: u32 = 2;
const ABSOLUTE: u32 = 5;
const SQUARES: u32 = 6;
const ROOT_OF_SQUARES: u32 = 7;
const LOG_OF_SUM: u32 = 8;
const LOG_OF_EXPONENTIALS: u32 = 9;
/// One for the first largest, of the modes of `softmax.wgsl`.
const HARDMAX: u32 = 2;
/// The longest run that an invocation of `softmax.wgsl` goes through three times.
const ROUNDS_MAX: usize = ITERATIONS_MAX / 3;

/// Axes are an input since opset 18, for sums since 13.
pub fn reduce(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let mode = MODES.iter().find(|(name, _)| *name == node.op.kind).map_or(0, |(_, mode)| *mode);
    let given = node.list("axes", 1)?.unwrap_or_default();
    let rank = node.spec(0)?.shape.extents().len();
    // What is done to each element is done without axes too.
    let axes = match node.int("noop_with_empty_axes", 0) {
        1 if given.is_empty()
            && matches!(
                node.op.kind.as_str(),
                "ReduceMax" | "ReduceMin" | "ReduceMean" | "ReduceProd" | "ReduceSum"
            ) =>
        {
            return Ok(vec![node.input(0).clone()]);
        }
        1 => axes(node, &given, rank)?,
        _ if given.is_empty() => (0..rank).collect(),
        _ => axes(node, &given, rank)?,
    };
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
    let y = reduced(planner, node, mode, &x, ([shape.elements(), run, inner], Spec { element: Element::Fp32, shape }))?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// Folds runs of elements into one each: long ones part by part, then what the parts come to.
fn reduced(
    planner: &mut Planner,
    node: &Node<'_>,
    mode: u32,
    x: &Placed,
    (sizes @ [count, run, inner], spec): ([usize; 3], Spec),
) -> Result<Placed, Halt> {
    let parts = runs::parts(planner, sizes);
    if parts == 1 {
        return dispatch(planner, [Shader::Reduce, Shader::ReduceRows], vec![("MODE", mode)], x, (sizes, spec));
    }
    if mode == LOG_OF_EXPONENTIALS {
        return log_sum_exp(planner, node, x, (sizes, spec));
    }
    let (first, then, after) = passes(mode, run);
    let shape = node.shape(vec![count / inner, parts, inner])?;
    let kernel = Kernel::new(Shader::Reduce, [("MODE", first)]);
    let partial = Spec { element: Element::Fp32, shape };
    let partial = planner.dispatch(kernel, runs::parameters(sizes, parts), &[x], partial, grid(count * parts))?;
    let whole = reduced(planner, node, then, &partial, ([count, parts, inner], spec))?;
    if after.is_empty() { Ok(whole) } else { chain(planner, node, &whole, &after, Element::Fp32) }
}

/// How parts are folded, how what they come to, and what is done in the end.
fn passes(mode: u32, run: usize) -> (u32, u32, Vec<Link>) {
    match mode {
        MEAN => (SUM, SUM, vec![Link::number(code::DIVIDE, run as f32)]),
        ABSOLUTE | SQUARES => (mode, SUM, Vec::new()),
        ROOT_OF_SQUARES => (SQUARES, SUM, vec![Link::alone(code::ROOT)]),
        LOG_OF_SUM => (SUM, SUM, vec![Link::alone(code::LOGARITHM)]),
        _ => (mode, mode, Vec::new()),
    }
}

/// The largest is taken off first, as far as it is a number.
fn log_sum_exp(
    planner: &mut Planner,
    node: &Node<'_>,
    x: &Placed,
    (sizes @ [count, run, inner], spec): ([usize; 3], Spec),
) -> Result<Placed, Halt> {
    let x = x.reshaped(node.shape(vec![count / inner, run, inner])?);
    let shape = node.shape(vec![count / inner, 1, inner])?;
    let one_each = Spec { element: Element::Fp32, shape };
    let largest = reduced(planner, node, MAX, &x, (sizes, one_each.clone()))?;
    let links = [Link::number(code::MAX, f32::MIN), Link::number(code::MIN, f32::MAX)];
    let largest = chain(planner, node, &largest, &links, Element::Fp32)?;
    let links = [Link::tensor(code::SUBTRACT, largest.clone()), Link::alone(code::EXPONENTIAL)];
    let powers = chain(planner, node, &x, &links, Element::Fp32)?;
    let sum = reduced(planner, node, SUM, &powers, (sizes, one_each))?;
    let links = [Link::alone(code::LOGARITHM), Link::tensor(code::ADD, largest)];
    Ok(chain(planner, node, &sum, &links, Element::Fp32)?.reshaped(spec.shape))
}

/// Softmax or a relative of it.
fn shares(
    planner: &mut Planner,
    node: &Node<'_>,
    (mode, halves): (u32, bool),
    x: &Placed,
    sizes @ [count, run, inner]: [usize; 3],
) -> Result<Placed, Halt> {
    let rows = if mode == HARDMAX { Shader::Softmax } else { Shader::SoftmaxRows };
    // By workgroups the first largest is not found.
    let parts = if mode == HARDMAX { run.div_ceil(ROUNDS_MAX) } else { runs::parts(planner, sizes) };
    if parts <= 1 || count == 0 {
        let constants = vec![("MODE", mode), ("HALVES", u32::from(halves))];
        return dispatch(planner, [Shader::Softmax, rows], constants, x, (sizes, x.spec.clone()));
    }
    let long = x.reshaped(node.shape(vec![count / inner, run, inner])?);
    let y = if mode == HARDMAX {
        first_largest(planner, node, &long)?
    } else {
        long_shares(planner, node, (mode, halves), &long, sizes)?
    };
    Ok(y.reshaped(x.spec.shape.clone()))
}

/// Softmax of long runs, `[outer, run, inner]`, pass by pass: each is shared out among many.
fn long_shares(
    planner: &mut Planner,
    node: &Node<'_>,
    (mode, halves): (u32, bool),
    x: &Placed,
    sizes: [usize; 3],
) -> Result<Placed, Halt> {
    let stepped = |planner: &mut Planner, x: Placed| {
        if !halves {
            return Ok(x);
        }
        let half = convert(planner, node, &x, Element::Fp16)?;
        convert(planner, node, &half, Element::Fp32)
    };
    let mut shape = x.extents().to_vec();
    shape[1] = 1;
    let one_each = Spec { element: Element::Fp32, shape: node.shape(shape)? };
    let largest = reduced(planner, node, MAX, x, (sizes, one_each.clone()))?;
    let (below, power) = (Link::tensor(code::SUBTRACT, largest.clone()), Link::alone(code::EXPONENTIAL));
    let powers = if halves {
        let below = chain(planner, node, x, &[below], Element::Fp32)?;
        let below = stepped(planner, below)?;
        chain(planner, node, &below, &[power], Element::Fp32)?
    } else {
        chain(planner, node, x, &[below, power], Element::Fp32)?
    };
    let powers = stepped(planner, powers)?;
    // Of so many a sum may be beyond the largest half.
    let sum = reduced(planner, node, SUM, &powers, (sizes, one_each))?;
    if mode == 0 {
        return chain(planner, node, &powers, &[Link::tensor(code::DIVIDE, sum)], Element::Fp32);
    }
    let sum = chain(planner, node, &sum, &[Link::alone(code::LOGARITHM)], Element::Fp32)?;
    let links = [Link::tensor(code::SUBTRACT, largest), Link::tensor(code::SUBTRACT, sum)];
    chain(planner, node, x, &links, Element::Fp32)
}

/// One for the first largest of each run, zero for the rest.
fn first_largest(planner: &mut Planner, node: &Node<'_>, x: &Placed) -> Result<Placed, Halt> {
    let attributes = vec![("axis".into(), Attribute::Int(1)), ("keepdims".into(), Attribute::Int(0))];
    let places = planner.apply("ArgMax", attributes, vec![x.clone().into()])?;
    let known =
        |tensor: Result<Tensor, ShapeError>| tensor.map(Value::Known).map_err(|error| node.invalid(&error.to_string()));
    let depth = known(Tensor::from_slice(Element::I64, [1], &[x.extents()[1] as i64]))?;
    let values = known(Tensor::from_slice(Element::Fp32, [2], &[0.0f32, 1.0]))?;
    let y = planner.apply("OneHot", vec![("axis".into(), Attribute::Int(1))], vec![places, depth, values])?;
    planner.place(&y)
}

fn dispatch(
    planner: &mut Planner,
    shaders: [Shader; 2],
    constants: Vec<(&'static str, u32)>,
    x: &Placed,
    (sizes, spec): ([usize; 3], Spec),
) -> Result<Placed, Halt> {
    let (kernel, groups) = runs::kernel(planner, shaders, constants, sizes);
    planner.dispatch(kernel, runs::parameters(sizes, 1), &[x], spec, groups)
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
    let y = shares(planner, node, (mode, element == Element::Fp16), &x, [count, run, inner])?;
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
    reduced(planner, node, SUM, x, ([1, x.spec.shape.elements(), 1], spec))
}

/// The mean of each of `count` runs.
pub fn means(planner: &mut Planner, node: &Node<'_>, x: &Placed, count: usize, run: usize) -> Result<Placed, Halt> {
    let spec = Spec { element: Element::Fp32, shape: node.shape(vec![count, 1])? };
    reduced(planner, node, MEAN, x, ([count, run, 1], spec))
}

/// Logarithms of probabilities along one axis.
pub fn log_softmax_of(planner: &mut Planner, node: &Node<'_>, x: &Placed, at: usize) -> Result<Placed, Halt> {
    let run = x.extents().get(at).copied().ok_or_else(|| node.invalid("no such axis"))?;
    let inner: usize = x.extents()[at + 1..].iter().product();
    let count = x.spec.shape.elements().checked_div(run).unwrap_or(0);
    shares(planner, node, (1, false), x, [count, run, inner])
}
