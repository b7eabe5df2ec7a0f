//! What a classifier lost, as networks are scored.

use super::{
    super::{
        doubt::Allowed,
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    gather::index_words,
    pointwise::{Link, chain, code, convert, widened},
    reduce::{fold_all, log_softmax_of},
};
use burst_host::nouns::{Attribute, Element, Spec};

/// Of logarithms of probabilities.
pub fn likelihood(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let x = widened(planner, node, node.input(0))?;
    let loss = reduced(planner, node, &x)?;
    Ok(vec![convert(planner, node, &loss, element)?.into()])
}

/// Of scores, whose logarithms of probabilities are the second output.
pub fn cross_entropy(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let scores = widened(planner, node, node.input(0))?;
    let x = log_softmax_of(planner, node, &scores, 1)?;
    let loss = reduced(planner, node, &x)?;
    Ok(vec![convert(planner, node, &loss, element)?.into(), convert(planner, node, &x, element)?.into()])
}

fn reduced(planner: &mut Planner, node: &Node<'_>, x: &Placed) -> Result<Placed, Halt> {
    let loss = pick(planner, node, x, false)?;
    match node.text("reduction", "mean").as_str() {
        "none" => Ok(loss),
        "sum" => fold_all(planner, node, &loss),
        _ => {
            let weights = pick(planner, node, x, true)?;
            let (loss, weights) = (fold_all(planner, node, &loss)?, fold_all(planner, node, &weights)?);
            chain(planner, node, &loss, &[Link::tensor(code::DIVIDE, weights)], Element::Fp32)
        }
    }
}

/// The loss of each sample, or its weight.
fn pick(planner: &mut Planner, node: &Node<'_>, x: &Placed, weight: bool) -> Result<Placed, Halt> {
    let targets = planner.place(node.input(1))?;
    let weights = if node.has(2) { Some(widened(planner, node, node.input(2))?) } else { None };
    let &[samples, classes, ..] = x.extents() else { return Err(node.invalid("scores have samples and classes")) };
    let inner: usize = x.extents()[2..].iter().product();
    let mut extents = vec![samples];
    extents.extend(&x.extents()[2..]);
    if targets.extents() != extents || weights.as_ref().is_some_and(|weights| weights.extents() != [classes]) {
        return Err(node.invalid("targets or weights that do not fit"));
    }
    let spec = Spec { element: Element::Fp32, shape: node.shape(extents)? };
    let count = spec.shape.elements();
    let ignored = match node.op.attribute("ignore_index") {
        Some(&Attribute::Int(index)) => Some(i32::try_from(index).map_err(|_| node.invalid("no such target"))?),
        _ => None,
    };
    planner.check_allowed(node, 1, Allowed { below: vec![classes], from_end: false, besides: ignored })?;
    let mut parameters = [count, classes, inner].map(|value| value as u32).to_vec();
    parameters.push(ignored.unwrap_or_default() as u32);
    let constants = [
        ("WEIGHT", u32::from(weight)),
        ("WEIGHTED", u32::from(weights.is_some())),
        ("TARGET_WORDS", index_words(node, targets.spec.element)?),
        ("IGNORES", u32::from(ignored.is_some())),
    ];
    let reads = [x, &targets, weights.as_ref().unwrap_or(x)];
    planner.dispatch(Kernel::new(Shader::Pick, constants), parameters, &reads, spec, grid(count))
}
