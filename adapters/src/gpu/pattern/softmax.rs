//! A softmax written out: the largest is taken away, powers are divided by their sum.

use super::{Found, Whole, Wiring, axes, floats};
use crate::gpu::planner::{Halt, Planner, Value};
use burst_host::nouns::{Attribute, Op};

/// `exp(x - max) / sum`.
pub struct Softmax {
    x: String,
    /// Reductions that have to be over the same axis.
    folds: [Op; 2],
}

/// The one around a power.
pub fn find(wiring: &Wiring<'_>, power: usize) -> Option<Found> {
    let difference = wiring.made(wiring.input(power, 0)?, "Sub")?;
    let [[x, largest], _] = wiring.sides(difference)?;
    let largest = wiring.made(largest, "ReduceMax").filter(|&at| wiring.input(at, 0) == Some(x))?;
    let read = wiring.readers.get(wiring.output(power)?)?;
    let sum = *read.iter().find(|&&at| wiring.kind(at) == Some("ReduceSum"))?;
    let quotient = wiring.then(sum, "Div")?;
    if wiring.sides(quotient)?[0] != [wiring.output(power)?, wiring.output(sum)?] {
        return None;
    }
    let places = vec![largest, difference, power, sum, quotient];
    if !places[..4].iter().all(|&at| wiring.only(at, &places)) {
        return None;
    }
    let folds = [wiring.op(largest)?.clone(), wiring.op(sum)?.clone()];
    Some((places, Whole::Softmax(Softmax { x: x.to_owned(), folds })))
}

impl Softmax {
    /// By the kernel of `Softmax`; `None` where that computes something else.
    pub fn lower(&self, planner: &mut Planner) -> Result<Option<Value>, Halt> {
        let Some(x) = floats(planner, &self.x)? else { return Ok(None) };
        let [largest, sum] = self.folds.each_ref().map(|op| axes(planner, op, x.extents().len()));
        let (Some(&[axis]), true) = (largest.as_deref(), largest == sum) else { return Ok(None) };
        // Before opset 13 an axis begins a run instead of being one.
        let whole = planner.opset() >= 13 || axis + 1 == x.extents().len();
        if !whole || x.extents().contains(&0) {
            return Ok(None);
        }
        let attributes = vec![("axis".into(), Attribute::Int(axis as i64))];
        planner.apply("Softmax", attributes, vec![x.into()]).map(Some)
    }
}
