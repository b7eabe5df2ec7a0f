//! Operators that only move elements.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, axes, axis, grid},
    },
    pointwise::{merge, padded},
};
use burst_host::nouns::{Element, Fault, Shape, Spec};

/// From where each element of a result is copied: the place of its first, and steps along its axes.
pub struct Walk {
    pub shape: Shape,
    pub offset: i64,
    pub strides: Vec<i64>,
    pub outside: Option<Outside>,
}

/// A walk that leaves the input.
pub struct Outside {
    pub mode: u32,
    pub fill: [u32; 2],
    pub before: Vec<i64>,
    pub extents: Vec<usize>,
}

pub fn identity(_: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    Ok(vec![node.input(0).clone()])
}

pub fn reshape(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let wanted = node.list("shape", 1)?.ok_or_else(|| node.invalid("no shape"))?;
    let x = planner.place(node.input(0))?;
    let keeps_zero = node.int("allowzero", 0) == 1;
    let mut extents = Vec::new();
    for (axis, &extent) in wanted.iter().enumerate() {
        extents.push(match extent {
            0 if !keeps_zero => {
                *x.extents().get(axis).ok_or_else(|| node.invalid("0 for an axis that is not there"))?
            }
            -1 => 1,
            extent => usize::try_from(extent).map_err(|_| node.invalid("an extent below -1"))?,
        });
    }
    if let Some(open) = wanted.iter().position(|&extent| extent == -1) {
        if wanted[open + 1..].contains(&-1) {
            return Err(node.invalid("two open extents"));
        }
        let others = node.shape(extents.clone())?.elements();
        extents[open] = x.spec.shape.elements().checked_div(others).unwrap_or(0);
    }
    as_shape(node, &x, extents)
}

/// The same elements in another shape.
pub fn as_shape(node: &Node<'_>, x: &Placed, extents: Vec<usize>) -> Result<Vec<Value>, Halt> {
    let shape = node.shape(extents)?;
    if shape.elements() != x.spec.shape.elements() {
        return Err(node.invalid(&format!("{} does not hold as many elements as {shape}", x.spec)));
    }
    Ok(vec![x.reshaped(shape).into()])
}

pub fn flatten(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let rank = x.extents().len();
    let at = node.int("axis", 1);
    let at = if at == rank as i64 { rank } else { axis(node, at, rank)? };
    let (before, after) = x.extents().split_at(at);
    let extents = vec![before.iter().product(), after.iter().product()];
    as_shape(node, &x, extents)
}

pub fn squeeze(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let given = node.list("axes", 1)?;
    let x = planner.place(node.input(0))?;
    let extents = x.extents().to_vec();
    let gone: Vec<usize> = match given {
        Some(given) => axes(node, &given, extents.len())?,
        None => (0..extents.len()).filter(|&at| extents[at] == 1).collect(),
    };
    let kept = (0..extents.len()).filter(|at| !gone.contains(at)).map(|at| extents[at]).collect();
    as_shape(node, &x, kept)
}

pub fn unsqueeze(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let given = node.list("axes", 1)?.ok_or_else(|| node.invalid("no axes"))?;
    let x = planner.place(node.input(0))?;
    let rank = x.extents().len() + given.len();
    let new = axes(node, &given, rank)?;
    let mut old = x.extents().iter().copied();
    let extents = (0..rank).map(|at| if new.contains(&at) { 1 } else { old.next().unwrap_or(1) }).collect();
    as_shape(node, &x, extents)
}

pub fn transpose(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let rank = x.extents().len();
    let order = node.ints("perm").unwrap_or_else(|| (0..rank as i64).rev().collect());
    let order = axes(node, &order, rank)?;
    if order.len() != rank {
        return Err(node.invalid(&format!("an order of {} axes for {}", order.len(), x.spec)));
    }
    permute(planner, node, &x, &order).map(|placed| vec![placed.into()])
}

/// Axes in another order.
pub fn permute(planner: &mut Planner, node: &Node<'_>, x: &Placed, order: &[usize]) -> Result<Placed, Halt> {
    let strides = steps(x.extents());
    let shape = node.shape(order.iter().map(|&at| x.extents()[at]).collect())?;
    // Moving only axes of extent 1 moves nothing.
    let moved: Vec<_> = order.iter().filter(|&&at| x.extents()[at] != 1).collect();
    if moved.is_sorted() {
        return Ok(x.reshaped(shape));
    }
    let strides = order.iter().map(|&at| strides[at]).collect();
    walk(planner, node, x, Walk { shape, offset: 0, strides, outside: None })
}

pub fn expand(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let wanted = node.numbers(1)?.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
    let wanted = node.shape(wanted.map_err(|_| node.invalid("an extent below zero"))?)?;
    let x = planner.place(node.input(0))?;
    let shape = super::pointwise::broadcast(node, &x.spec.shape, &wanted)?;
    let lead = shape.extents().len() - x.extents().len();
    let own = steps(x.extents());
    let step = |at: usize| at.checked_sub(lead).map_or(0, |at| if x.extents()[at] == 1 { 0 } else { own[at] });
    let strides = (0..shape.extents().len()).map(step).collect();
    Ok(vec![walk(planner, node, &x, Walk { shape, offset: 0, strides, outside: None })?.into()])
}

pub fn tile(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let repeats = node.numbers(1)?;
    let x = planner.place(node.input(0))?;
    if repeats.len() != x.extents().len() {
        return Err(node.invalid(&format!("{} repeats of {}", repeats.len(), x.spec)));
    }
    let repeated = |(extent, &times): (&usize, &i64)| usize::try_from(times).ok()?.checked_mul(*extent);
    let extents = x.extents().iter().zip(&repeats).map(repeated).collect::<Option<_>>();
    let extents = extents.ok_or_else(|| node.invalid(&format!("{repeats:?} repeats of {}", x.spec)))?;
    let outside = Outside { mode: 4, fill: [0; 2], before: vec![0; x.extents().len()], extents: x.extents().to_vec() };
    let walked = Walk { shape: node.shape(extents)?, offset: 0, strides: steps(x.extents()), outside: Some(outside) };
    Ok(vec![walk(planner, node, &x, walked)?.into()])
}

/// Starts, ends, axes and steps are inputs since opset 10.
pub fn slice(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let missing = || node.invalid("no bounds");
    let starts = node.list("starts", 1)?.ok_or_else(missing)?;
    let ends = node.list("ends", 2)?.ok_or_else(missing)?;
    let given = node.list("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let jumps = if node.has(4) { node.numbers(4)? } else { vec![1; starts.len()] };
    let x = planner.place(node.input(0))?;
    let mut extents = x.extents().to_vec();
    let axes = axes(node, &given, extents.len())?;
    if [starts.len(), ends.len(), jumps.len()] != [axes.len(); 3] {
        return Err(node.invalid("bounds for each axis are needed"));
    }
    let (mut strides, mut offset) = (steps(x.extents()), 0);
    for (((start, end), &at), jump) in starts.iter().zip(&ends).zip(&axes).zip(&jumps) {
        let (first, count) = range(node, *start, *end, *jump, extents[at] as i64)?;
        offset += first * strides[at];
        // Of one element there is no next.
        strides[at] *= if count > 1 { *jump } else { 1 };
        extents[at] = count;
    }
    let shape = node.shape(extents)?;
    if shape == x.spec.shape && offset == 0 && jumps.iter().all(|&jump| jump == 1) {
        return Ok(vec![x.into()]);
    }
    Ok(vec![walk(planner, node, &x, Walk { shape, offset, strides, outside: None })?.into()])
}

/// The first index of a slice and how many there are.
fn range(node: &Node<'_>, start: i64, end: i64, jump: i64, extent: i64) -> Result<(i64, usize), Halt> {
    let wrap = |index: i64| if index < 0 { index.saturating_add(extent) } else { index };
    let (start, end) = (wrap(start), wrap(end));
    match jump {
        0 => Err(node.invalid("a step of 0")),
        1.. => {
            let (start, end) = (start.clamp(0, extent), end.clamp(0, extent));
            Ok((start, ((end - start).max(0) as u64).div_ceil(jump as u64) as usize))
        }
        _ => {
            let (start, end) = (start.clamp(-1, extent - 1), end.clamp(-1, extent - 1));
            Ok((start, ((start - end).max(0) as u64).div_ceil(jump.unsigned_abs()) as usize))
        }
    }
}

pub fn split(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let sizes = node.list("split", 1)?;
    let x = planner.place(node.input(0))?;
    let at = axis(node, node.int("axis", 0), x.extents().len())?;
    let extent = x.extents()[at];
    let parts = node.op.outputs.len();
    let each = extent.div_ceil(parts.max(1));
    let equal = || (0..parts).map(|part| each.min(extent.saturating_sub(part * each)) as i64).collect();
    let sizes: Vec<i64> = sizes.unwrap_or_else(equal);
    let whole = sizes.iter().try_fold(0, |sum: i64, &size| sum.checked_add(size).filter(|_| size >= 0));
    if sizes.len() != parts || whole != Some(extent as i64) {
        return Err(node.invalid(&format!("parts of {sizes:?} do not make {extent}")));
    }
    let strides = steps(x.extents());
    let (mut results, mut start) = (Vec::new(), 0);
    for size in sizes {
        let mut extents = x.extents().to_vec();
        extents[at] = size as usize;
        let shape = node.shape(extents)?;
        let offset = start * strides[at];
        let part = Walk { shape, offset, strides: strides.clone(), outside: None };
        results.push(walk(planner, node, &x, part)?.into());
        start += size;
    }
    Ok(results)
}

pub fn concat(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let parts: Vec<Placed> = node.inputs.iter().map(|input| planner.place(input)).collect::<Result<_, _>>()?;
    let first = parts.first().ok_or_else(|| node.invalid("nothing to join"))?.clone();
    let at = axis(node, node.int("axis", 0), first.extents().len())?;
    let mut extents = first.extents().to_vec();
    extents[at] = parts.iter().map(|part| part.extents().get(at).copied().unwrap_or(0)).sum();
    let fits = |part: &Placed| {
        part.spec.element == first.spec.element
            && part.extents().len() == extents.len()
            && (0..extents.len()).all(|axis| axis == at || part.extents()[axis] == extents[axis])
    };
    if !parts.iter().all(fits) {
        return Err(node.invalid("parts that do not fit"));
    }
    let spec = Spec { element: first.spec.element, shape: node.shape(extents.clone())? };
    let size = size(node, spec.element)? as usize;
    let result = if size < 4 { planner.cleared(spec)? } else { planner.temporary(spec)? };
    let inner: usize = extents[at + 1..].iter().product();
    let mut offset = 0;
    for part in &parts {
        let run = part.extents()[at] * inner;
        place(planner, part, &result, [run, extents[at] * inner, offset], size);
        offset += run;
    }
    Ok(vec![result.into()])
}

/// Copies runs of elements to `offset` and every `step` elements after it.
fn place(planner: &mut Planner, part: &Placed, result: &Placed, walk: [usize; 3], size: usize) {
    let count = part.spec.shape.elements();
    // Elements of whole words move as words, four at once where they lie so.
    let words = size / 4;
    let quads = words > 0 && walk.iter().all(|at| (at * words).is_multiple_of(4));
    let scale = |at: usize| if words == 0 { at } else { at * words / if quads { 4 } else { 1 } };
    let parameters = [count, walk[0], walk[1], walk[2]].map(|at| scale(at) as u32).to_vec();
    let kernel = match words {
        0 => Kernel::new(Shader::Place, [("SIZE", size as u32)]),
        _ => Kernel::new(Shader::Join, [("QUADS", u32::from(quads))]),
    };
    planner.dispatch_into(kernel, parameters, &[part], result, grid(scale(count)));
}

/// Pads are an input since opset 11.
pub fn pad(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let pads = node.list("pads", 1)?.ok_or_else(|| node.invalid("no pads"))?;
    let x = planner.place(node.input(0))?;
    let rank = x.extents().len();
    let all = || (0..rank as i64).collect();
    let given: Vec<i64> = if node.has(3) { node.numbers(3)? } else { all() };
    let axes = axes(node, &given, rank)?;
    if pads.len() != 2 * axes.len() {
        return Err(node.invalid("two pads are needed for each axis"));
    }
    let (mut before, mut extents) = (vec![0; rank], x.extents().to_vec());
    for (index, &at) in axes.iter().enumerate() {
        let around = [pads[index], pads[axes.len() + index]];
        if around.iter().any(|pad| pad.unsigned_abs() > Shape::ELEMENTS_MAX as u64) {
            return Err(Fault::TooLarge(format!("pads of {around:?}")).into());
        }
        before[at] = around[0];
        let extent = extents[at] as i64 + around[0] + around[1];
        extents[at] = usize::try_from(extent).map_err(|_| node.invalid("more is cut off than there is"))?;
    }
    let mode = match node.text("mode", "constant").as_str() {
        "reflect" => 2,
        "edge" => 3,
        "wrap" => 4,
        _ => 1,
    };
    let fill = if mode == 1 { fill(node, x.spec.element)? } else { [0; 2] };
    let shape = node.shape(extents)?;
    if mode != 1 && x.spec.shape.elements() == 0 && shape.elements() > 0 {
        return Err(node.invalid("pads that repeat what is not there"));
    }
    let outside = Outside { mode, fill, before, extents: x.extents().to_vec() };
    let walked = Walk { shape, offset: 0, strides: steps(x.extents()), outside: Some(outside) };
    Ok(vec![walk(planner, node, &x, walked)?.into()])
}

/// The two words of the value that pads hold.
fn fill(node: &Node<'_>, element: Element) -> Result<[u32; 2], Halt> {
    let bytes = if node.has(2) {
        if node.spec(2)?.element != element {
            return Err(node.invalid("a fill of another type"));
        }
        node.holds(2, 1)?;
        node.tensor(2)?.contents().map(|bytes| bytes.to_vec()).unwrap_or_default()
    } else if element == Element::Fp32 {
        node.float("value", 0.0).to_le_bytes().to_vec()
    } else {
        Vec::new()
    };
    let mut padded = [0; 8];
    padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    Ok(bytemuck::cast(padded))
}

/// So many slices along one axis, which has them.
pub fn part(
    planner: &mut Planner,
    node: &Node<'_>,
    x: &Placed,
    at: usize,
    first: usize,
    count: usize,
) -> Result<Placed, Halt> {
    let strides = steps(x.extents());
    let mut extents = x.extents().to_vec();
    extents[at] = count;
    let shape = node.shape(extents)?;
    if shape == x.spec.shape {
        return Ok(x.clone());
    }
    walk(planner, node, x, Walk { shape, offset: first as i64 * strides[at], strides, outside: None })
}

/// How far elements lie apart along each axis.
pub fn steps(extents: &[usize]) -> Vec<i64> {
    let mut steps = vec![1; extents.len()];
    for axis in (1..extents.len()).rev() {
        steps[axis - 1] = steps[axis] * extents[axis] as i64;
    }
    steps
}

fn size(node: &Node<'_>, element: Element) -> Result<u32, Halt> {
    element.size().map(|size| size as u32).ok_or_else(|| node.lacks("BYTES"))
}

/// A copy, to be written into.
pub fn copied(planner: &mut Planner, node: &Node<'_>, x: &Placed) -> Result<Placed, Halt> {
    let strides = steps(x.extents());
    walk(planner, node, x, Walk { shape: x.spec.shape.clone(), offset: 0, strides, outside: None })
}

pub fn walk(planner: &mut Planner, node: &Node<'_>, x: &Placed, walk: Walk) -> Result<Placed, Halt> {
    let Walk { shape, offset, strides, outside } = walk;
    let size = size(node, x.spec.element)?;
    let spec = Spec { element: x.spec.element, shape };
    let (mode, fill) = outside.as_ref().map_or((0, [0; 2]), |outside| (outside.mode, outside.fill));
    // The fill is a pair and begins at a multiple of eight bytes.
    let mut parameters = vec![spec.shape.elements() as u32, offset as i32 as u32, fill[0], fill[1]];
    let (mut extents, mut steps, mut axes) = (padded(spec.shape.extents(), 1), [signed(&strides)], 8);
    if outside.is_none() {
        (axes, extents) = merge(extents, &mut steps);
    }
    parameters.extend(extents);
    parameters.extend(steps.as_flattened());
    match &outside {
        Some(outside) => {
            parameters.extend(signed(&outside.before));
            parameters.extend(padded(&outside.extents, 1));
        }
        None => parameters.extend([0; 16]),
    }
    let groups = grid((spec.shape.elements() * size as usize).div_ceil(4));
    let kernel = Kernel::new(Shader::Strided, [("SIZE", size), ("OUTSIDE", mode), ("AXES", axes)]);
    planner.dispatch(kernel, parameters, &[x], spec, groups)
}

fn signed(values: &[i64]) -> [u32; 8] {
    let mut padded = [0; 8];
    for (to, from) in padded.iter_mut().rev().zip(values.iter().rev()) {
        *to = *from as i32 as u32;
    }
    padded
}

/// The last axis filled up with zeros.
pub fn widen(planner: &mut Planner, node: &Node<'_>, x: &Placed, extent: usize) -> Result<Placed, Halt> {
    let mut extents = x.extents().to_vec();
    let Some(last) = extents.last_mut().filter(|last| **last != extent) else { return Ok(x.clone()) };
    *last = extent;
    let outside = Outside { mode: 1, fill: [0; 2], before: vec![0; extents.len()], extents: x.extents().to_vec() };
    let walked = Walk { shape: node.shape(extents)?, offset: 0, strides: steps(x.extents()), outside: Some(outside) };
    walk(planner, node, x, walked)
}
