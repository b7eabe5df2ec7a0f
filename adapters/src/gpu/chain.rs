//! A chain of operators on elements at the same place, which one dispatch computes however long it is.

use super::{
    draft::{Dispatch, Step},
    kernels::{Kernel, Lane, Shader},
    lower::element::{is_small_float, lane},
    planner::{Halt, Node, Placed, Planner, grid},
};
use burst_host::nouns::{Element, Fault, Narrow, Shape, Spec};

/// What the shader takes.
const LINKS_MAX: usize = 6;
const OPERANDS_MAX: usize = 4;
/// Enough to fill a device; each computes on several quads of larger tensors.
const INVOCATIONS_MAX: usize = 1 << 18;

/// `y = linkN(… link1(x))`; operands broadcast to y's shape.
#[derive(Clone)]
pub struct Chain {
    pub x: Placed,
    pub links: Vec<Link>,
    pub y: Placed,
    pub lane: Lane,
    /// Constants that say how y is rounded.
    pub rounding: Vec<(&'static str, u32)>,
}

/// What is done to the value so far, and with what.
#[derive(Clone)]
pub struct Link {
    /// The operator's number in `lane_f32.wgsl`.
    pub code: u32,
    pub with: With,
    pub attributes: [f32; 2],
}

/// The other operand.
#[derive(Clone)]
pub enum With {
    Nothing,
    Number(f32),
    Tensor(Placed),
}

impl Link {
    pub fn alone(code: u32) -> Self {
        Self { code, with: With::Nothing, attributes: [0.0; 2] }
    }

    pub fn tensor(code: u32, other: Placed) -> Self {
        Self { code, with: With::Tensor(other), attributes: [0.0; 2] }
    }

    pub fn number(code: u32, number: f32) -> Self {
        Self { code, with: With::Number(number), attributes: [0.0; 2] }
    }

    /// The same with its operands the other way round; `None` where the shaders have no such operator.
    pub fn reversed(&self) -> Option<Self> {
        const REVERSED: &[(u32, u32)] = &[(2, 3), (5, 6), (9, 10), (12, 13), (14, 15), (20, 22), (21, 23)];
        const COMMUTING: &[u32] = &[1, 4, 7, 8, 11, 16, 17, 18, 24, 25, 26];
        let other = |&(a, b): &(u32, u32)| (a == self.code).then_some(b).or((b == self.code).then_some(a));
        let code = COMMUTING.contains(&self.code).then_some(self.code).or_else(|| REVERSED.iter().find_map(other))?;
        Some(Self { code, ..self.clone() })
    }

    fn operand(&self) -> Option<&Placed> {
        if let With::Tensor(other) = &self.with { Some(other) } else { None }
    }
}

/// Runs a chain of operators; all operands but numbers have x's element.
pub fn chain(
    planner: &mut Planner,
    node: &Node<'_>,
    x: &Placed,
    links: &[Link],
    result: Element,
) -> Result<Placed, Halt> {
    rounded_chain(planner, node, x, links, result, Vec::new())
}

/// The same with constants that say how the result is rounded.
pub fn rounded_chain(
    planner: &mut Planner,
    node: &Node<'_>,
    x: &Placed,
    links: &[Link],
    result: Element,
    rounding: Vec<(&'static str, u32)>,
) -> Result<Placed, Halt> {
    let mut shape = x.spec.shape.clone();
    for other in links.iter().filter_map(Link::operand) {
        shape = broadcast(node, &shape, &other.spec.shape)?;
    }
    let small = links.iter().filter_map(Link::operand).any(|other| is_small_float(other.spec.element));
    let lane = match lane(planner, node, x.spec.element, result)? {
        Lane::F32 if small => Lane::F8,
        lane => lane,
    };
    if !links.iter().all(|link| lane.computes(link.code)) {
        return Err(node.lacks(x.spec.element));
    }
    let operands = links.iter().filter_map(Link::operand).map(|other| other.spec.element);
    let elements = operands.chain([x.spec.element, result]);
    if let Some(strange) = elements.into_iter().find(|&element| element_code(element).is_none()) {
        return Err(node.lacks(strange));
    }
    let y = planner.temporary(Spec { element: result, shape })?;
    let chain = Chain { x: x.clone(), links: links.to_vec(), y: y.clone(), lane, rounding };
    if !chain.fits() {
        return Err(node.unsupported("a longer chain"));
    }
    if y.spec.shape.elements() > 0 {
        planner.draft.steps.push(Step::Chain(chain));
    }
    Ok(y)
}

impl Chain {
    /// Tensors that are read, each once; x first.
    pub fn operands(&self) -> Vec<&Placed> {
        let mut operands = vec![&self.x];
        for other in self.links.iter().filter_map(Link::operand) {
            if !operands.iter().any(|known| known.same(other)) {
                operands.push(other);
            }
        }
        operands
    }

    /// Whether one dispatch computes it.
    pub fn fits(&self) -> bool {
        self.links.len() <= LINKS_MAX && self.operands().len() <= OPERANDS_MAX
    }

    /// The same with one operator for what exporters write as several.
    pub fn short(&self) -> Self {
        const MULTIPLY: u32 = 4;
        let own = |link: &Link| link.code == MULTIPLY && link.operand().is_some_and(|other| other.same(&self.x));
        let is = |link: &Link, code: u32, number: f32| {
            link.code == code && matches!(link.with, With::Number(other) if (other - number).abs() < 1e-6)
        };
        let (sigmoid, erf, swish, gelu) = (55, 54, 73, 66);
        let link = match self.links.as_slice() {
            [a, b] if a.code == sigmoid && own(b) => Link { attributes: [1.0, 0.0], ..Link::alone(swish) },
            [a, b, c, d, e]
                if (is(a, 5, std::f32::consts::SQRT_2) || is(a, MULTIPLY, std::f32::consts::FRAC_1_SQRT_2))
                    && b.code == erf
                    && is(c, 1, 1.0)
                    && (own(d) && is(e, MULTIPLY, 0.5) || own(e) && is(d, MULTIPLY, 0.5)) =>
            {
                Link::alone(gelu)
            }
            _ => return self.clone(),
        };
        Self { links: vec![link], ..self.clone() }
    }

    /// The dispatch that computes it.
    pub fn dispatch(&self) -> Dispatch {
        let (shape, operands) = (&self.y.spec.shape, self.operands());
        let mut kernel = Constants::new(self.lane, &self.x, self.y.spec.element);
        for (index, operand) in operands.iter().enumerate() {
            kernel.operand(index, operand, shape);
        }
        kernel.links(&self.links, &operands);
        kernel.0.extend(&self.rounding);
        let mut parameters = vec![shape.elements() as u32];
        let mut walks: Vec<_> = operands.iter().map(|operand| strides(operand.extents(), shape.extents())).collect();
        let (axes, merged) = merge(padded(shape.extents(), 1), &mut walks);
        kernel.0.push(("AXES", axes));
        walks.resize(OPERANDS_MAX, [0; 8]);
        parameters.extend(merged);
        parameters.extend(walks.as_flattened());
        // Structures of pairs begin at a multiple of eight bytes.
        parameters.push(0);
        parameters.extend(numbers(&self.links, self.lane));
        let mut reads: Vec<_> = operands.iter().map(|operand| operand.storage).collect();
        reads.resize(OPERANDS_MAX, self.x.storage);
        let quad = quad(operands.iter().map(|operand| operand.spec.element).chain([self.y.spec.element]));
        let groups = grid(shape.elements().div_ceil(quad.unwrap_or(4)).min(INVOCATIONS_MAX));
        kernel.0.push(("QUAD", quad.unwrap_or(0) as u32));
        let kernel = Kernel::new(Shader::Pointwise(self.lane), kernel.0);
        Dispatch { kernel, parameters, reads, write: self.y.storage, groups }
    }
}

/// How many elements lie in four words, where all are words or all are floats of half a word.
fn quad(mut elements: impl Iterator<Item = Element> + Clone) -> Option<usize> {
    let words = elements.clone().all(|element| matches!(element, Element::Fp32 | Element::I32 | Element::U32));
    let halves = elements.all(|element| matches!(element, Element::Fp16 | Element::Bf16));
    words.then_some(4).or(halves.then_some(8))
}

fn numbers(links: &[Link], lane: Lane) -> Vec<u32> {
    let mut words = vec![0; 24];
    for (index, link) in links.iter().enumerate() {
        if let With::Number(number) = link.with {
            let bits = match lane {
                Lane::F32 | Lane::F8 => u64::from(number.to_bits()),
                Lane::F64 => f64::from(number).to_bits(),
                Lane::I32 | Lane::I64 => number as i64 as u64,
            };
            (words[2 * index], words[2 * index + 1]) = (bits as u32, (bits >> 32) as u32);
        }
        words[12 + 2 * index] = link.attributes[0].to_bits();
        words[12 + 2 * index + 1] = link.attributes[1].to_bits();
    }
    words
}

/// Constants of a pointwise kernel.
struct Constants(Vec<(&'static str, u32)>);

impl Constants {
    fn new(lane: Lane, x: &Placed, result: Element) -> Self {
        Self(lane.constants(x, &[("Y", code_of(result)), ("NUMBER", code_of(lane.number()))]))
    }

    fn operand(&mut self, index: usize, operand: &Placed, shape: &Shape) {
        const ELEMENTS: [&str; 4] = ["A", "B", "C", "D"];
        const DENSE: [&str; 4] = ["A_DENSE", "B_DENSE", "C_DENSE", "D_DENSE"];
        self.0.push((ELEMENTS[index], code_of(operand.spec.element)));
        self.0.push((DENSE[index], u32::from(operand.spec.shape.elements() == shape.elements())));
    }

    fn links(&mut self, links: &[Link], operands: &[&Placed]) {
        const OPS: [&str; 6] = ["OP0", "OP1", "OP2", "OP3", "OP4", "OP5"];
        const WITHS: [&str; 6] = ["WITH0", "WITH1", "WITH2", "WITH3", "WITH4", "WITH5"];
        const NUMBER: usize = 4;
        for (index, link) in links.iter().enumerate() {
            let place = |other: &Placed| operands.iter().position(|operand| operand.same(other));
            let with = link.operand().and_then(place).unwrap_or(NUMBER);
            self.0.extend([(OPS[index], link.code), (WITHS[index], with as u32)]);
        }
        self.0.push(("LENGTH", links.len() as u32));
    }
}

/// The number of an element in the shaders.
pub fn element_code(element: Element) -> Option<u32> {
    Some(match element {
        Element::Fp32 => 0,
        Element::Fp16 => 1,
        Element::Bf16 => 2,
        Element::U8 => 3,
        Element::I8 => 4,
        Element::U16 => 5,
        Element::I16 => 6,
        Element::U32 => 7,
        Element::I32 => 8,
        Element::Bool => 9,
        Element::I64 => 10,
        Element::U64 => 11,
        Element::Fp64 => 12,
        Element::Narrow(Narrow::F8E4M3Fn) => 13,
        Element::Narrow(Narrow::F8E4M3FnUz) => 14,
        Element::Narrow(Narrow::F8E5M2) => 15,
        Element::Narrow(Narrow::F8E5M2FnUz) => 16,
        Element::Narrow(Narrow::F8E8M0) => 17,
        Element::Narrow(Narrow::F4E2M1) => 18,
        Element::Narrow(Narrow::I4) => 19,
        Element::Narrow(Narrow::U4) => 20,
        Element::Narrow(Narrow::I2) => 21,
        Element::Narrow(Narrow::U2) => 22,
        Element::Bytes => return None,
    })
}

fn code_of(element: Element) -> u32 {
    element_code(element).unwrap_or_default()
}

/// The shape that both fill, as ONNX broadcasts.
pub fn broadcast(node: &Node<'_>, a: &Shape, b: &Shape) -> Result<Shape, Halt> {
    let (a, b) = (a.extents(), b.extents());
    let rank = a.len().max(b.len());
    let extent = |extents: &[usize], axis: usize| (axis + extents.len()).checked_sub(rank).map_or(1, |at| extents[at]);
    let both = (0..rank).map(|axis| match (extent(a, axis), extent(b, axis)) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        _ => Err(Halt::from(Fault::Invalid(format!("`{}`: {a:?} and {b:?} do not fit", node.op.kind)))),
    });
    node.shape(both.collect::<Result<_, _>>()?)
}

/// Extents with leading ones, up to eight.
pub fn padded(extents: &[usize], fill: u32) -> [u32; 8] {
    let mut padded = [fill; 8];
    for (to, from) in padded.iter_mut().rev().zip(extents.iter().rev()) {
        *to = *from as u32;
    }
    padded
}

/// How far elements of `extents` lie apart along the axes of `shape`; 0 where it is broadcast.
pub fn strides(extents: &[usize], shape: &[usize]) -> [u32; 8] {
    let mut strides = [0; 8];
    let mut step = 1;
    for (axis, extent) in extents.iter().rev().enumerate() {
        if *extent != 1 && axis < shape.len() {
            strides[7 - axis] = step;
        }
        step *= *extent as u32;
    }
    strides
}

/// Makes one axis of neighbours that all walks pass as one; how many are left, and their extents, innermost last.
pub fn merge(shape: [u32; 8], walks: &mut [[u32; 8]]) -> (u32, [u32; 8]) {
    let mut kept: Vec<(u32, Vec<u32>)> = Vec::new();
    for (axis, &extent) in shape.iter().enumerate().filter(|(_, extent)| **extent != 1) {
        let steps: Vec<u32> = walks.iter().map(|walk| walk[axis]).collect();
        let follows = |outer: &[u32]| outer.iter().zip(&steps).all(|(outer, step)| *outer == step.wrapping_mul(extent));
        match kept.last_mut() {
            Some((outer, outer_steps)) if follows(outer_steps) => (*outer, *outer_steps) = (*outer * extent, steps),
            _ => kept.push((extent, steps)),
        }
    }
    let mut merged = [1; 8];
    walks.iter_mut().for_each(|walk| *walk = [0; 8]);
    for (place, (extent, steps)) in (0..8).rev().zip(kept.iter().rev()) {
        merged[place] = *extent;
        walks.iter_mut().zip(steps).for_each(|(walk, step)| walk[place] = *step);
    }
    (kept.len() as u32, merged)
}
