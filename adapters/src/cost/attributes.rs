//! Attributes whose numbers have bounds, whatever the tensors are: what lies outside would divide by zero, go on without
//! end or panic in a library.

use super::called;
use burst_host::nouns::{Attribute, Fault, Graph, Op};

/// The largest kernel, stride, pad or block: a tensor has at most 2^28 elements.
const EXTENT_MAX: i64 = 1 << 28;
const RANK_MAX: i64 = 8;

/// Operators, none for all, an attribute of theirs, and its least and largest number.
const BOUNDS: &[(&[&str], &str, i64, i64)] = &[
    (&[], "strides", 1, EXTENT_MAX),
    (&[], "dilations", 1, EXTENT_MAX),
    (&[], "kernel_shape", 1, EXTENT_MAX),
    (&[], "output_padding", 0, EXTENT_MAX),
    (&[], "group", 1, EXTENT_MAX),
    (&[], "num_groups", 1, EXTENT_MAX),
    (&[], "hidden_size", 1, EXTENT_MAX),
    (&["DepthToSpace", "SpaceToDepth"], "blocksize", 1, EXTENT_MAX),
    (&["LRN"], "size", 1, EXTENT_MAX),
    (&["LpPool", "GlobalLpPool", "LpNormalization"], "p", 1, EXTENT_MAX),
    (&["RoiAlign"], "output_height", 1, EXTENT_MAX),
    (&["RoiAlign"], "output_width", 1, EXTENT_MAX),
    (&["RoiAlign"], "sampling_ratio", 0, EXTENT_MAX),
    (&["MaxRoiPool"], "pooled_shape", 1, EXTENT_MAX),
    (&["Multinomial"], "sample_size", 1, EXTENT_MAX),
    (&["Attention"], "q_num_heads", 1, EXTENT_MAX),
    (&["Attention"], "kv_num_heads", 1, EXTENT_MAX),
    (&["Split"], "num_outputs", 1, EXTENT_MAX),
    (&["GatherND"], "batch_dims", 0, RANK_MAX),
    (&["EyeLike"], "k", -EXTENT_MAX, EXTENT_MAX),
    (&["Conv", "ConvInteger", "QLinearConv", "DeformConv"], "pads", 0, EXTENT_MAX),
    (&["AveragePool", "LpPool", "MaxPool", "MaxUnpool"], "pads", 0, EXTENT_MAX),
    (&["ConvTranspose", "Pad"], "pads", -EXTENT_MAX, EXTENT_MAX),
    (&["RandomNormal", "RandomUniform"], "shape", 0, EXTENT_MAX),
];

/// Fails with the operator, the attribute and its bounds; looks into branches and bodies, too.
pub(super) fn check(graph: &Graph) -> Result<(), Fault> {
    graph.ops.iter().try_for_each(|op| {
        of(op)?;
        op.graphs().try_for_each(check)
    })
}

fn of(op: &Op) -> Result<(), Fault> {
    if !op.domain.is_empty() {
        return Ok(());
    }
    for (kinds, name, least, most) in BOUNDS {
        if !kinds.is_empty() && !kinds.contains(&op.kind.as_str()) {
            continue;
        }
        let numbers: &[i64] = match op.attribute(name) {
            Some(Attribute::Int(number)) => std::slice::from_ref(number),
            Some(Attribute::Ints(numbers)) => numbers,
            _ => continue,
        };
        if let Some(number) = numbers.iter().find(|number| !(least..=most).contains(number)) {
            let op = called(op);
            return Err(Fault::Invalid(format!("`{name}` of {op} is {number}, it has to be {least} to {most}")));
        }
    }
    Ok(())
}
