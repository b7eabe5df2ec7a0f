//! Operators whose results depend on where elements stand: running sums, triangles.

use super::{
    super::{
        kernels::{Kernel, Lane, Shader},
        planner::{Halt, Node, Placed, Planner, Value, axis, grid},
    },
    element::in_lane,
    pointwise::convert,
    runs,
};
use burst_host::nouns::{Element, Spec};

pub fn cumulative_sum(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    cumulate(planner, node, 0)
}

pub fn cumulative_product(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    cumulate(planner, node, 1)
}

fn cumulate(planner: &mut Planner, node: &Node<'_>, product: u32) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let (x, lane) = in_lane(planner, node, node.input(0))?;
    let at = node.numbers(1)?.first().copied().unwrap_or(0);
    let at = axis(node, at, x.extents().len())?;
    let (run, inner) = run(&x, at);
    let count = x.spec.shape.elements().checked_div(run).unwrap_or(0);
    let flags = [
        ("PRODUCT", product),
        ("EXCLUSIVE", node.int("exclusive", 0) as u32),
        ("REVERSE", node.int("reverse", 0) as u32),
    ];
    let y = running(planner, node, &x, [count, run, inner], &lane.constants(&x, &flags), lane)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// Running sums of each run. Of a long one, what each part comes to is summed up first, then each part begins with that.
fn running(
    planner: &mut Planner,
    node: &Node<'_>,
    x: &Placed,
    [count, run, inner]: [usize; 3],
    constants: &[(&'static str, u32)],
    lane: Lane,
) -> Result<Placed, Halt> {
    let steps = runs::stretch(count, run);
    let parts = run.div_ceil(steps);
    let parameters = [count * parts, run, inner, parts, steps, run].map(|value| value as u32).to_vec();
    let kernel = |flag: &'static str| Kernel::new(Shader::Cumulate(lane), [constants, &[(flag, 1)]].concat());
    let groups = grid(count * parts);
    if parts <= 1 {
        let kernel = Kernel::new(Shader::Cumulate(lane), constants);
        return planner.dispatch(kernel, parameters, &[x, x], x.spec.clone(), groups);
    }
    let spec = Spec { element: x.spec.element, shape: node.shape(vec![count / inner, parts, inner])? };
    let totals = planner.dispatch(kernel("TOTALS"), parameters.clone(), &[x, x], spec, groups)?;
    // Parts are in the order of the sum already, and each needs all before it whole.
    let plain: Vec<_> =
        constants.iter().filter(|(name, _)| !matches!(*name, "REVERSE" | "EXCLUSIVE")).copied().collect();
    let before = running(planner, node, &totals, [count, parts, inner], &plain, lane)?;
    planner.dispatch(kernel("CONTINUED"), parameters, &[x, &before], x.spec.clone(), groups)
}

/// The extent of an axis, and elements between its neighbours.
fn run(x: &Placed, at: usize) -> (usize, usize) {
    let run = x.extents().get(at).copied().unwrap_or(1);
    (run, x.extents().get(at + 1..).unwrap_or_default().iter().product())
}

/// The upper or lower triangle of each matrix.
pub fn triangle(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let diagonal = if node.has(1) { node.numbers(1)?.first().copied().unwrap_or(0) } else { 0 };
    let x = planner.place(node.input(0))?;
    let &[.., rows, columns] = x.extents() else { return Err(node.invalid("a matrix has two axes")) };
    let words = words(node, x.spec.element)?;
    let count = x.spec.shape.elements() * words;
    let diagonal = diagonal.clamp(i64::from(i32::MIN / 2), i64::from(i32::MAX / 2)) as i32;
    let parameters = vec![count as u32, rows as u32, columns as u32, diagonal as u32];
    let constants = [("WORDS", words as u32), ("UPPER", node.int("upper", 1) as u32)];
    let spec = x.spec.clone();
    let kernel = Kernel::new(Shader::Triangle, constants);
    Ok(vec![planner.dispatch(kernel, parameters, &[&x], spec, grid(count))?.into()])
}

/// Words of an element.
pub fn words(node: &Node<'_>, element: Element) -> Result<usize, Halt> {
    match element.size() {
        Some(size @ (4 | 8)) => Ok(size / 4),
        _ => Err(node.lacks(element)),
    }
}
