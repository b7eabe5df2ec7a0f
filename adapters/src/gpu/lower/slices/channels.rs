//! Convolutions with a slice of their weight each: some channels of a group, or several groups.

use super::{
    super::{
        super::planner::{Halt, Node, Placed, Planner, Value},
        element::is_float,
        movement::part,
        pointwise::convert,
        volume::groups,
    },
    Slice, joined, rows_of,
};
use burst_host::nouns::{Attribute, Element};

/// Rows of a weight that belong to whole groups, or to one.
struct Piece {
    first: usize,
    rows: usize,
    group: usize,
    groups: usize,
    weight: Value,
}

pub fn conv(planner: &mut Planner, node: &Node<'_>, slices: &[Slice]) -> Result<Vec<Value>, Halt> {
    by_outputs(planner, node, slices, 1, &[2])
}

pub fn integer(planner: &mut Planner, node: &Node<'_>, slices: &[Slice]) -> Result<Vec<Value>, Halt> {
    by_outputs(planner, node, slices, 1, &[3])
}

pub fn quantised(planner: &mut Planner, node: &Node<'_>, slices: &[Slice]) -> Result<Vec<Value>, Halt> {
    by_outputs(planner, node, slices, 3, &[4, 5, 8])
}

/// Rows are output channels, of which some inputs have a number each.
fn by_outputs(
    planner: &mut Planner,
    node: &Node<'_>,
    slices: &[Slice],
    weight: usize,
    each: &[usize],
) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let &[all, inner, ..] = node.spec(weight)?.shape.extents() else {
        return Err(node.invalid("weights have channels"));
    };
    let groups = groups(node, all)?;
    if x.extents().get(1) != Some(&(inner * groups)) {
        return Err(node.invalid(&format!("{} does not fit its weight", x.spec)));
    }
    let mut parts = Vec::new();
    for piece in pieces(slices, all / groups)? {
        let mut inputs = node.inputs.clone();
        inputs[0] = part(planner, node, &x, 1, piece.group * inner, piece.groups * inner)?.into();
        inputs[weight] = piece.weight.clone();
        for &index in each.iter().filter(|&&index| node.has(index)) {
            let numbers = planner.place(node.input(index))?;
            if numbers.extents() == [all] {
                inputs[index] = part(planner, node, &numbers, 0, piece.first, piece.rows)?.into();
            }
        }
        parts.push(planner.apply(&node.op.kind, in_groups(node, piece.groups), inputs)?);
    }
    joined(planner, parts, 1)
}

/// Rows are input channels: those of one group are summed, in f32 until the end.
pub fn transposed(planner: &mut Planner, node: &Node<'_>, slices: &[Slice]) -> Result<Vec<Value>, Halt> {
    let given = planner.place(node.input(0))?;
    let element = given.spec.element;
    let narrow = is_float(element) && element != Element::Fp64;
    let x = if narrow { convert(planner, node, &given, Element::Fp32)? } else { given };
    let &[all, outer, ..] = node.spec(1)?.shape.extents() else { return Err(node.invalid("weights have channels")) };
    let groups = groups(node, all)?;
    if x.extents().get(1) != Some(&all) {
        return Err(node.invalid(&format!("{} does not fit its weight", x.spec)));
    }
    let bias = if node.has(2) { Some(planner.place(node.input(2))?) } else { None };
    if bias.as_ref().is_some_and(|bias| bias.extents() != [groups * outer]) {
        return Err(node.invalid("a bias that does not fit"));
    }
    let (mut parts, mut last): (Vec<Value>, Option<usize>) = (Vec::new(), None);
    for piece in pieces(slices, all / groups)? {
        let begun = last == Some(piece.group);
        last = Some(piece.group + piece.groups - 1);
        let mut inputs = vec![part(planner, node, &x, 1, piece.first, piece.rows)?.into(), piece.weight.clone()];
        if let Some(bias) = bias.as_ref().filter(|_| !begun) {
            inputs.push(part(planner, node, bias, 0, piece.group * outer, piece.groups * outer)?.into());
        }
        let y = planner.apply("ConvTranspose", in_groups(node, piece.groups), inputs)?;
        match parts.pop() {
            Some(before) if begun => parts.push(planner.apply("Add", Vec::new(), vec![before, y])?),
            before => parts.extend(before.into_iter().chain([y])),
        }
    }
    let y: Placed = match joined(planner, parts, 1)?.as_slice() {
        [y] => planner.place(y)?,
        _ => return Err(node.invalid("no channels")),
    };
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// Slices cut where they begin or end inside of a group, whose rows are so many.
fn pieces(slices: &[Slice], rows: usize) -> Result<Vec<Piece>, Halt> {
    let mut pieces = Vec::new();
    for slice in slices {
        let end = slice.first + slice.rows;
        let begun = slice.first.next_multiple_of(rows).min(end);
        let mut edges = vec![slice.first, begun, (end / rows * rows).max(begun), end];
        edges.dedup();
        for edge in edges.windows(2) {
            let (first, count) = (edge[0], edge[1] - edge[0]);
            let weight = rows_of(&slice.weight, first - slice.first, count)?;
            let groups = (count / rows).max(1);
            pieces.push(Piece { first, rows: count, group: first / rows, groups, weight });
        }
    }
    Ok(pieces)
}

fn in_groups(node: &Node<'_>, groups: usize) -> Vec<(String, Attribute)> {
    let others = node.op.attributes.iter().filter(|(name, _)| name != "group").cloned();
    others.chain([("group".into(), Attribute::Int(groups as i64))]).collect()
}
