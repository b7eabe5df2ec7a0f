//! Queries, keys and values as sequences of heads, wherever a graph lays them.

use super::super::{
    super::planner::{Halt, Node, Placed, Planner, Value},
    movement::widen,
    pointwise::widened,
};

/// Vectors of several heads along a sequence.
pub struct Sequence {
    /// Wide enough for whole vec4s.
    pub data: Placed,
    pub batches: usize,
    pub heads: usize,
    pub places: usize,
    pub width: usize,
    /// Floats between batches, heads and places.
    steps: [usize; 3],
    /// Whether heads lie inside of places, as inputs of three axes have them.
    pub together: bool,
}

impl Sequence {
    pub fn of(planner: &mut Planner, node: &Node<'_>, value: &Value, heads: usize) -> Result<Self, Halt> {
        let x = widened(planner, node, value)?;
        let split = split(node, &x, heads)?;
        let together = x.extents().len() == 3;
        let width = split.extents()[3];
        let data = widen(planner, node, &split, width.next_multiple_of(4))?;
        let &[batches, outer, inner, row] = data.extents() else { return Err(node.invalid("four axes are needed")) };
        let (places, heads) = if together { (outer, inner) } else { (inner, outer) };
        let steps = steps(together, heads, places, row);
        Ok(Self { data, batches, heads, places, width, steps, together })
    }

    /// vec4s of a vector.
    pub fn vectors(&self) -> usize {
        self.width.div_ceil(4)
    }

    /// The steps in vec4s.
    pub fn wide_steps(&self) -> [u32; 3] {
        self.steps.map(|step| (step / 4) as u32)
    }
}

/// Four axes of what may have three.
pub fn split(node: &Node<'_>, x: &Placed, heads: usize) -> Result<Placed, Halt> {
    match *x.extents() {
        [batches, places, hidden] if heads > 0 && hidden.is_multiple_of(heads) => {
            Ok(x.reshaped(node.shape(vec![batches, places, heads, hidden / heads])?))
        }
        [_, _, _, _] => Ok(x.clone()),
        _ => Err(node.invalid("it takes four axes, or three and the number of heads")),
    }
}

/// Floats between batches, heads and places.
pub fn steps(together: bool, heads: usize, places: usize, width: usize) -> [usize; 3] {
    let (head, place) = if together { (width, heads * width) } else { (places * width, width) };
    [heads * places * width, head, place]
}
