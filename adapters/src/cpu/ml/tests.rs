//! Trees and votes against what ONNX Runtime 1.32 gives on its CPU provider.

use crate::{
    conformance::Sketch,
    cpu::CpuAccelerator,
    onnx::{self, Limits, Target},
};
use burst_host::{
    nouns::{Attribute, Element, Fault, Graph, Tensor},
    ports::Accelerator,
};
use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

type Attributes = Vec<(&'static str, Attribute)>;

fn ints(values: &[i64]) -> Attribute {
    Attribute::Ints(values.into())
}

fn floats(values: &[f32]) -> Attribute {
    Attribute::Floats(values.into())
}

fn text(value: &str) -> Attribute {
    Attribute::Text(value.into())
}

fn texts(values: &[&str]) -> Attribute {
    Attribute::Texts(values.iter().map(|&value| value.into()).collect())
}

fn features(extents: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_slice(Element::Fp32, extents, values).unwrap()
}

/// One operator of `ai.onnx.ml` on rows of features, with so many outputs.
fn graph(kind: &str, width: usize, outputs: &str, attributes: Attributes) -> Graph {
    let sketch = Sketch::new(kind).input("x", Element::Fp32, &format!("N {width}")).op(kind, "x", outputs);
    let sketch = outputs.split(' ').fold(sketch.in_domain("ai.onnx.ml"), Sketch::output);
    let mut graph = sketch.graph();
    graph.ops[0].attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    graph
}

async fn run(graph: &Graph, x: Tensor) -> Result<Vec<Tensor>, Fault> {
    let accelerator = CpuAccelerator::new(NonZeroUsize::MIN).unwrap();
    let program = accelerator.load(graph).await?;
    program.run(vec![x], Instant::now() + Duration::from_secs(60)).await
}

/// The same out of ONNX's own operators, as a target without trees is given it.
fn written_out(graph: &Graph) -> Result<Graph, Fault> {
    onnx::plain(graph, &Limits::default(), &Target { name: "a test", native: |_, _| false })
}

/// What both come to.
async fn both(graph: &Graph, x: Tensor) -> [Vec<Tensor>; 2] {
    let other = written_out(graph).unwrap();
    [run(graph, x.clone()).await.unwrap(), run(&other, x).await.unwrap()]
}

fn close(found: &Tensor, expected: &[f32]) {
    let found = found.to_vec::<f32>().unwrap();
    let same = found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(same, "{found:?} instead of {expected:?}");
}

/// A stump at 0.5 with a weight for each side.
fn stump(mode: &str, classes: [i64; 2], weights: [f32; 2], transform: &str) -> Attributes {
    vec![
        ("class_ids", ints(&classes)),
        ("class_nodeids", ints(&[1, 2])),
        ("class_treeids", ints(&[0, 0])),
        ("class_weights", floats(&weights)),
        ("classlabels_int64s", ints(&[5, 7])),
        ("nodes_falsenodeids", ints(&[2, 0, 0])),
        ("nodes_featureids", ints(&[0, 0, 0])),
        ("nodes_modes", texts(&[mode, "LEAF", "LEAF"])),
        ("nodes_nodeids", ints(&[0, 1, 2])),
        ("nodes_treeids", ints(&[0, 0, 0])),
        ("nodes_truenodeids", ints(&[1, 0, 0])),
        ("nodes_values", floats(&[0.5, 0.0, 0.0])),
        ("post_transform", text(transform)),
    ]
}

#[tokio::test]
async fn two_classes_are_named_as_their_scores_say() {
    let check = async |attributes: Attributes, labels: [i64; 2], scores: [f32; 4]| {
        let graph = graph("TreeEnsembleClassifier", 1, "l p", attributes);
        let x = || features(&[2, 1], &[0.0, 1.0]);
        let found = run(&graph, x()).await.unwrap();
        assert_eq!(found[0].to_vec::<i64>().unwrap(), labels);
        close(&found[1], &scores);
        // Some are left to who has trees.
        let Ok(written) = written_out(&graph) else { return 0 };
        let found = run(&written, x()).await.unwrap();
        assert_eq!(found[0].to_vec::<i64>().unwrap(), labels);
        close(&found[1], &scores);
        1
    };
    let base = |mut attributes: Attributes, values: &[f32]| {
        attributes.push(("base_values", floats(values)));
        attributes
    };
    let mut same = 0;
    let (shares, signed) = ([0.3, 0.8], [-0.7, 0.8]);
    same += check(stump("BRANCH_LEQ", [0, 0], shares, "NONE"), [5, 7], [0.7, 0.3, 0.2, 0.8]).await;
    same += check(stump("BRANCH_GTE", [0, 0], shares, "NONE"), [7, 5], [0.2, 0.8, 0.7, 0.3]).await;
    same += check(stump("BRANCH_LEQ", [0, 0], signed, "NONE"), [5, 7], [0.7, -0.7, -0.8, 0.8]).await;
    let logistic = [0.668_19, 0.331_81, 0.310_03, 0.689_97];
    same += check(stump("BRANCH_LEQ", [0, 0], signed, "LOGISTIC"), [5, 7], logistic).await;
    same += check(stump("BRANCH_LEQ", [1, 1], shares, "NONE"), [5, 7], [0.0, 0.3, 0.0, 0.8]).await;
    same += check(stump("BRANCH_LEQ", [0, 1], signed, "NONE"), [0, 1], [0.7, -0.7, 0.0, 0.8]).await;
    same += check(base(stump("BRANCH_LEQ", [0, 0], shares, "NONE"), &[0.1]), [5, 7], [0.6, 0.4, 0.1, 0.9]).await;
    same += check(base(stump("BRANCH_LEQ", [0, 0], shares, "NONE"), &[0.1, 0.2]), [5, 7], [0.4, 0.0, 0.9, 0.0]).await;
    same += check(base(stump("BRANCH_LEQ", [1, 1], signed, "NONE"), &[0.1, 0.2]), [7, 7], [0.0, 0.2, 0.0, 0.2]).await;
    assert_eq!(same, 6);
}

/// Two trees of three targets or classes, whose weights begin with `leaves`.
fn trees(leaves: [&'static str; 4], more: Attributes) -> Attributes {
    let modes = ["BRANCH_LT", "LEAF", "LEAF", "BRANCH_GTE", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"];
    let mut attributes = vec![
        ("nodes_treeids", ints(&[0, 0, 0, 1, 1, 1, 1, 1])),
        ("nodes_nodeids", ints(&[0, 1, 2, 0, 1, 2, 3, 4])),
        ("nodes_featureids", ints(&[0, 0, 0, 1, 0, 0, 0, 0])),
        ("nodes_modes", texts(&modes)),
        ("nodes_values", floats(&[0.5, 0.0, 0.0, 1.0, 0.0, 0.7, 0.0, 0.0])),
        ("nodes_truenodeids", ints(&[1, 0, 0, 1, 0, 3, 0, 0])),
        ("nodes_falsenodeids", ints(&[2, 0, 0, 2, 0, 4, 0, 0])),
        ("nodes_missing_value_tracks_true", ints(&[1, 0, 0, 0, 0, 0, 0, 0])),
        (leaves[0], ints(&[0, 0, 1, 1, 1, 1])),
        (leaves[1], ints(&[1, 2, 1, 3, 4, 4])),
        (leaves[2], ints(&[0, 1, 0, 2, 1, 2])),
        (leaves[3], floats(&[1.0, 2.0, 0.5, -1.0, 0.25, 4.0])),
    ];
    attributes.extend(more);
    attributes
}

const TARGETS: [&str; 4] = ["target_treeids", "target_nodeids", "target_ids", "target_weights"];
const CLASSES: [&str; 4] = ["class_treeids", "class_nodeids", "class_ids", "class_weights"];

/// The last row lacks its first feature.
fn rows() -> Tensor {
    features(&[4, 2], &[0.0, 3.0, 1.0, -1.0, 0.5, 2.0, f32::NAN, 0.0])
}

#[tokio::test]
async fn trees_are_added_and_averaged_and_compared() {
    let expected: [(&str, [f32; 12]); 4] = [
        ("SUM", [1.6, 0.0, 0.0, 0.0, 2.45, 4.3, 0.6, 2.2, 0.0, 1.1, 0.45, 4.3]),
        ("AVERAGE", [0.85, 0.0, 0.0, 0.0, 1.325, 2.3, 0.35, 1.2, 0.0, 0.6, 0.325, 2.3]),
        ("MIN", [0.6, 0.0, 0.0, 0.0, 0.45, 4.3, 0.6, 2.2, 0.0, 1.1, 0.45, 4.3]),
        ("MAX", [1.1, 0.0, 0.0, 0.0, 2.2, 4.3, 0.6, 2.2, 0.0, 1.1, 0.45, 4.3]),
    ];
    for (aggregate, expected) in expected {
        let more = vec![
            ("n_targets", Attribute::Int(3)),
            ("aggregate_function", text(aggregate)),
            ("base_values", floats(&[0.1, 0.2, 0.3])),
        ];
        let graph = graph("TreeEnsembleRegressor", 2, "y", trees(TARGETS, more));
        for found in both(&graph, rows()).await {
            close(&found[0], &expected);
        }
    }
}

#[tokio::test]
async fn several_classes_have_the_largest_score_and_texts_for_names() {
    let expected: [(&str, [f32; 6]); 3] = [
        ("SOFTMAX", [0.691_438_4, 0.154_280_77, 0.154_280_77, 0.015_364_314, 0.145_772_56, 0.838_863_13]),
        ("SOFTMAX_ZERO", [1.0, 0.0, 0.0, 0.0, 0.148_047_2, 0.851_952_7]),
        ("LOGISTIC", [0.817_574_44, 0.5, 0.5, 0.5, 0.904_650_5, 0.982_013_76]),
    ];
    for (transform, expected) in expected {
        let more = vec![("classlabels_int64s", ints(&[7, 8, 9])), ("post_transform", text(transform))];
        let graph = graph("TreeEnsembleClassifier", 2, "l p", trees(CLASSES, more));
        for found in both(&graph, features(&[2, 2], &[0.0, 3.0, 1.0, -1.0])).await {
            assert_eq!(found[0].to_vec::<i64>().unwrap(), [7, 9]);
            close(&found[1], &expected);
        }
    }
    let more = vec![("classlabels_strings", texts(&["a", "bb", "ccc"]))];
    let graph = graph("TreeEnsembleClassifier", 2, "l p", trees(CLASSES, more));
    let found = run(&graph, rows()).await.unwrap();
    assert_eq!(found[0].spec().to_string(), "BYTES[4]");
    assert_eq!(&found[0].contents().unwrap()[..], b"\x01\0\0\0a\x03\0\0\0ccc\x02\0\0\0bb\x03\0\0\0ccc");
}

#[tokio::test]
async fn trees_of_version_five_have_leaves_and_sets() {
    let tensor = |values: &[f32]| Attribute::Tensor(features(&[values.len()], values));
    let modes = Tensor::from_slice(Element::U8, [3], &[0u8, 6, 4]).unwrap();
    for (aggregate, expected) in
        [(0, [0.5, 4.0, 2.0, 4.0, 2.0, 1.0, 2.0, 4.0]), (1, [1.0, 8.0, 4.0, 8.0, 4.0, 2.0, 4.0, 8.0])]
    {
        let attributes = vec![
            ("n_targets", Attribute::Int(2)),
            ("aggregate_function", Attribute::Int(aggregate)),
            ("tree_roots", ints(&[0, 2])),
            ("nodes_modes", Attribute::Tensor(modes.clone())),
            ("nodes_featureids", ints(&[0, 1, 1])),
            ("nodes_splits", tensor(&[0.5, 0.0, 2.0])),
            ("nodes_truenodeids", ints(&[1, 0, 2])),
            ("nodes_trueleafs", ints(&[0, 1, 1])),
            ("nodes_falsenodeids", ints(&[2, 1, 3])),
            ("nodes_falseleafs", ints(&[1, 1, 1])),
            ("leaf_targetids", ints(&[0, 1, 0, 1])),
            ("leaf_weights", tensor(&[1.0, 2.0, 4.0, 8.0])),
            ("membership_values", tensor(&[3.0, 5.0, f32::NAN])),
        ];
        let graph = graph("TreeEnsemble", 2, "y", attributes);
        for found in both(&graph, rows()).await {
            close(&found[0], &expected);
        }
    }
}

/// Kernels of four vectors for three classes.
fn vectors(more: Attributes) -> Attributes {
    let vectors = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 1.0, 0.0, 2.0, -1.0, 1.0];
    let mut attributes = vec![
        ("kernel_type", text("RBF")),
        ("kernel_params", floats(&[0.1, 0.0, 3.0])),
        ("support_vectors", floats(&vectors)),
        ("vectors_per_class", ints(&[1, 2, 1])),
        ("coefficients", floats(&[1.0, -1.0, 0.5, 0.3, 0.7, -0.2, 0.4, 0.6])),
        ("rho", floats(&[0.1, -0.2, 0.3])),
        ("classlabels_ints", ints(&[4, 5, 6])),
    ];
    attributes.extend(more);
    attributes
}

#[tokio::test]
async fn vectors_vote() {
    let x = || features(&[2, 3], &[1.0, -2.0, 3.0, -4.0, 5.0, -6.0]);
    let probabilities = vec![("prob_a", floats(&[-1.0, -0.5, -2.0])), ("prob_b", floats(&[0.1, 0.2, -0.1]))];
    let expected: [(Attributes, [f32; 6]); 3] = [
        (Vec::new(), [0.375_449_93, 0.105_971_05, 0.688_868_3, 0.100_567_02, -0.199_991_24, 0.300_448_86]),
        (
            vec![("post_transform", text("LOGISTIC"))],
            [0.592_775_2, 0.526_468, 0.665_715_1, 0.525_120_56, 0.450_168_2, 0.574_552_24],
        ),
        (probabilities, [0.378_242_88, 0.414_677_9, 0.207_079_25, 0.311_629_47, 0.408_987, 0.279_383_54]),
    ];
    for (more, expected) in expected {
        let found = run(&graph("SVMClassifier", 3, "l p", vectors(more)), x()).await.unwrap();
        assert_eq!(found[0].to_vec::<i64>().unwrap(), [4, 4]);
        close(&found[1], &expected);
    }
}

#[tokio::test]
async fn trees_without_an_end_are_refused() {
    let mut attributes = stump("BRANCH_LEQ", [0, 0], [0.3, 0.8], "NONE");
    attributes.retain(|(name, _)| *name != "nodes_truenodeids");
    attributes.push(("nodes_truenodeids", ints(&[0, 0, 0])));
    let refused = run(&graph("TreeEnsembleClassifier", 1, "l p", attributes), features(&[1, 1], &[0.0])).await;
    assert!(matches!(refused, Err(Fault::Unsupported(_))), "{refused:?}");
    // Nothing is made room for before.
    let many = graph("TreeEnsembleRegressor", 2, "y", trees(TARGETS, vec![("n_targets", Attribute::Int(1 << 40))]));
    assert!(matches!(written_out(&many), Err(Fault::Unsupported(_))));
    assert!(matches!(run(&many, rows()).await, Err(Fault::Unsupported(_))));
    let narrow = graph("TreeEnsembleRegressor", 1, "y", trees(TARGETS, vec![("n_targets", Attribute::Int(3))]));
    assert!(run(&narrow, features(&[1, 1], &[0.0])).await.is_err());
}
