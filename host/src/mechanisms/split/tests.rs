//! Pieces compute what the whole computes: on graphs drawn at random, with numbers that stand for what is computed.

use super::{Known, Piece, SplitError, Values, Wanted, split, used_values};
use crate::nouns::{Attribute, Element, Extent, Graph, Op, Port, Tensor};
use proptest::prelude::*;
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroUsize,
};

fn port(name: &str, extents: &[usize]) -> Port {
    let shape = extents.iter().map(|&extent| Extent::Fixed(extent)).collect();
    Port { name: name.into(), element: Some(Element::Fp32), shape: Some(shape), optional: false }
}

fn op(kind: &str, inputs: &str, outputs: &str) -> Op {
    let words = |words: &str| words.split_whitespace().map(Into::into).collect();
    Op { kind: kind.into(), inputs: words(inputs), outputs: words(outputs), ..Op::identity("".into(), "".into()) }
}

fn weight(extent: usize) -> Tensor {
    Tensor::from_slice(Element::Fp32, [extent], &vec![extent as f32; extent]).unwrap()
}

/// A graph with the values' sizes told as extents of FP32.
fn graph(inputs: &str, ops: Vec<Op>, constants: &[(&str, usize)], outputs: &str) -> Graph {
    Graph {
        name: "m".into(),
        ir_version: 8,
        inputs: inputs.split_whitespace().map(|name| port(name, &[4])).collect(),
        outputs: outputs.split_whitespace().map(|name| port(name, &[4])).collect(),
        constants: constants.iter().map(|(name, extent)| (name.to_string(), weight(*extent))).collect(),
        ops,
        ..Graph::default()
    }
}

fn values(graph: &Graph, extent: impl Fn(&str) -> usize) -> Values {
    let known = |name: String| {
        let extent = extent(&name);
        (name.clone(), Known { port: port(&name, &[extent]), bytes: 4 * extent as u64 })
    };
    used_values(graph).into_iter().map(known).collect()
}

fn parts(parts: usize) -> Wanted {
    Wanted::Parts(NonZeroUsize::new(parts).unwrap())
}

/// What stands for the contents of every value once all ops have run.
fn run(graph: &Graph, known: &mut HashMap<String, u64>) {
    let number = |parts: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        parts(&mut hasher);
        hasher.finish()
    };
    let contents = |tensor: &Tensor| number(&|hasher| tensor.contents().unwrap().hash(hasher));
    known.extend(graph.constants.iter().map(|(name, tensor)| (name.clone(), contents(tensor))));
    for op in &graph.ops {
        if let [(_, Attribute::Tensor(tensor))] = op.attributes.as_slice() {
            known.insert(op.outputs[0].clone(), contents(tensor));
            continue;
        }
        let inputs: Vec<u64> = op.inputs.iter().map(|name| known[name]).collect();
        for (index, output) in op.outputs.iter().enumerate() {
            known.insert(output.clone(), number(&|hasher| (&op.kind, &inputs, index).hash(hasher)));
        }
    }
}

/// Runs the pieces one after the other, each with nothing but its inputs.
fn run_pieces(graph: &Graph, pieces: &[Piece]) -> HashMap<String, u64> {
    let mut passed: HashMap<String, u64> =
        graph.inputs.iter().enumerate().map(|(index, port)| (port.name.clone(), index as u64)).collect();
    for piece in pieces {
        let mut own = piece.graph.inputs.iter().map(|port| (port.name.clone(), passed[&port.name])).collect();
        run(&piece.graph, &mut own);
        passed.extend(piece.graph.outputs.iter().map(|port| (port.name.clone(), own[&port.name])));
    }
    passed
}

fn check_equal(graph: &Graph, pieces: &[Piece]) {
    let mut whole = graph.inputs.iter().enumerate().map(|(index, port)| (port.name.clone(), index as u64)).collect();
    run(graph, &mut whole);
    let passed = run_pieces(graph, pieces);
    for output in &graph.outputs {
        assert_eq!(passed[&output.name], whole[&output.name], "{}", output.name);
    }
}

/// Two residual blocks: `a` is wide, `x` and `y` are narrow.
fn blocks() -> (Graph, Values) {
    let ops = vec![
        op("MatMul", "x w0", "a0"),
        op("Relu", "a0", "b0"),
        op("Add", "b0 x", "y0"),
        op("MatMul", "y0 w1", "a1"),
        op("Relu", "a1", "b1"),
        op("Add", "b1 y0", "y1"),
    ];
    let graph = graph("x", ops, &[("w0", 100), ("w1", 100)], "y1");
    let values = values(&graph, |name| if name.starts_with('y') { 4 } else { 64 });
    (graph, values)
}

fn kinds(piece: &Piece) -> Vec<&str> {
    piece.graph.ops.iter().map(|op| op.kind.as_str()).collect()
}

#[test]
fn a_cut_is_where_little_crosses_it() {
    let (graph, values) = blocks();
    let pieces = split(&graph, &values, parts(2)).unwrap();
    assert_eq!(pieces.iter().map(kinds).collect::<Vec<_>>(), [["MatMul", "Relu", "Add"]; 2]);
    assert_eq!([pieces[0].received_bytes, pieces[1].received_bytes], [0, 16]);
    assert_eq!(pieces[1].graph.signature().to_string(), "(y0: FP32[4]) -> (y1: FP32[4])");
    assert_eq!(pieces[1].graph.constants.len(), 1);
    // 400 bytes of weights; x and two wide values.
    assert_eq!((pieces[0].memory.weight_bytes, pieces[0].memory.activation_bytes), (400, 16 + 512));
    check_equal(&graph, &pieces);
}

#[test]
fn more_parts_than_minima_are_cut_elsewhere() {
    let (graph, values) = blocks();
    let pieces = split(&graph, &values, parts(6)).unwrap();
    assert!(pieces.iter().all(|piece| piece.graph.ops.len() == 1));
    check_equal(&graph, &pieces);
    let refused = SplitError::Parts { wanted: 7, max: 6 };
    assert_eq!(split(&graph, &values, parts(7)).unwrap_err(), refused);
}

#[test]
fn memory_is_held_or_refused() {
    let (graph, values) = blocks();
    let whole = split(&graph, &values, parts(1)).unwrap()[0].memory.total();
    assert_eq!(split(&graph, &values, Wanted::MemoryMax(whole)).unwrap().len(), 1);
    let halves = split(&graph, &values, Wanted::MemoryMax(whole - 1)).unwrap();
    assert_eq!(halves.len(), 2);
    assert!(halves.iter().all(|piece| piece.memory.total() < whole));
    let error = split(&graph, &values, Wanted::MemoryMax(100)).unwrap_err();
    assert!(matches!(error, SplitError::Memory { limit: 100, .. }), "{error}");
    let error = split(&graph, &Values::new(), Wanted::MemoryMax(whole)).unwrap_err();
    assert!(matches!(error, SplitError::Unknown(_)), "{error}");
}

#[test]
fn what_follows_from_constants_crosses_no_cut() {
    let constant = Op { attributes: vec![("value".into(), Attribute::Tensor(weight(300)))], ..op("Constant", "", "c") };
    let ops = vec![
        constant,
        op("Neg", "c", "n"),
        op("Shape", "x", "s"),
        op("Add", "x n", "a"),
        op("Relu", "a", "b"),
        op("Reshape", "b s", "d"),
        op("Add", "d n", "y"),
    ];
    let graph = graph("x", ops, &[], "y");
    let values = values(&graph, |_| 4);
    for count in 1..=4 {
        let pieces = split(&graph, &values, parts(count)).unwrap();
        assert_eq!(pieces.len(), count);
        assert!(pieces.iter().all(|piece| piece.received_bytes <= 16));
        check_equal(&graph, &pieces);
    }
    let last = &split(&graph, &values, parts(2)).unwrap()[1];
    assert!(kinds(last).contains(&"Neg") && last.graph.constants.len() == 1, "{:?}", kinds(last));
}

#[test]
fn what_is_random_is_computed_once() {
    let ops = vec![op("RandomNormal", "", "r"), op("Add", "x r", "a"), op("Add", "a r", "y")];
    let graph = graph("x", ops, &[], "y");
    let pieces = split(&graph, &values(&graph, |_| 4), parts(3)).unwrap();
    assert_eq!(pieces.iter().flat_map(kinds).filter(|kind| *kind == "RandomNormal").count(), 1);
    check_equal(&graph, &pieces);
}

#[test]
fn a_subgraph_sees_what_is_around_it() {
    let body = Graph { ops: vec![op("Add", "a w", "inner")], ..graph("", vec![], &[], "inner") };
    let branch =
        Op { attributes: vec![("then_branch".into(), Attribute::Graph(Box::new(body)))], ..op("If", "b", "y") };
    let graph = graph("x", vec![op("Relu", "x", "a"), op("Neg", "a", "b"), branch], &[("w", 9)], "y");
    let pieces = split(&graph, &values(&graph, |_| 4), parts(3)).unwrap();
    assert_eq!(pieces[2].graph.signature().inputs.len(), 2, "{}", pieces[2].graph.signature());
    assert_eq!(pieces[2].graph.constants.len(), 1);
}

#[test]
fn caches_are_told_from_activations() {
    let ops = vec![op("Relu", "x", "a"), op("Add", "past_key_0 a", "present_key_0"), op("Neg", "a", "y")];
    let graph = graph("x past_key_0", ops, &[], "y present_key_0");
    let memory = split(&graph, &values(&graph, |_| 4), parts(1)).unwrap()[0].memory;
    assert_eq!(memory.state_bytes, 16);
}

#[derive(Clone, Debug)]
struct Drawn {
    kind: usize,
    inputs: Vec<prop::sample::Index>,
}

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let inputs = prop::collection::vec(any::<prop::sample::Index>(), 1..4);
    prop::collection::vec((0..6usize, inputs).prop_map(|(kind, inputs)| Drawn { kind, inputs }), 1..40)
}

/// Any graph: what nobody uses, what is constant, inputs that are outputs, values that live long.
fn build(drawn: &[Drawn], outputs: &[prop::sample::Index]) -> Graph {
    let mut names: Vec<String> = ["x", "z", "w0", "w1"].map(Into::into).into();
    let mut ops = Vec::new();
    for (index, drawn) in drawn.iter().enumerate() {
        let kind = ["Add", "Mul", "Shape", "Split", "RandomUniform", "Neg"][drawn.kind];
        let inputs: Vec<&str> = drawn.inputs.iter().map(|index| names[index.index(names.len())].as_str()).collect();
        let inputs = if kind == "Shape" { inputs[..1].join(" ") } else { inputs.join(" ") };
        let outputs = if kind == "Split" { format!("v{index} u{index}") } else { format!("v{index}") };
        ops.push(op(kind, &inputs, &outputs));
        names.extend(outputs.split_whitespace().map(Into::into));
    }
    let mut wanted: Vec<&str> = outputs.iter().map(|index| names[index.index(names.len())].as_str()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    graph("x z", ops, &[("w0", 3), ("w1", 5)], &wanted.join(" "))
}

proptest! {
    #[test]
    fn pieces_compute_what_the_whole_computes(
        drawn in drawn(),
        outputs in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        count in 1..6usize,
    ) {
        let graph = build(&drawn, &outputs);
        let values = values(&graph, |name| name.len() + 1);
        match split(&graph, &values, parts(count)) {
            Ok(pieces) => {
                prop_assert_eq!(pieces.len(), count);
                check_equal(&graph, &pieces);
            }
            Err(error) => prop_assert!(matches!(error, SplitError::Parts { max, .. } if max < count), "{}", error),
        }
    }
}
