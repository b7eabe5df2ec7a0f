//! Folds of integers and 64-bit floats, each made of one operator and what comes before and after it.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    element::{in_lane, lane},
    pointwise::{Link, chain, code, convert},
    runs::{self, Runs},
};
use burst_host::nouns::{Element, Spec, Tensor};

/// What is done to each element, to all of them, and to what comes of it.
struct Recipe {
    squared: bool,
    before: &'static [u32],
    fold: u32,
    after: &'static [u32],
}

/// Like [`super::reduce::reduce`], in the lane of the elements.
pub fn fold(planner: &mut Planner, node: &Node<'_>, kind: &str, axes: &[usize], keep: bool) -> Result<Value, Halt> {
    let element = node.spec(0)?.element;
    let x = in_lane(planner, node, node.input(0))?.0;
    let folded = match kind {
        "ReduceLogSumExp" => log_sum_exp(planner, node, &x, axes, keep)?,
        _ => {
            let y = by_recipe(planner, node, kind, &x, axes, keep)?;
            if ["GlobalAveragePool", "ReduceMean"].contains(&kind) { shared(planner, node, &x, &y)? } else { y }
        }
    };
    Ok(convert(planner, node, &folded, element)?.into())
}

fn recipe(kind: &str) -> Option<Recipe> {
    let sum = Recipe { squared: false, before: &[], fold: code::ADD, after: &[] };
    Some(match kind {
        "GlobalAveragePool" | "ReduceMean" | "ReduceSum" => sum,
        "ReduceL1" => Recipe { before: &[code::ABSOLUTE], ..sum },
        "ReduceL2" => Recipe { squared: true, after: &[code::ROOT], ..sum },
        "ReduceLogSum" => Recipe { after: &[code::LOGARITHM], ..sum },
        "GlobalMaxPool" | "ReduceMax" => Recipe { fold: code::MAX, ..sum },
        "ReduceMin" => Recipe { fold: code::MIN, ..sum },
        "ReduceProd" => Recipe { fold: code::MULTIPLY, ..sum },
        "ReduceSumSquare" => Recipe { squared: true, ..sum },
        _ => return None,
    })
}

fn by_recipe(
    planner: &mut Planner,
    node: &Node<'_>,
    kind: &str,
    x: &Placed,
    axes: &[usize],
    keep: bool,
) -> Result<Placed, Halt> {
    let recipe = recipe(kind).ok_or_else(|| node.unsupported("no fold"))?;
    let alone = |codes: &[u32]| codes.iter().map(|&code| Link::alone(code)).collect::<Vec<_>>();
    let mut before = alone(recipe.before);
    if recipe.squared {
        before.push(Link::tensor(code::MULTIPLY, x.clone()));
    }
    let x = linked(planner, node, x, &before)?;
    let runs = Runs::along(planner, node, &x, axes, keep)?;
    let y = folded(planner, node, &runs, recipe.fold)?;
    linked(planner, node, &y, &alone(recipe.after))
}

/// The sum, shared among those that made it.
fn shared(planner: &mut Planner, node: &Node<'_>, x: &Placed, sum: &Placed) -> Result<Placed, Halt> {
    let count = x.spec.shape.elements().checked_div(sum.spec.shape.elements()).unwrap_or(0);
    let count = Tensor::from_slice(Element::I64, [], &[count as i64]);
    let count = planner.place(&Value::Known(count.map_err(|error| node.invalid(&error.to_string()))?))?;
    let count = convert(planner, node, &count, x.spec.element)?;
    linked(planner, node, sum, &[Link::tensor(code::DIVIDE, count)])
}

/// The largest is taken off before powers of it are too large.
fn log_sum_exp(planner: &mut Planner, node: &Node<'_>, x: &Placed, axes: &[usize], keep: bool) -> Result<Placed, Halt> {
    let largest = by_recipe(planner, node, "ReduceMax", x, axes, true)?;
    let powers = [Link::tensor(code::SUBTRACT, largest.clone()), Link::alone(code::EXPONENTIAL)];
    let powers = linked(planner, node, x, &powers)?;
    let sum = by_recipe(planner, node, "ReduceLogSum", &powers, axes, keep)?;
    let largest = largest.reshaped(sum.spec.shape.clone());
    let sum = linked(planner, node, &sum, &[Link::tensor(code::ADD, largest.clone())])?;
    // An infinite one is all there is.
    let infinite = planner.apply("IsInf", Vec::new(), vec![largest.clone().into()])?;
    let sum = planner.apply("Where", Vec::new(), vec![infinite, largest.into(), sum.into()])?;
    planner.place(&sum)
}

fn linked(planner: &mut Planner, node: &Node<'_>, x: &Placed, links: &[Link]) -> Result<Placed, Halt> {
    if links.is_empty() { Ok(x.clone()) } else { chain(planner, node, x, links, x.spec.element) }
}

fn folded(planner: &mut Planner, node: &Node<'_>, runs: &Runs, fold: u32) -> Result<Placed, Halt> {
    let Runs { x, run, inner, shape } = runs;
    let spec = Spec { element: x.spec.element, shape: shape.clone() };
    if *run == 0 {
        let bytes = spec.element.size().unwrap_or_default();
        node.table(spec.shape.extents().to_vec())?;
        let nothing = nothing(node.spec(0)?.element, fold, bytes).repeat(spec.shape.elements());
        let known = Tensor::host(spec, nothing).map_err(|error| node.invalid(&error.to_string()))?;
        return planner.place(&Value::Known(known));
    }
    let (x, _) = in_lane(planner, node, &x.clone().into())?;
    by_parts(planner, node, &x, [spec.shape.elements(), *run, *inner], fold, spec)
}

/// Long runs part by part, then what the parts come to.
fn by_parts(
    planner: &mut Planner,
    node: &Node<'_>,
    x: &Placed,
    sizes @ [count, _, inner]: [usize; 3],
    fold: u32,
    spec: Spec,
) -> Result<Placed, Halt> {
    let lane = lane(planner, node, x.spec.element, x.spec.element)?;
    let parts = runs::shares(sizes);
    let kernel = Kernel::new(Shader::Fold(lane), lane.constants(x, &[("OP", fold)]));
    let parameters = runs::parameters(sizes, parts);
    if parts == 1 {
        return planner.dispatch(kernel, parameters, &[x], spec, grid(count));
    }
    let shape = node.shape(vec![count / inner, parts, inner])?;
    let partial = Spec { element: x.spec.element, shape };
    let partial = planner.dispatch(kernel, parameters, &[x], partial, grid(count * parts))?;
    by_parts(planner, node, &partial, [count, parts, inner], fold, spec)
}

/// What a fold of nothing gives: the identity among `element`s, as the lane keeps it in so many bytes.
fn nothing(element: Element, fold: u32, bytes: usize) -> Vec<u8> {
    let (low, high): (i128, i128) = match element {
        Element::Fp64 => return nothing_real(fold).to_le_bytes().to_vec(),
        Element::Bool => (0, 1),
        Element::U8 => (0, u8::MAX.into()),
        Element::I8 => (i8::MIN.into(), i8::MAX.into()),
        Element::U16 => (0, u16::MAX.into()),
        Element::I16 => (i16::MIN.into(), i16::MAX.into()),
        Element::U32 => (0, u32::MAX.into()),
        Element::I64 => (i64::MIN.into(), i64::MAX.into()),
        Element::U64 => (0, u64::MAX.into()),
        _ => (i32::MIN.into(), i32::MAX.into()),
    };
    let number = match fold {
        code::MAX => low,
        code::MIN => high,
        code::MULTIPLY => 1,
        _ => 0,
    };
    number.to_le_bytes()[..bytes].to_vec()
}

fn nothing_real(fold: u32) -> f64 {
    match fold {
        code::MAX => f64::NEG_INFINITY,
        code::MIN => f64::INFINITY,
        code::MULTIPLY => 1.0,
        _ => 0.0,
    }
}
