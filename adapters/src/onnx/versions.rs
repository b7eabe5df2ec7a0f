//! Since when operators mean what they mean. Versions that only allow more (types, negative axes, further attributes with
//! the old meaning as default) are left out. Source: Changelog.md of ONNX 1.23.

/// Operators whose form or meaning changed, and in which versions of ONNX's own operator set.
const CHANGES: &[(&str, &[i64])] = &[
    ("Add", &[7]),
    ("And", &[7]),
    ("BatchNormalization", &[7, 9, 14]),
    ("Cast", &[6]),
    ("Clip", &[11]),
    ("Concat", &[4]),
    ("DFT", &[20]),
    ("Div", &[7]),
    ("Dropout", &[7, 10, 12]),
    ("Equal", &[7]),
    ("GRU", &[3, 7]),
    ("Gemm", &[7]),
    ("Greater", &[7]),
    ("GridSample", &[20]),
    ("GroupNormalization", &[21]),
    ("Hardmax", &[13]),
    ("LSTM", &[7]),
    ("Less", &[7]),
    ("LogSoftmax", &[13]),
    ("LpPool", &[2]),
    ("Mul", &[7]),
    ("Or", &[7]),
    ("PRelu", &[7]),
    ("Pad", &[2, 11]),
    ("Pow", &[7]),
    ("RNN", &[7]),
    ("ReduceL1", &[18]),
    ("ReduceL2", &[18]),
    ("ReduceLogSum", &[18]),
    ("ReduceLogSumExp", &[18]),
    ("ReduceMax", &[18]),
    ("ReduceMean", &[18]),
    ("ReduceMin", &[18]),
    ("ReduceProd", &[18]),
    ("ReduceSum", &[13]),
    ("ReduceSumSquare", &[18]),
    ("Reshape", &[5]),
    ("Resize", &[11]),
    ("RoiAlign", &[16]),
    ("Scan", &[9]),
    ("Selu", &[6]),
    ("Slice", &[10]),
    ("Softmax", &[13]),
    ("Split", &[2, 13, 18]),
    ("Squeeze", &[13]),
    ("Sub", &[7]),
    ("Tile", &[6]),
    ("TopK", &[10]),
    ("Unsqueeze", &[13]),
    ("Upsample", &[7, 9]),
    ("Xor", &[7]),
];

/// Whether an operator of this name may mean something else in the later of two versions.
pub fn differ(domain: &str, kind: &str, from: i64, to: i64) -> bool {
    if !domain.is_empty() {
        return true;
    }
    let row = CHANGES.binary_search_by_key(&kind, |(name, _)| name).ok();
    row.is_some_and(|row| CHANGES[row].1.iter().any(|&version| from < version && version <= to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted() {
        assert!(CHANGES.is_sorted_by_key(|(name, _)| name));
    }

    #[test]
    fn a_change_counts_where_it_lies_between() {
        assert!(differ("", "Softmax", 12, 13) && differ("", "Softmax", 9, 21));
        assert!(!differ("", "Softmax", 13, 21) && !differ("", "Relu", 1, 21) && !differ("", "Squeeze", 7, 12));
    }
}
