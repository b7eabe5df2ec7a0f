//! A layer norm written out, as exporters do before opset 17: mean, variance, root, scale and shift.

use super::{Found, Whole, Wiring, axes, floats, number, trailing};
use crate::gpu::planner::{Halt, Planner, Value};
use burst_host::nouns::{Attribute, Op};

/// `(x - mean) / sqrt(variance + epsilon) * scale + shift`.
pub struct Norm {
    x: String,
    /// Reductions that have to be over the same axes.
    means: [Op; 2],
    /// What has to be two, unless the difference is multiplied by itself.
    power: Option<String>,
    epsilon: String,
    scale: String,
    shift: Option<String>,
}

/// The one around a root.
pub fn find(wiring: &Wiring<'_>, root: usize) -> Option<Found> {
    let sum = wiring.made(wiring.input(root, 0)?, "Add")?;
    let variances = wiring.sides(sum)?.into_iter();
    let (variance, epsilon) = variances.filter_map(|[a, b]| Some((wiring.made(a, "ReduceMean")?, b))).next()?;
    let squared = wiring.input(variance, 0)?;
    let square = wiring.made(squared, "Pow").or_else(|| wiring.made(squared, "Mul"))?;
    let [[difference, power], _] = wiring.sides(square)?;
    let power = (wiring.kind(square)? == "Pow").then(|| power.to_owned());
    let own = power.is_some() || wiring.input(square, 1) == Some(difference);
    let first = wiring.made(difference, "Sub").filter(|_| own)?;
    let quotient = wiring.then(root, "Div").filter(|&at| wiring.input(at, 1) == wiring.output(root))?;
    // Some exporters subtract twice.
    let second = wiring.made(wiring.input(quotient, 0)?, "Sub")?;
    let [[x, mean], _] = wiring.sides(first)?;
    let average = wiring.made(mean, "ReduceMean").filter(|&at| wiring.input(at, 0) == Some(x))?;
    if second != first && wiring.op(second)?.inputs != wiring.op(first)?.inputs {
        return None;
    }
    let scaled = wiring.then(quotient, "Mul")?;
    let other = |at: usize, before: usize| {
        let before = wiring.output(before)?;
        wiring.sides(at)?.into_iter().find(|[a, b]| *a == before && *b != before).map(|[_, other]| other.to_owned())
    };
    let scale = other(scaled, quotient)?;
    let shifted = wiring.then(scaled, "Add").and_then(|at| Some((at, other(at, scaled)?)));
    let inner = [average, first, second, square, variance, sum, root, quotient];
    let mut places = inner.into_iter().chain([scaled]).chain(shifted.as_ref().map(|(at, _)| *at)).collect::<Vec<_>>();
    places.sort_unstable();
    places.dedup();
    if !inner.iter().all(|&at| wiring.only(at, &places)) {
        return None;
    }
    let means = [wiring.op(average)?.clone(), wiring.op(variance)?.clone()];
    let (x, epsilon, shift) = (x.to_owned(), epsilon.to_owned(), shifted.map(|(_, name)| name));
    Some((places, Whole::Norm(Norm { x, means, power, epsilon, scale, shift })))
}

impl Norm {
    /// By the kernel of `LayerNormalization`; `None` where that computes something else.
    pub fn lower(&self, planner: &mut Planner) -> Result<Option<Value>, Halt> {
        let Some(x) = floats(planner, &self.x)? else { return Ok(None) };
        let rank = x.extents().len();
        let [first, second] = self.means.each_ref().map(|op| trailing(&axes(planner, op, rank)?, rank));
        let squares = self.power.as_ref().is_none_or(|power| number(planner, power) == Some(2.0));
        let (Some(axis), Some(epsilon)) = (first, number(planner, &self.epsilon)) else { return Ok(None) };
        if first != second || !squares || x.extents().contains(&0) {
            return Ok(None);
        }
        let mut inputs = vec![x.clone().into()];
        for name in [&self.scale].into_iter().chain(&self.shift) {
            let value = planner.value(name)?;
            if value
                .spec()
                .is_none_or(|spec| spec.shape.extents() != &x.extents()[axis..] || spec.element != x.spec.element)
            {
                return Ok(None);
            }
            inputs.push(value);
        }
        let attributes =
            vec![("axis".into(), Attribute::Int(axis as i64)), ("epsilon".into(), Attribute::Float(epsilon))];
        planner.apply("LayerNormalization", attributes, inputs).map(Some)
    }
}
