//! The walk of rows through trees: for each row and tree the number of a node, which goes a branch further as often as the
//! longest way has comparisons.

use super::{
    super::build::Builder,
    forest::{Forest, Mode, Node},
};
use burst_host::nouns::{Attribute, Element, Tensor};

/// Comparisons one after the other, each of which is seven operators.
const DEPTH_MAX: usize = 1_000;

/// Nodes in lists; leaves lead to themselves.
#[derive(Default)]
pub struct Plain {
    features: Vec<i32>,
    modes: Vec<Mode>,
    splits: Vec<f64>,
    missing: Vec<u8>,
    pub yes: Vec<i32>,
    no: Vec<i32>,
}

impl Plain {
    pub fn of(forest: &Forest) -> Self {
        let mut plain = Self::default();
        for (at, node) in forest.nodes.iter().enumerate() {
            match node {
                Node::Leaf(_) => plain.push(0, Mode::Equal, 0.0, false, [at, at]),
                Node::Branch(branch) => {
                    let split = branch.members.first().copied().unwrap_or(branch.split);
                    let ways = [branch.yes, branch.no];
                    plain.push(branch.feature, branch.mode, split, branch.missing, ways);
                }
            }
        }
        plain.spread_sets(forest);
        plain
    }

    fn push(&mut self, feature: usize, mode: Mode, split: f64, missing: bool, [yes, no]: [usize; 2]) {
        self.features.push(i32::try_from(feature).unwrap_or(i32::MAX));
        self.modes.push(mode);
        self.splits.push(split);
        self.missing.push(u8::from(missing));
        self.yes.push(yes as i32);
        self.no.push(no as i32);
    }

    /// A set is compared with one member after the other.
    fn spread_sets(&mut self, forest: &Forest) {
        for (at, node) in forest.nodes.iter().enumerate() {
            let Node::Branch(branch) = node else { continue };
            if branch.mode != Mode::Member {
                continue;
            }
            self.modes[at] = Mode::Equal;
            if branch.members.is_empty() {
                // Nothing equals what is no number.
                self.splits[at] = f64::NAN;
            }
            let mut last = at;
            for &member in branch.members.iter().skip(1) {
                let next = self.yes.len();
                self.no[last] = next as i32;
                self.push(branch.feature, Mode::Equal, member, branch.missing, [branch.yes, branch.no]);
                last = next;
            }
        }
    }
}

/// For each row and tree the node of the leaf that it comes to.
pub fn leaves(builder: &mut Builder<'_>, x: &str, forest: &Forest, plain: &Plain) -> Result<String, String> {
    let roots: Vec<i32> = forest.roots.iter().map(|&root| root as i32).collect();
    let roots = builder.tensor(Element::I32, &[1, roots.len()], &roots)?;
    let (rows, one) = (builder.extent(x, 0)?, builder.longs(&[1])?);
    let extents = builder.concat(&[&rows, &one], 0);
    let mut node = builder.add("Expand", &[&roots, &extents], &[]);
    let features = list(builder, Element::I32, &plain.features)?;
    let (yes, no) = (list(builder, Element::I32, &plain.yes)?, list(builder, Element::I32, &plain.no)?);
    let splits = numbers(builder, &[plain.splits.len()], &plain.splits, x)?;
    let missing = match plain.missing.contains(&1) {
        true => Some(list(builder, Element::Bool, &plain.missing)?),
        false => None,
    };
    let modes = modes(builder, forest, plain)?;
    let depth = forest.depth();
    if depth > DEPTH_MAX {
        return Err(format!("trees of {depth} comparisons in a row, at most {DEPTH_MAX}"));
    }
    for _ in 0..depth {
        let feature = builder.gather(&features, &node, 0);
        let value = builder.add("GatherElements", &[x, &feature], &[("axis", Attribute::Int(1))]);
        let split = builder.gather(&splits, &node, 0);
        let mut holds = compared(builder, &modes, &node, &value, &split);
        if let Some(missing) = &missing {
            let (none, follows) = (builder.add("IsNaN", &[&value], &[]), builder.gather(missing, &node, 0));
            let lacking = builder.add("And", &[&none, &follows], &[]);
            holds = builder.add("Or", &[&holds, &lacking], &[]);
        }
        let (yes, no) = (builder.gather(&yes, &node, 0), builder.gather(&no, &node, 0));
        node = builder.add("Where", &[&holds, &yes, &no], &[]);
    }
    Ok(node)
}

/// The ways to compare that branches have: the first, and for each other one where it is.
type Modes = (Mode, Vec<(Mode, String)>);

fn modes(builder: &mut Builder<'_>, forest: &Forest, plain: &Plain) -> Result<Modes, String> {
    let leaf = |at: usize| matches!(forest.nodes.get(at), Some(Node::Leaf(_)));
    let mut found: Vec<Mode> = Vec::new();
    for (at, mode) in plain.modes.iter().enumerate() {
        if !leaf(at) && !found.contains(mode) {
            found.push(*mode);
        }
    }
    let mut others = Vec::new();
    for &other in found.iter().skip(1) {
        let places: Vec<u8> = plain.modes.iter().map(|mode| u8::from(*mode == other)).collect();
        others.push((other, list(builder, Element::Bool, &places)?));
    }
    Ok((found.first().copied().unwrap_or(Mode::AtMost), others))
}

fn compared(builder: &mut Builder<'_>, (first, others): &Modes, node: &str, value: &str, split: &str) -> String {
    let mut holds = comparison(builder, *first, value, split);
    for (mode, places) in others {
        let (here, other) = (builder.gather(places, node, 0), comparison(builder, *mode, value, split));
        holds = builder.add("Where", &[&here, &other, &holds], &[]);
    }
    holds
}

fn comparison(builder: &mut Builder<'_>, mode: Mode, value: &str, split: &str) -> String {
    match mode {
        Mode::AtMost => builder.add("LessOrEqual", &[value, split], &[]),
        Mode::Below => builder.add("Less", &[value, split], &[]),
        Mode::AtLeast => builder.add("GreaterOrEqual", &[value, split], &[]),
        Mode::Above => builder.add("Greater", &[value, split], &[]),
        Mode::Equal | Mode::Member => builder.add("Equal", &[value, split], &[]),
        Mode::Differs => {
            let equal = builder.add("Equal", &[value, split], &[]);
            builder.add("Not", &[&equal], &[])
        }
    }
}

fn list<T: bytemuck::NoUninit>(builder: &mut Builder<'_>, element: Element, values: &[T]) -> Result<String, String> {
    let tensor = Tensor::from_slice(element, [values.len()], values).map_err(|error| error.to_string())?;
    Ok(builder.weight(tensor))
}

/// Numbers of the element that another value has, FP32 or FP64.
pub fn numbers(builder: &mut Builder<'_>, extents: &[usize], values: &[f64], like: &str) -> Result<String, String> {
    let tensor = match builder.element(like) {
        Some(Element::Fp64) => Tensor::from_slice(Element::Fp64, extents, values),
        _ => {
            let narrow: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            Tensor::from_slice(Element::Fp32, extents, &narrow)
        }
    };
    Ok(builder.weight(tensor.map_err(|error| error.to_string())?))
}
