//! What a model keeps from one token to the next: caches of keys, and the last inputs of a convolution.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Planner, Value, axis, grid},
    },
    movement::part,
};
use burst_host::nouns::{Attribute, Element};

/// New rows in a cache.
pub fn scatter(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let (x, update) = (planner.place(node.input(0))?, planner.place(node.input(1))?);
    let at = axis(node, node.int("axis", -2), x.extents().len())?;
    let (rows, updates) = (x.extents()[at], update.extents().get(at).copied().unwrap_or(0));
    let mut fitting = x.extents().to_vec();
    fitting[at] = updates;
    if at == 0 || update.extents() != fitting || updates > rows || x.spec.element != update.spec.element {
        return Err(node.invalid(&format!("{} can't be written into {}", update.spec, x.spec)));
    }
    let size = x.spec.element.size().ok_or_else(|| node.lacks("BYTES"))?;
    let row = x.extents()[at + 1..].iter().product::<usize>() * size;
    if !row.is_multiple_of(4) {
        return Err(node.unsupported("rows that are no whole words"));
    }
    let batches = x.extents()[0];
    let first = if node.has(2) { Some(planner.place(node.input(2))?) } else { None };
    if first.as_ref().is_some_and(|first| first.spec.element != Element::I64 || first.extents() != [batches]) {
        return Err(node.invalid("a place for each batch is needed"));
    }
    let count = x.spec.shape.elements() * size / 4;
    let words = [count, row / 4, rows, updates, count.checked_div(batches).unwrap_or(0)];
    let parameters = words.map(|value| value as u32).to_vec();
    let circular = node.text("mode", "linear") == "circular";
    if first.is_some() {
        planner.check_below(node, 2, if circular { i32::MAX as usize } else { rows - updates + 1 })?;
    }
    let constants = [("CIRCULAR", u32::from(circular)), ("PLACED", u32::from(first.is_some()))];
    let reads = [&x, &update, first.as_ref().unwrap_or(&x)];
    let kernel = Kernel::new(Shader::Cache, constants);
    Ok(vec![planner.dispatch(kernel, parameters, &reads, x.spec.clone(), grid(count))?.into()])
}

/// A convolution of each channel with what came before, and the end of its input for what comes next.
pub fn convolve(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let &[_, channels, _] = node.spec(0)?.shape.extents() else { return Err(node.invalid("three axes are needed")) };
    let &[_, _, kernel] = node.spec(1)?.shape.extents() else { return Err(node.invalid("a kernel has three axes")) };
    let before = kernel.checked_sub(1).ok_or_else(|| node.invalid("an empty kernel"))?;
    let padded = if node.has(3) {
        let inputs = vec![node.input(3).clone(), node.input(0).clone()];
        planner.apply("Concat", vec![("axis".into(), Attribute::Int(2))], inputs)?
    } else {
        let pads = Attribute::Ints(vec![0, 0, before as i64, 0, 0, 0]);
        planner.apply("Pad", vec![("pads".into(), pads)], vec![node.input(0).clone()])?
    };
    let group = ("group".into(), Attribute::Int(channels as i64));
    let inputs = vec![padded.clone(), node.input(1).clone(), node.input(2).clone()];
    let y = planner.apply("Conv", vec![group], inputs)?;
    let y = match node.text("activation", "none").as_str() {
        "none" => y,
        "silu" | "swish" => planner.apply("Swish", Vec::new(), vec![y])?,
        other => return Err(node.invalid(&format!("no activation is called {other}"))),
    };
    let padded = planner.place(&padded)?;
    let end = padded.extents()[2].saturating_sub(before);
    Ok(vec![y, part(planner, node, &padded, 2, end, before)?.into()])
}
