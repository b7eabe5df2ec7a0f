//! Numbers that operators take as inputs, and axes: what lies outside of their bounds is refused before anybody computes
//! with it.

use super::{called, node::Node};
use burst_host::nouns::Fault;

const MANY: f64 = (1u64 << 28) as f64;

/// Operators, an input of theirs, and the least and largest number of it. One that is `NaN` is outside of all.
const BOUNDS: &[(&str, usize, f64, f64)] = &[
    ("ConstantOfShape", 0, 0.0, f64::MAX),
    ("DFT", 1, 1.0, f64::MAX),
    ("BlackmanWindow", 0, 0.0, f64::MAX),
    ("CenterCropPad", 1, 0.0, f64::MAX),
    ("Col2Im", 1, 0.0, f64::MAX),
    ("Col2Im", 2, 1.0, f64::MAX),
    ("Expand", 1, -1.0, f64::MAX),
    ("HammingWindow", 0, 0.0, f64::MAX),
    ("HannWindow", 0, 0.0, f64::MAX),
    ("MaxUnpool", 2, 0.0, f64::MAX),
    ("MelWeightMatrix", 0, 0.0, f64::MAX),
    ("MelWeightMatrix", 1, 0.0, f64::MAX),
    ("OneHot", 1, 0.0, f64::MAX),
    ("Pad", 1, -MANY, f64::MAX),
    ("Range", 0, f64::MIN, f64::MAX),
    ("Range", 1, f64::MIN, f64::MAX),
    ("Range", 2, f64::MIN, f64::MAX),
    ("Reshape", 1, -1.0, f64::MAX),
    ("Resize", 2, 0.0, f64::MAX),
    ("Resize", 3, 0.0, f64::MAX),
    ("STFT", 1, 1.0, f64::MAX),
    ("STFT", 3, 1.0, f64::MAX),
    ("Split", 1, 0.0, f64::MAX),
    ("Tile", 1, 0.0, f64::MAX),
    ("TopK", 1, 0.0, f64::MAX),
];

/// Operators with an input that may have any number but 0.
const STEPS: &[(&str, usize)] = &[("Range", 2), ("Slice", 4)];

/// Operators whose `axis` or `axes` are of the first input, or of what they make of it: so many axes more.
const AXES: &[(&str, usize)] = &[
    ("ArgMax", 0),
    ("ArgMin", 0),
    ("Compress", 0),
    ("Concat", 0),
    ("Flatten", 1),
    ("Gather", 0),
    ("GatherElements", 0),
    ("LogSoftmax", 0),
    ("OneHot", 1),
    ("ReduceL1", 0),
    ("ReduceL2", 0),
    ("ReduceLogSum", 0),
    ("ReduceLogSumExp", 0),
    ("ReduceMax", 0),
    ("ReduceMean", 0),
    ("ReduceMin", 0),
    ("ReduceProd", 0),
    ("ReduceSum", 0),
    ("ReduceSumSquare", 0),
    ("ScatterElements", 0),
    ("Softmax", 0),
    ("Split", 0),
    ("Squeeze", 0),
    ("TopK", 0),
    ("Transpose", 0),
    ("Unique", 0),
];

/// Fails with `Invalid`: the operator, the number and its bounds.
pub(super) fn check(node: &Node) -> Result<(), Fault> {
    if !node.op.domain.is_empty() {
        return Ok(());
    }
    bounds(node)?;
    axes(node)?;
    length(node)
}

fn bounds(node: &Node) -> Result<(), Fault> {
    let kind = node.op.kind.as_str();
    let given = |input: usize| node.input(input).and_then(|value| value.numbers.as_deref()).unwrap_or_default();
    for (_, input, least, most) in BOUNDS.iter().filter(|(of, ..)| *of == kind) {
        if let Some(number) = given(*input).iter().find(|number| !(least..=most).contains(number)) {
            return Err(outside(node, &format!("input {input}"), *number));
        }
    }
    match STEPS.iter().find(|(of, input)| *of == kind && given(*input).contains(&0.0)) {
        Some((_, input)) => Err(outside(node, &format!("the step, input {input},"), 0.0)),
        None => Ok(()),
    }
}

fn axes(node: &Node) -> Result<(), Fault> {
    let Some((_, more)) = AXES.iter().find(|(kind, _)| *kind == node.op.kind) else { return Ok(()) };
    let Some(rank) = node.input(0).and_then(|value| value.rank()) else { return Ok(()) };
    let rank = (rank + more) as i64;
    // A scalar is reduced along its first axis by some.
    let bounds = -rank.max(1)..rank.max(1);
    let axis = node.op.attribute("axis").map(|_| vec![node.int("axis", 0)]);
    let all = [axis, node.ints("axes").map(<[i64]>::to_vec), node.ints("perm").map(<[i64]>::to_vec)];
    match all.into_iter().flatten().flatten().find(|axis| !bounds.contains(axis)) {
        Some(axis) => Err(outside(node, "an axis", axis as f64)),
        None => Ok(()),
    }
}

/// More of an axis than it has.
fn length(node: &Node) -> Result<(), Fault> {
    let longest = || {
        let extents = node.extents(0)?;
        let length = *extents.get(node.axis(-1, extents.len())?)?;
        Some((*node.numbers("k", 1)?.first()?, length))
            .filter(|&(count, length)| u64::try_from(count).is_ok_and(|count| count > length))
    };
    match longest().filter(|_| node.op.kind == "TopK") {
        Some((count, _)) => Err(outside(node, "k", count as f64)),
        None => Ok(()),
    }
}

fn outside(node: &Node, what: &str, number: f64) -> Fault {
    Fault::Invalid(format!("{what} of {} is {number}, which is out of bounds", called(node.op)))
}
