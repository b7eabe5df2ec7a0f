//! Rotary embeddings: where a token stands, as an angle.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    gather::index_words,
    pointwise::{convert, widened},
};

pub fn rotary(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let x = widened(planner, node, node.input(0))?;
    let tables = [widened(planner, node, node.input(1))?, widened(planner, node, node.input(2))?];
    let (batches, places, heads, width) = layout(node, &x)?;
    let rotated = usize::try_from(node.int("rotary_embedding_dim", 0)).map_err(|_| node.invalid("a negative width"))?;
    let rotated = if rotated == 0 { width } else { rotated };
    if rotated > width || rotated % 2 == 1 {
        return Err(node.invalid(&format!("{rotated} of {width} elements can't be rotated in pairs")));
    }
    let positions = positions(planner, node, batches * places)?;
    let rows = rows(node, &tables, rotated / 2)?;
    if positions.is_none() && rows != batches * places {
        return Err(node.invalid("tables need a row for each place, or positions"));
    }
    if positions.is_some() {
        planner.check_below(node, 3, rows)?;
    }
    let words = positions.as_ref().map_or(Ok(0), |positions| index_words(node, positions.spec.element))?;
    let count = x.spec.shape.elements();
    let step = if x.extents().len() == 3 { heads } else { 1 };
    let parameters = [count, width, rotated, places, step, heads, rows].map(|value| value as u32).to_vec();
    let constants = [("INTERLEAVED", u32::from(node.int("interleaved", 0) == 1)), ("POSITION_WORDS", words)];
    let reads = [&x, &tables[0], &tables[1], positions.as_ref().unwrap_or(&x)];
    let kernel = Kernel::new(Shader::Rotary, constants);
    let y = planner.dispatch(kernel, parameters, &reads, x.spec.clone(), grid(count))?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// Batches, places, heads and the width of a head: heads have an axis before places, or share the last.
fn layout(node: &Node<'_>, x: &Placed) -> Result<(usize, usize, usize, usize), Halt> {
    let given = usize::try_from(node.int("num_heads", 0)).unwrap_or(0);
    match *x.extents() {
        [batches, heads, places, width] => Ok((batches, places, heads, width)),
        [batches, places, hidden] if given > 0 && hidden % given == 0 => Ok((batches, places, given, hidden / given)),
        _ => Err(node.invalid("it takes four axes, or three and the number of heads")),
    }
}

fn positions(planner: &mut Planner, node: &Node<'_>, places: usize) -> Result<Option<Placed>, Halt> {
    if !node.has(3) {
        return Ok(None);
    }
    let positions = planner.place(node.input(3))?;
    if positions.spec.shape.elements() != places {
        return Err(node.invalid("a position for each place is needed"));
    }
    Ok(Some(positions))
}

/// Rows of the tables of cosines and sines.
fn rows(node: &Node<'_>, tables: &[Placed; 2], width: usize) -> Result<usize, Halt> {
    let [cosines, sines] = tables.each_ref().map(Placed::extents);
    if cosines != sines || cosines.last() != Some(&width) {
        return Err(node.invalid(&format!("tables of {cosines:?} and {sines:?} for {width} angles")));
    }
    let rows = cosines[..cosines.len() - 1].iter().product();
    if rows == 0 { Err(node.invalid("tables without a row")) } else { Ok(rows) }
}
