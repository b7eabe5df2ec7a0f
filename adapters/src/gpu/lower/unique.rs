//! Elements or slices that differ: rows are ranked, and the first of each group of equals is kept.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, axis, grid},
    },
    compact::{known, places, running_sums},
    gather::{rows, take},
    movement::permute,
    pointwise::{Link, chain, code, convert},
    rank::{Runs, ranking},
};
use burst_host::nouns::{Attribute, Element, Spec};

/// What differs, where it is first, which of them each element is, and how often it is there.
pub fn unique(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let (x, order) = fronted(planner, node)?;
    let length = x.extents()[0];
    if x.spec.shape.elements() == 0 {
        return Err(node.unsupported("nothing to compare"));
    }
    let runs = Runs {
        x: &x,
        count: 1,
        length,
        inner: x.spec.shape.elements() / length,
        row: x.spec.shape.elements() / length,
    };
    let ranked = planner.once(|planner| ranking(planner, node, &runs, length, false))?;
    let ranked = ranked.reshaped(node.shape(vec![length])?);
    let groups = planner.once(|planner| {
        let marks = runs.boundaries(planner, node, &ranked)?;
        running_sums(planner, node, &marks)
    })?;
    let starts = places(planner, node, &groups)?;
    let Groups { first, members, counts } = Groups::new(planner, node, &ranked, &groups, &starts)?;
    let y = rows(planner, node, &x, &first, 0)?;
    let y = permute(planner, node, &y, &order)?;
    let long = |planner: &mut Planner, x: &Placed| convert(planner, node, x, Element::I64).map(Value::from);
    Ok(vec![y.into(), long(planner, &first)?, long(planner, &members)?, long(planner, &counts)?])
}

/// The input with the axis in front, and what turns it back; without an axis it is flat.
fn fronted(planner: &mut Planner, node: &Node<'_>) -> Result<(Placed, Vec<usize>), Halt> {
    let x = planner.place(node.input(0))?;
    let Some(Attribute::Int(at)) = node.op.attribute("axis") else {
        return Ok((x.reshaped(node.shape(vec![x.spec.shape.elements()])?), vec![0]));
    };
    let rank = x.extents().len();
    if rank == 0 {
        return Err(node.invalid("a scalar has no axis"));
    }
    let at = axis(node, *at, rank)?;
    let front: Vec<usize> = [at].into_iter().chain((0..rank).filter(|&axis| axis != at)).collect();
    let back: Vec<usize> = (1..=at).chain([0]).chain(at + 1..rank).collect();
    Ok((permute(planner, node, &x, &front)?, back))
}

/// Groups of equal rows.
struct Groups {
    /// Row where each is first.
    first: Placed,
    /// Of each row.
    members: Placed,
    counts: Placed,
}

impl Groups {
    /// From where each starts among the ranked rows; in their order, or in that of their first rows.
    fn new(
        planner: &mut Planner,
        node: &Node<'_>,
        ranked: &Placed,
        groups: &Placed,
        starts: &Placed,
    ) -> Result<Self, Halt> {
        let first = take(planner, node, ranked, starts)?;
        let number = chain(planner, node, groups, &[Link::number(code::SUBTRACT, 1.0)], Element::U32)?;
        let sorted = inverse(planner, ranked)?;
        let members = take(planner, node, &number, &sorted)?;
        let counts = lengths(planner, node, starts, ranked.spec.shape.elements())?;
        if node.int("sorted", 1) == 1 {
            return Ok(Self { first, members, counts });
        }
        let count = first.spec.shape.elements();
        let runs = Runs { x: &first, count: 1, length: count, inner: 1, row: 1 };
        let order = ranking(planner, node, &runs, count, false)?.reshaped(node.shape(vec![count])?);
        let place = inverse(planner, &order)?;
        let mut of = |x: &Placed, places: &Placed| take(planner, node, x, places);
        Ok(Self { first: of(&first, &order)?, members: of(&place, &members)?, counts: of(&counts, &order)? })
    }
}

/// How many rows each group has: from its start to the next one.
fn lengths(planner: &mut Planner, node: &Node<'_>, starts: &Placed, length: usize) -> Result<Placed, Halt> {
    let count = starts.spec.shape.elements();
    let next: Vec<u32> = (1..=count as u32).collect();
    let end = planner.place(&known(node, &[length as u32])?)?;
    let next = planner.place(&known(node, &next)?)?;
    let starts_and_end =
        planner.apply("Concat", vec![("axis".into(), Attribute::Int(0))], vec![starts.clone().into(), end.into()])?;
    let starts_and_end = planner.place(&starts_and_end)?;
    let ends = take(planner, node, &starts_and_end, &next)?;
    chain(planner, node, &ends, &[Link::tensor(code::SUBTRACT, starts.clone())], Element::U32)
}

/// Where each number of a permutation stands.
fn inverse(planner: &mut Planner, x: &Placed) -> Result<Placed, Halt> {
    let count = x.spec.shape.elements();
    planner.dispatch(Kernel::new(Shader::Invert, []), vec![count as u32], &[x], x.spec.clone(), grid(count))
}

impl Runs<'_> {
    /// 1 for each ranked row that differs from the one before.
    fn boundaries(&self, planner: &mut Planner, node: &Node<'_>, ranked: &Placed) -> Result<Placed, Halt> {
        let count = self.length;
        let kernel = Kernel::new(Shader::Boundary, self.constants(node, false)?);
        let parameters = [count, self.inner, self.row, count, 0, 0, 0, 0].map(|value| value as u32).to_vec();
        let spec = Spec { element: Element::U32, shape: ranked.spec.shape.clone() };
        planner.dispatch(kernel, parameters, &[self.x, ranked], spec, grid(count))
    }
}
