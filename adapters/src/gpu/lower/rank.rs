//! What comes first: rows are ranked by sorting small blocks and merging them, of which only the first are kept.

use super::{
    super::{
        iterations::ITERATIONS_MAX,
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, axis, grid},
    },
    gather::take,
    pointwise::element_code,
};
use burst_host::nouns::{Element, Spec};

/// Short rows that are sorted by counting: more make fewer steps, each longer.
const BLOCK: usize = 32;

/// Runs of rows, each ranked on its own.
pub struct Runs<'a> {
    pub x: &'a Placed,
    pub count: usize,
    /// Rows of a run, elements between neighbours.
    pub length: usize,
    pub inner: usize,
    /// Elements of a row, compared one after the other; `inner` where there are more than one.
    pub row: usize,
}

/// The largest or smallest of each run, sorted, and where they were. How many is an input since opset 10.
pub fn top_k(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let kept = if node.has(1) { node.numbers(1)?.first().copied() } else { Some(node.int("k", 0)) };
    let x = planner.place(node.input(0))?;
    let at = axis(node, node.int("axis", -1), x.extents().len())?;
    let length = x.extents().get(at).copied().unwrap_or(1);
    let kept = kept.and_then(|kept| usize::try_from(kept).ok()).filter(|&kept| kept <= length);
    let kept = kept.ok_or_else(|| node.invalid(&format!("more than the {length} elements there are")))?;
    let inner = x.extents().iter().skip(at + 1).product();
    let count = x.spec.shape.elements().checked_div(length).unwrap_or(0);
    let runs = Runs { x: &x, count, length, inner, row: 1 };
    let order = ranking(planner, node, &runs, kept, node.int("largest", 1) == 1)?;
    let mut extents = x.extents().to_vec();
    extents.iter_mut().skip(at).take(1).for_each(|extent| *extent = kept);
    let shape = node.shape(extents)?;
    let indices = ranked(planner, &runs, &order, kept, Spec { element: Element::I64, shape: shape.clone() })?;
    let places = ranked(planner, &runs, &order, kept, Spec { element: Element::U32, shape })?;
    Ok(vec![take(planner, node, &x, &places)?.into(), indices.into()])
}

/// The first rows of each run, as their places in it: `[count, kept]` of U32. Equal rows stay in order.
pub fn ranking(
    planner: &mut Planner,
    node: &Node<'_>,
    runs: &Runs<'_>,
    kept: usize,
    largest: bool,
) -> Result<Placed, Halt> {
    let comparisons = ITERATIONS_MAX / (1 + runs.row);
    // Halving the largest blocks that are merged.
    if comparisons <= runs.length.max(2).ilog2() as usize {
        return Err(node.unsupported(&format!("{} rows of {} elements", runs.length, runs.row)));
    }
    let mut rows = BLOCK.min(comparisons);
    let constants = runs.constants(node, largest)?;
    let mut before = Entries { run: runs.length, block: rows };
    let mut after = Entries::kept(runs.length, rows, kept);
    let (parameters, groups) = runs.step(&before, &after);
    let spec = spec(node, runs.count, after.run)?;
    let mut order = planner.dispatch(Kernel::new(Shader::Sort, constants), parameters, &[runs.x], spec, groups)?;
    while rows < runs.length {
        rows *= 2;
        before = after;
        after = Entries::kept(runs.length, rows, kept);
        let (parameters, groups) = runs.step(&before, &after);
        let spec = self::spec(node, runs.count, after.run)?;
        let kernel = Kernel::new(Shader::Merge, constants);
        order = planner.dispatch(kernel, parameters, &[runs.x, &order], spec, groups)?;
    }
    Ok(order)
}

/// How many entries there are of a run, and of each of its blocks but the last.
struct Entries {
    run: usize,
    block: usize,
}

impl Entries {
    /// Of a run of so many rows in blocks of `rows`, where the first of each block are kept.
    fn kept(length: usize, rows: usize, kept: usize) -> Self {
        let run = length / rows * rows.min(kept) + (length % rows).min(kept);
        Self { run, block: rows.min(kept) }
    }
}

impl Runs<'_> {
    /// What kernels are made of that compare rows.
    pub fn constants(&self, node: &Node<'_>, largest: bool) -> Result<[(&'static str, u32); 2], Halt> {
        let element = self.x.spec.element;
        let code = element_code(element).filter(|_| !matches!(element, Element::Narrow(_)));
        let code = code.ok_or_else(|| node.lacks(element))?;
        Ok([("ELEMENT", code), ("LARGEST", u32::from(largest))])
    }

    fn step(&self, before: &Entries, after: &Entries) -> (Vec<u32>, [u32; 3]) {
        let count = self.count * before.run;
        let words = [self.length, self.inner, self.row, count, before.run, before.block, after.run, after.block];
        (words.map(|value| value as u32).to_vec(), grid(count))
    }
}

fn spec(node: &Node<'_>, count: usize, entries: usize) -> Result<Spec, Halt> {
    Ok(Spec { element: Element::U32, shape: node.shape(vec![count, entries])? })
}

/// Ranked rows of one element, where the axis stood: INT64 along it, U32 from the first element of all.
fn ranked(planner: &mut Planner, runs: &Runs<'_>, order: &Placed, kept: usize, spec: Spec) -> Result<Placed, Halt> {
    let count = spec.shape.elements();
    let parameters = [count, runs.length, runs.inner, kept].map(|value| value as u32).to_vec();
    let kernel = Kernel::new(Shader::Ranked, [("INDICES", u32::from(spec.element == Element::I64))]);
    planner.dispatch(kernel, parameters, &[order], spec, grid(count))
}
