//! Sums of products over named axes: diagonals, sums, and products of matrices, one operand after the other.

use super::{
    super::planner::{Halt, Node, Placed, Planner, Value},
    cut::diagonal,
    local::reduced,
    movement::permute,
};
use std::collections::BTreeMap;

/// An axis: a letter, or a digit for those that an ellipsis stands for, counted from the last.
type Label = char;

/// An operand, or what was made of some. No label twice, and none of extent 1: those broadcast.
struct Term {
    x: Placed,
    labels: Vec<Label>,
}

pub fn einsum(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let ranks = (0..node.inputs.len()).map(|index| Ok(node.spec(index)?.shape.extents().len()));
    let (operands, output) = parse(node, &ranks.collect::<Result<Vec<_>, Halt>>()?)?;
    let mut extents = BTreeMap::new();
    let mut terms = Vec::new();
    for (index, labels) in operands.into_iter().enumerate() {
        let x = planner.place(node.input(index))?;
        terms.push(plain(planner, node, x, labels, &mut extents)?);
    }
    let mut terms = terms.into_iter();
    let mut product = terms.next().ok_or_else(|| node.invalid("no operand"))?;
    while let Some(other) = terms.next() {
        let later = terms.as_slice().iter().flat_map(|term| &term.labels);
        let wanted: Vec<Label> = output.iter().chain(later).copied().collect();
        product = contracted(planner, node, product, other, &wanted)?;
    }
    let product = summed(planner, product, &output)?;
    let kept = output.iter().filter(|label| extents[*label] != 1).copied().collect::<Vec<_>>();
    let placed = ordered(planner, node, &product, &kept)?;
    let shape = node.shape(output.iter().map(|label| extents[label]).collect())?;
    Ok(vec![placed.reshaped(shape).into()])
}

/// The labels of each operand and of the result. Without an arrow the result has what occurs once.
fn parse(node: &Node<'_>, ranks: &[usize]) -> Result<(Vec<Vec<Label>>, Vec<Label>), Halt> {
    let text = node.text("equation", "").replace(char::is_whitespace, "");
    let (left, right) = text.split_once("->").map_or((text.as_str(), None), |(left, right)| (left, Some(right)));
    let parts: Vec<&str> = left.split(',').collect();
    if parts.len() != ranks.len() {
        return Err(node.invalid("another number of operands than the equation has"));
    }
    let named = |part: &&str, &rank: &usize| labels(node, part, rank.checked_sub(letters(part).count()));
    let operands = parts.iter().zip(ranks).map(|(part, rank)| named(part, rank)).collect::<Result<Vec<_>, Halt>>()?;
    let all = || operands.iter().flatten().copied();
    let hidden = all().filter(char::is_ascii_digit).map(|digit| digit as usize - '0' as usize + 1).max().unwrap_or(0);
    let output = match right {
        Some(right) => labels(node, right, Some(hidden))?,
        None => {
            let once = ('A'..='z').filter(|label| all().filter(|other| other == label).count() == 1);
            ellipsis(hidden).chain(once).collect()
        }
    };
    let fits = |at: usize| all().any(|label| label == output[at]) && !output[..at].contains(&output[at]);
    if (0..output.len()).all(fits) { Ok((operands, output)) } else { Err(node.invalid("an output that does not fit")) }
}

fn letters(part: &str) -> impl Iterator<Item = char> {
    part.chars().filter(|&label| label != '.')
}

fn ellipsis(hidden: usize) -> impl Iterator<Item = Label> {
    (0..hidden).rev().map(|at| (b'0' + at as u8) as char)
}

/// One part of an equation; an ellipsis stands for `hidden` axes.
fn labels(node: &Node<'_>, part: &str, hidden: Option<usize>) -> Result<Vec<Label>, Halt> {
    let wrong = || node.invalid(&format!("`{part}` in its equation"));
    let hidden = hidden.ok_or_else(wrong)?;
    let (before, after) = part.split_once("...").unwrap_or((part, ""));
    let open = part.contains("...");
    if !before.chars().chain(after.chars()).all(|label| label.is_ascii_alphabetic()) || (!open && hidden > 0) {
        return Err(wrong());
    }
    let hidden = if open { hidden } else { 0 };
    Ok(before.chars().chain(ellipsis(hidden)).chain(after.chars()).collect())
}

/// An operand without repeated labels and without axes of extent 1.
fn plain(
    planner: &mut Planner,
    node: &Node<'_>,
    mut x: Placed,
    mut labels: Vec<Label>,
    extents: &mut BTreeMap<Label, usize>,
) -> Result<Term, Halt> {
    while let Some(second) = (1..labels.len()).find(|&at| labels[..at].contains(&labels[at])) {
        let first = labels.iter().position(|label| *label == labels[second]).unwrap_or(0);
        x = diagonal(planner, node, &x, first, second)?;
        labels.remove(second);
    }
    for (label, &extent) in labels.iter().zip(x.extents()) {
        let known = extents.entry(*label).or_insert(extent);
        match (*known, extent) {
            (1, _) => *known = extent,
            (known, extent) if extent == 1 || extent == known => {}
            _ => return Err(node.invalid(&format!("`{label}` has two extents"))),
        }
    }
    let wide: Vec<usize> = (0..labels.len()).filter(|&at| x.extents()[at] != 1).collect();
    let shape = node.shape(wide.iter().map(|&at| x.extents()[at]).collect())?;
    Ok(Term { x: x.reshaped(shape), labels: wide.into_iter().map(|at| labels[at]).collect() })
}

/// Labels that nothing else wants are summed over.
fn summed(planner: &mut Planner, term: Term, wanted: &[Label]) -> Result<Term, Halt> {
    let gone = (0..term.labels.len()).filter(|&at| !wanted.contains(&term.labels[at]));
    let gone: Vec<i64> = gone.map(|at| at as i64).collect();
    if gone.is_empty() {
        return Ok(term);
    }
    let x = reduced(planner, "ReduceSum", &term.x, gone, false)?;
    Ok(Term { x, labels: term.labels.into_iter().filter(|label| wanted.contains(label)).collect() })
}

/// The product of two terms, summed over what only they have: batches of matrices.
fn contracted(planner: &mut Planner, node: &Node<'_>, a: Term, b: Term, wanted: &[Label]) -> Result<Term, Halt> {
    let with = |other: &Term| wanted.iter().chain(&other.labels).copied().collect::<Vec<_>>();
    let (of_a, of_b) = (with(&b), with(&a));
    let (a, b) = (summed(planner, a, &of_a)?, summed(planner, b, &of_b)?);
    let pick = |term: &Term, keep: &dyn Fn(&Label) -> bool| -> Vec<Label> {
        term.labels.iter().copied().filter(|label| keep(label)).collect()
    };
    let batch = pick(&a, &|label| b.labels.contains(label) && wanted.contains(label));
    let inner = pick(&a, &|label| b.labels.contains(label) && !wanted.contains(label));
    let rows = pick(&a, &|label| !b.labels.contains(label));
    let columns = pick(&b, &|label| !a.labels.contains(label));
    let (left, left_shape) = grouped(planner, node, &a, [&batch, &rows, &inner])?;
    let (right, right_shape) = grouped(planner, node, &b, [&batch, &inner, &columns])?;
    // Without a sum there is no matrix, only a column times a row.
    let kind = if inner.is_empty() { "Mul" } else { "MatMul" };
    let product = planner.apply(kind, Vec::new(), vec![left.into(), right.into()])?;
    let mut extents = left_shape[..batch.len() + rows.len()].to_vec();
    extents.extend(&right_shape[batch.len() + inner.len()..]);
    let x = planner.place(&product)?.reshaped(node.shape(extents)?);
    Ok(Term { x, labels: [batch, rows, columns].concat() })
}

/// Three groups of axes as three axes, and the extents before.
fn grouped(
    planner: &mut Planner,
    node: &Node<'_>,
    term: &Term,
    groups: [&[Label]; 3],
) -> Result<(Placed, Vec<usize>), Halt> {
    let placed = ordered(planner, node, term, &groups.concat())?;
    let extents = placed.extents().to_vec();
    let (first, rest) = extents.split_at(groups[0].len());
    let (second, third) = rest.split_at(groups[1].len());
    let shape = node.shape([first, second, third].map(|extents| extents.iter().product()).to_vec())?;
    Ok((placed.reshaped(shape), extents))
}

fn ordered(planner: &mut Planner, node: &Node<'_>, term: &Term, order: &[Label]) -> Result<Placed, Halt> {
    let place = |label: &Label| term.labels.iter().position(|other| other == label);
    let order: Option<Vec<usize>> = order.iter().map(place).collect();
    permute(planner, node, &term.x, &order.ok_or_else(|| node.invalid("a label that is nowhere"))?)
}
