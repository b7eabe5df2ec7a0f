//! Between channels and pixels: blocks of an image, each a pixel of more channels.

use super::{
    super::planner::{Halt, Node, Planner, Value},
    movement::{as_shape, permute},
};

pub fn depth_to_space(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let (block, area) = block(node)?;
    let &[n, c, h, w] = x.extents() else { return Err(node.invalid("it takes images")) };
    let columns_first = node.text("mode", "DCR") == "DCR";
    if !c.is_multiple_of(area) {
        return Err(node.invalid(&format!("blocks of {area} do not make {c} channels")));
    }
    let depth = c / area;
    let (inner, order) = if columns_first {
        (vec![n, block, block, depth, h, w], [0, 3, 4, 1, 5, 2])
    } else {
        (vec![n, depth, block, block, h, w], [0, 1, 4, 2, 5, 3])
    };
    let cut = x.reshaped(node.shape(inner)?);
    let moved = permute(planner, node, &cut, &order)?;
    as_shape(node, &moved, vec![n, depth, h * block, w * block])
}

/// Pixels of a block along an axis, and all of them.
fn block(node: &Node<'_>) -> Result<(usize, usize), Halt> {
    let block = usize::try_from(node.int("blocksize", 0)).ok().filter(|&block| block > 0);
    let area = block.and_then(|block| Some((block, block.checked_mul(block)?)));
    area.ok_or_else(|| node.invalid("`blocksize` is no extent"))
}

pub fn space_to_depth(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let x = planner.place(node.input(0))?;
    let (block, area) = block(node)?;
    let &[n, c, h, w] = x.extents() else { return Err(node.invalid("it takes images")) };
    if !h.is_multiple_of(block) || !w.is_multiple_of(block) {
        return Err(node.invalid(&format!("blocks of {block} do not make {}", x.spec)));
    }
    let cut = x.reshaped(node.shape(vec![n, c, h / block, block, w / block, block])?);
    let order = if node.text("mode", "DCR") == "DCR" { [0, 3, 5, 1, 2, 4] } else { [0, 1, 3, 5, 2, 4] };
    let moved = permute(planner, node, &cut, &order)?;
    as_shape(node, &moved, vec![n, c * area, h / block, w / block])
}
