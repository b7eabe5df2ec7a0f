//! Attention written out: a product of queries and keys, scaled and masked, a softmax, a product with values.

use super::{Found, Whole, Wiring, floats, number};
use crate::gpu::{
    lower,
    planner::{Halt, Placed, Planner, Value},
};
use burst_host::nouns::{Attribute, Fault, Op, Shape, ShapeError};

/// `softmax(scales · q kᵀ + mask) v`.
pub struct Attention {
    query: Side,
    key: Side,
    value: Side,
    scales: Vec<Scale>,
    mask: Option<String>,
    softmax: Op,
    /// Whether heads lie inside of places in what comes out.
    together: bool,
}

/// Queries, keys or values.
struct Side {
    name: String,
    /// Whether heads lie inside of places, as before they were moved outwards.
    together: bool,
}

/// A number that scores are multiplied with, or divided by.
struct Scale {
    name: String,
    divides: bool,
}

/// Heads moved outwards, or back; the same with the axes of a matrix turned; only these turned.
const OUTWARDS: &[i64] = &[0, 2, 1, 3];
const OUTWARDS_TURNED: &[i64] = &[0, 2, 3, 1];
const TURNED: &[&[i64]] = &[&[0, 1, 3, 2], &[0, 2, 1]];

/// The one around a softmax.
pub fn find(wiring: &Wiring<'_>, softmax: usize) -> Option<Found> {
    let mut places = vec![softmax];
    let (product, mut scales, mask) = scores(wiring, wiring.input(softmax, 0)?, &mut places)?;
    let mix = wiring.then(softmax, "MatMul").filter(|&at| wiring.input(at, 0) == wiring.output(softmax))?;
    places.extend([product, mix]);
    if !places.iter().filter(|&&at| at != mix).all(|&at| wiring.only(at, &places)) {
        return None;
    }
    let (key, scale) = Side::key(wiring, wiring.input(product, 1)?)?;
    scales.extend(scale);
    let value = Side::of(wiring, wiring.input(mix, 1)?);
    let (mut query, scale) = Side::scaled(wiring, wiring.input(product, 0)?);
    let inwards = wiring.then(mix, "Transpose").filter(|&at| moves(wiring.op(at)) == Some(OUTWARDS));
    let together = query.together && inwards.is_some();
    if together {
        places.extend(inwards);
        scales.extend(scale);
    } else {
        query = Side::plain(wiring.input(product, 0)?);
    }
    let softmax = wiring.op(softmax)?.clone();
    Some((places, Whole::Attention(Attention { query, key, value, scales, mask, softmax, together })))
}

/// The product that scores come from, what scales it, and what is added.
fn scores<'a>(
    wiring: &Wiring<'a>,
    name: &'a str,
    places: &mut Vec<usize>,
) -> Option<(usize, Vec<Scale>, Option<String>)> {
    if let Some((product, scale)) = scaled(wiring, name, places) {
        return Some((product, scale, None));
    }
    let sum = wiring.made(name, "Add")?;
    let found = |[scores, mask]: [&'a str; 2]| {
        let (product, scale) = scaled(wiring, scores, places)?;
        Some((product, scale, Some(mask.to_owned())))
    };
    let found = wiring.sides(sum)?.into_iter().find_map(found);
    places.push(sum);
    found
}

fn scaled(wiring: &Wiring<'_>, name: &str, places: &mut Vec<usize>) -> Option<(usize, Vec<Scale>)> {
    if let Some(product) = wiring.made(name, "MatMul") {
        return Some((product, Vec::new()));
    }
    let (at, divides) =
        wiring.made(name, "Mul").map(|at| (at, false)).or(wiring.made(name, "Div").map(|at| (at, true)))?;
    let sides = wiring.sides(at)?.into_iter().take(if divides { 1 } else { 2 });
    let (product, name) = sides.filter_map(|[x, by]| Some((wiring.made(x, "MatMul")?, by.to_owned()))).next()?;
    places.push(at);
    Some((product, vec![Scale { name, divides }]))
}

fn moves(op: Option<&Op>) -> Option<&[i64]> {
    match op?.attribute("perm")? {
        Attribute::Ints(axes) => Some(axes),
        _ => None,
    }
}

impl Side {
    fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), together: false }
    }

    /// What was there before heads were moved outwards.
    fn of(wiring: &Wiring<'_>, name: &str) -> Self {
        let moved = wiring.made(name, "Transpose").filter(|&at| moves(wiring.op(at)) == Some(OUTWARDS));
        match moved.and_then(|at| wiring.input(at, 0)) {
            Some(before) => Self { name: before.to_owned(), together: true },
            None => Self::plain(name),
        }
    }

    /// The same before it was scaled, too.
    fn scaled(wiring: &Wiring<'_>, name: &str) -> (Self, Option<Scale>) {
        match turned(wiring, name) {
            Some((at, scale)) => (Self::of(wiring, wiring.output(at).unwrap_or(name)), scale),
            None => (Self::plain(name), None),
        }
    }

    /// Keys before they were turned; `None` where they came so.
    fn key(wiring: &Wiring<'_>, name: &str) -> Option<(Self, Option<Scale>)> {
        let (at, scale) = turned(wiring, name)?;
        let (before, axes) = (wiring.input(at, 0)?, moves(wiring.op(at))?);
        if axes == OUTWARDS_TURNED {
            return Some((Self { name: before.to_owned(), together: true }, scale));
        }
        TURNED.contains(&axes).then(|| (Self::of(wiring, before), scale))
    }

    /// Batches, heads, places and width, and the value as the kernel takes it; `None` of other axes.
    fn place(&self, planner: &mut Planner) -> Result<Option<([usize; 4], Placed)>, Halt> {
        let Some(x) = floats(planner, &self.name)? else { return Ok(None) };
        Ok(match *x.extents() {
            [batches, places, heads, width] if self.together => {
                let whole = x.reshaped(shape(vec![batches, places, heads * width])?);
                Some(([batches, heads, places, width], whole))
            }
            [batches, heads, places, width] => Some(([batches, heads, places, width], x)),
            [heads, places, width] if !self.together => {
                let whole = x.reshaped(shape(vec![1, heads, places, width])?);
                Some(([1, heads, places, width], whole))
            }
            _ => None,
        })
    }
}

/// The transposition that a value comes from, and what scales it on the way.
fn turned(wiring: &Wiring<'_>, name: &str) -> Option<(usize, Option<Scale>)> {
    if let Some(at) = wiring.made(name, "Transpose") {
        return Some((at, None));
    }
    let (scaled, divides) =
        wiring.made(name, "Mul").map(|at| (at, false)).or(wiring.made(name, "Div").map(|at| (at, true)))?;
    let sides = wiring.sides(scaled)?.into_iter().take(if divides { 1 } else { 2 });
    let scale = |name: &str| Scale { name: name.to_owned(), divides };
    sides.filter_map(|[x, by]| Some((wiring.made(x, "Transpose")?, Some(scale(by))))).next()
}

fn shape(extents: Vec<usize>) -> Result<Shape, Halt> {
    Shape::new(extents).map_err(|error: ShapeError| Fault::TooLarge(error.to_string()).into())
}

impl Attention {
    /// Names of the values that it reads.
    pub fn reads(&self) -> Vec<&str> {
        let sides = [&self.query, &self.key, &self.value].map(|side| side.name.as_str());
        let scales = self.scales.iter().map(|scale| scale.name.as_str());
        sides.into_iter().chain(scales).chain(self.mask.as_deref()).collect()
    }

    /// By the kernel of `Attention`; `None` where that computes something else, or more slowly.
    pub fn lower(&self, planner: &mut Planner) -> Result<Option<Value>, Halt> {
        let sides = [&self.query, &self.key, &self.value];
        let [Some((q, query)), Some((k, key)), Some((v, value))] = place(planner, sides)? else { return Ok(None) };
        let rank = planner.value(&self.query.name)?.spec().map_or(0, |spec| spec.shape.extents().len());
        let fits = q[..2] == k[..2] && q[..2] == v[..2] && q[3] == k[3] && k[2] == v[2];
        let known = fits && !q.contains(&0) && !k.contains(&0) && !v.contains(&0) && self.is_over_keys(planner, rank);
        let (Some(scale), true) = (self.scale(planner), known) else { return Ok(None) };
        if !planner.target.attends(query.spec.element, q[..3].iter().product()) {
            return Ok(None);
        }
        let mut inputs: Vec<Value> = [&query, &key, &value].map(|side| side.clone().into()).into();
        if let Some(name) = &self.mask {
            let mask = floats(planner, name)?.filter(|mask| covers(mask.extents(), [q[0], q[1], q[2], k[2]]));
            let Some(mask) = mask else { return Ok(None) };
            inputs.push(mask.into());
        }
        let y = lower::written_out_attention(planner, inputs, [q[1], k[1]], scale)?;
        let extents = match (self.together, rank) {
            (true, _) => vec![q[0], q[2], q[1], v[3]],
            (false, 3) => vec![q[1], q[2], v[3]],
            (false, _) => vec![q[0], q[1], q[2], v[3]],
        };
        Ok(Some(y.reshaped(shape(extents)?).into()))
    }

    /// What all that scales comes to; `None` where it is not known.
    fn scale(&self, planner: &Planner) -> Option<f32> {
        let factor = |scale: &Scale| {
            number(planner, &scale.name).map(|number| if scale.divides { 1.0 / number } else { number })
        };
        self.scales.iter().map(factor).product()
    }

    fn is_over_keys(&self, planner: &Planner, rank: usize) -> bool {
        let axis = match self.softmax.attribute("axis") {
            Some(Attribute::Int(axis)) => *axis,
            _ if planner.opset() >= 13 => -1,
            _ => 1,
        };
        axis == -1 || usize::try_from(axis).is_ok_and(|axis| axis + 1 == rank)
    }
}

type Placement = Option<([usize; 4], Placed)>;

fn place(planner: &mut Planner, [a, b, c]: [&Side; 3]) -> Result<[Placement; 3], Halt> {
    Ok([a.place(planner)?, b.place(planner)?, c.place(planner)?])
}

/// Whether a mask has a number for every key, and the same or one for all else.
fn covers(mask: &[usize], whole: [usize; 4]) -> bool {
    let pairs = mask.iter().rev().zip(whole.iter().rev());
    mask.len() <= whole.len()
        && mask.last() == whole.last()
        && pairs.clone().all(|(own, whole)| own == whole || *own == 1)
}
