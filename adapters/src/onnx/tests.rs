//! Round trips, and files made to hurt: each refused in time, by name, without allocating what it asks for.

use super::proto::{
    AttributeProto, AttributeType, DataType, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TypeProto, TypeValue, ValueInfoProto,
};
use super::{Limits, OnnxError, decode, decode_tensor, decode_with, encode, encode_apart, inline, locations};
use crate::conformance::cases;
use burst_host::{
    nouns::{Element, Graph, Spec, Tensor},
    ports::Blobs,
};
use proptest::prelude::*;
use prost::{Message, bytes::Bytes};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    time::{Duration, Instant},
};

const DIGITS: &[u8] = include_bytes!("../../../guests/digits/model/digits.onnx");
const RECOMMEND: &[u8] = include_bytes!("../../../guests/recommend/model/recommend.onnx");

/// Counts what each thread allocates.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    // A thread that ends allocates after its counters are gone.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + change);
        PEAK.with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: hands every call on to `System` unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that `f` has allocated at one time.
fn peak<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let start = LIVE.get();
    PEAK.set(start);
    let result = f();
    (result, (PEAK.get() - start) as usize)
}

fn decoded(file: &[u8]) -> Result<Graph, OnnxError> {
    decode(&Bytes::copy_from_slice(file), &Limits::default())
}

fn check_round_trip(graph: &Graph) {
    let file = encode(graph).unwrap();
    let again = decoded(&file).unwrap();
    assert_eq!(format!("{graph:?}"), format!("{again:?}"));
    // The bytes hold the contents of tensors, which the line above does not.
    assert_eq!(file, encode(&again).unwrap());
}

#[test]
fn weights_survive_beside_the_file() {
    let graph = decoded(DIGITS).unwrap();
    let mut blobs = Blobs::new();
    let file = encode_apart(&graph, |_, contents| {
        let location = format!("blobs/{}", blobs.len());
        blobs.insert(location.clone(), contents.clone());
        Ok::<_, OnnxError>(location)
    });
    let file = Bytes::from(file.unwrap());
    assert!(!blobs.is_empty() && file.len() < DIGITS.len() / 4, "{} bytes", file.len());
    assert_eq!(locations(&file, &Limits::default()).unwrap(), blobs.keys().cloned().collect::<Vec<_>>());
    let again = decode_with(&file, &blobs, &Limits::default()).unwrap();
    assert_eq!(encode(&graph).unwrap(), encode(&again).unwrap());

    let check = |blobs: &Blobs, limits: &Limits, part: &str| {
        let error = format!("{:?}", decode_with(&file, blobs, limits).unwrap_err());
        assert!(error.contains(part), "{error} has no `{part}`");
    };
    check(&Blobs::new(), &Limits::default(), "External");
    check(&blobs, &Limits { external_max_bytes: 1 << 10, ..Limits::default() }, "bytes of constants beside the file");
    let cut = blobs.iter().map(|(location, blob)| (location.clone(), blob.slice(1..))).collect();
    check(&cut, &Limits::default(), "is too short");
}

#[test]
fn graphs_survive_the_file() {
    for case in cases() {
        check_round_trip(&case.graph);
        check_round_trip(&inline(&case.graph, &Limits::default()).unwrap());
    }
    for file in [DIGITS, RECOMMEND] {
        check_round_trip(&decoded(file).unwrap());
    }
}

#[test]
fn weights_share_the_buffer_of_the_file() {
    let file = Bytes::from_static(DIGITS);
    let (graph, peak) = peak(|| decode(&file, &Limits::default()).unwrap());
    let range = file.as_ptr_range();
    for (name, tensor) in &graph.constants {
        assert!(range.contains(&tensor.contents().unwrap().as_ptr()), "{name} was copied");
    }
    assert!(peak < DIGITS.len() / 2, "{peak} bytes for a file of {}", DIGITS.len());
}

#[test]
fn a_tensor_can_be_a_file_of_its_own() {
    let file = Bytes::from(floats(&[2], 8).encode_to_vec());
    let tensor = decode_tensor(&file, &Limits::default()).unwrap();
    assert_eq!(tensor.spec().to_string(), "FP32[2]");
    assert!(file.as_ptr_range().contains(&tensor.contents().unwrap().as_ptr()), "it was copied");
    let flood = Bytes::from([0x98, 0x7d, 0].repeat(2 << 20));
    for (file, expected) in [(file.slice(..file.len() - 1), "cut off"), (flood, "bytes of structure")] {
        let error = decode_tensor(&file, &Limits::default()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn every_storage_form_is_read() {
    let packed = |numbers: &[i64]| {
        let mut bytes = Vec::new();
        numbers.iter().for_each(|&number| prost::encoding::encode_varint(number as u64, &mut bytes));
        Some(Bytes::from(bytes))
    };
    let float = |numbers: [f32; 2]| Some(Bytes::from(numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>()));
    let double =
        |numbers: [f64; 2]| Some(Bytes::from(numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>()));
    let base = |kind: DataType| TensorProto { data_type: Some(kind as i32), dims: vec![2], ..TensorProto::default() };
    let check = |proto: TensorProto, expected: &[u8]| {
        let kind = proto.data_type();
        let graph = decoded(&model(GraphProto { initializer: vec![named(proto)], ..GraphProto::default() })).unwrap();
        assert_eq!(&graph.constants[0].1.contents().unwrap()[..], expected, "{kind:?}");
    };
    let small = [DataType::Int8, DataType::Uint8, DataType::Bool];
    let halves = [DataType::Int16, DataType::Uint16, DataType::Float16, DataType::Bfloat16];
    for kind in small {
        check(TensorProto { int32_data: packed(&[0, 1]), ..base(kind) }, &[0, 1]);
    }
    for kind in halves {
        check(TensorProto { int32_data: packed(&[0x1234, 1]), ..base(kind) }, &[0x34, 0x12, 1, 0]);
    }
    check(TensorProto { int32_data: packed(&[-1, 7]), ..base(DataType::Int8) }, &[255, 7]);
    check(TensorProto { int32_data: packed(&[-2, 7]), ..base(DataType::Int32) }, &[254, 255, 255, 255, 7, 0, 0, 0]);
    check(TensorProto { uint64_data: packed(&[1, 258]), ..base(DataType::Uint32) }, &[1, 0, 0, 0, 2, 1, 0, 0]);
    let (minus, largest) = ((-1i64).to_le_bytes(), i64::MAX.to_le_bytes());
    check(TensorProto { int64_data: packed(&[-1, i64::MAX]), ..base(DataType::Int64) }, &[minus, largest].concat());
    check(TensorProto { uint64_data: packed(&[-1, i64::MAX]), ..base(DataType::Uint64) }, &[minus, largest].concat());
    check(TensorProto { float_data: float([1.0, 2.0]), ..base(DataType::Float) }, &[0, 0, 128, 63, 0, 0, 0, 64]);
    check(TensorProto { double_data: double([0.0, 0.0]), ..base(DataType::Double) }, &[0; 16]);
    let strings = vec![Bytes::from_static(b"ab"), Bytes::new()];
    check(TensorProto { string_data: strings, ..base(DataType::String) }, b"\x02\0\0\0ab\0\0\0\0");
}

#[test]
fn constants_may_be_inputs_too() {
    let mut graph = Graph { ir_version: 3, ..cases().remove(0).graph };
    check_round_trip(&graph);
    let listed = ModelProto::decode(&encode(&graph).unwrap()[..]).unwrap().graph.unwrap().input.len();
    graph.ir_version = 4;
    let alone = ModelProto::decode(&encode(&graph).unwrap()[..]).unwrap().graph.unwrap().input.len();
    assert_eq!((listed, alone), (3, 1));
}

#[test]
fn limits_are_the_callers() {
    let check = |limits: Limits, expected: &str| {
        let error = decode(&Bytes::from_static(DIGITS), &limits).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    let default = Limits::default;
    check(Limits { file_max_bytes: 1000, ..default() }, "bytes of the file");
    check(Limits { structure_max_bytes: 1000, ..default() }, "bytes of structure");
    check(Limits { constants_max_bytes: 1000, ..default() }, "bytes of constants");
    check(Limits { ops_max: 1, ..default() }, "operators");
    check(Limits { constants_max: 1, ..default() }, "tensors");
    check(Limits { attributes_max: 0, ..default() }, "attributes");
}

fn model(graph: GraphProto) -> Vec<u8> {
    with_functions(graph, Vec::new())
}

fn with_functions(graph: GraphProto, functions: Vec<FunctionProto>) -> Vec<u8> {
    let opset_import = vec![OperatorSetIdProto { domain: None, version: Some(17) }];
    let model = ModelProto { ir_version: Some(8), graph: Some(graph), opset_import, functions, ..Default::default() };
    model.encode_to_vec()
}

fn named(tensor: TensorProto) -> TensorProto {
    TensorProto { name: Some("w".into()), ..tensor }
}

fn constant(tensor: TensorProto) -> Vec<u8> {
    model(GraphProto { initializer: vec![named(tensor)], ..GraphProto::default() })
}

fn floats(dims: &[i64], bytes: usize) -> TensorProto {
    let raw = Some(Bytes::from(vec![0; bytes]));
    TensorProto { data_type: Some(1), dims: dims.into(), raw_data: raw, ..TensorProto::default() }
}

fn node(kind: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |names: &[&str]| names.iter().map(|&name| name.into()).collect();
    NodeProto { op_type: Some(kind.into()), input: names(inputs), output: names(outputs), ..NodeProto::default() }
}

/// A model of other versions.
fn later(ir_version: i64, opset: i64) -> Vec<u8> {
    let opset_import = vec![OperatorSetIdProto { domain: None, version: Some(opset) }];
    let graph = Some(GraphProto::default());
    ModelProto { ir_version: Some(ir_version), graph, opset_import, ..Default::default() }.encode_to_vec()
}

fn nodes(node: Vec<NodeProto>) -> Vec<u8> {
    model(GraphProto { node, ..GraphProto::default() })
}

/// A chain: each function calls the next `calls` times, the last one `last`.
fn chain(length: usize, calls: usize, last: &str) -> Vec<u8> {
    let function = |index: usize| {
        let callee = if index + 1 == length { last.into() } else { format!("F{}", index + 1) };
        let call = |_| NodeProto { domain: Some("d".into()), ..node(&callee, &[], &[]) };
        FunctionProto {
            name: Some(format!("F{index}")),
            domain: Some("d".into()),
            node: (0..calls).map(call).collect(),
            ..FunctionProto::default()
        }
    };
    let main = NodeProto { domain: Some("d".into()), ..node("F0", &[], &[]) };
    with_functions(GraphProto { node: vec![main], ..GraphProto::default() }, (0..length).map(function).collect())
}

fn nested(depth: usize) -> GraphProto {
    (0..depth).fold(GraphProto::default(), |inner, _| {
        let body = AttributeProto { name: Some("body".into()), g: Some(Box::new(inner)), ..AttributeProto::default() };
        GraphProto {
            node: vec![NodeProto { attribute: vec![body], ..node("Loop", &[], &[]) }],
            ..GraphProto::default()
        }
    })
}

/// A model whose graph is these bytes: `field` `count` times, empty.
fn flood(prefix: &[u8], count: usize) -> Vec<u8> {
    let content = prefix.repeat(count);
    let mut file = vec![0x08, 8, 0x3a];
    prost::encoding::encode_varint(content.len() as u64, &mut file);
    file.extend(content);
    file
}

/// One message inside another, `depth` times, all in this field.
fn matryoshka(key: u8, depth: usize) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |inner, _| {
        let mut outer = vec![key];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend(inner);
        outer
    })
}

fn sequence_input() -> GraphProto {
    let value = Some(TypeValue::Sequence(Bytes::from(matryoshka(0x0a, 2000))));
    let input = ValueInfoProto { name: Some("s".into()), r#type: Some(TypeProto { value }) };
    GraphProto { input: vec![input], ..GraphProto::default() }
}

fn typed(kind: DataType) -> Vec<u8> {
    constant(TensorProto { data_type: Some(kind as i32), ..floats(&[2], 8) })
}

fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let few = Some(Bytes::from_static(&[1, 2, 3]));
    let relu = |input: &str, output: &str| node("Relu", &[input], &[output]);
    let attribute = |name: String| AttributeProto { name: Some(name), i: Some(1), ..AttributeProto::default() };
    let many = NodeProto { attribute: (0..65).map(|i| attribute(i.to_string())).collect(), ..relu("", "y") };
    let twice = NodeProto { attribute: vec![attribute("a".into()), attribute("a".into())], ..relu("", "y") };
    let reference = AttributeProto { ref_attr_name: Some("outer".into()), ..attribute("a".into()) };
    let entry = |key: &str, value: &str| StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) };
    let location = || entry("location", "/etc/passwd");
    let beside = |entries: Vec<StringStringEntryProto>| {
        constant(TensorProto { external_data: entries, data_location: Some(1), raw_data: None, ..floats(&[2], 0) })
    };
    let both = TensorProto { external_data: vec![location()], ..floats(&[2], 8) };
    vec![
        ("nothing", vec![], "no graph"),
        ("text", b"#!/bin/sh\nrm -rf /\n".to_vec(), "Malformed"),
        ("a length beyond the file", vec![0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f], "cut off"),
        ("a length beyond 64 bits", [&[0x3a], &[0xff; 12][..]].concat(), "Malformed"),
        ("groups", vec![0x3b; 4000], "groups"),
        ("a flood of operators", flood(&[0x0a, 0], 8 << 20), "Limit { what: \"operators\""),
        ("a flood of constants", flood(&[0x2a, 0], 8 << 20), "Limit { what: \"tensors\""),
        ("a flood of inputs", flood(&[0x5a, 0], 8 << 20), "bytes of structure"),
        ("a flood of unknown fields", flood(&[0x98, 0x7d, 0], 8 << 20), "bytes of structure"),
        ("a flood of names", nodes(vec![node("Sum", &vec![""; 5 << 20], &[])]), "bytes of structure"),
        ("a flood of extents", constant(floats(&vec![1; 5 << 20], 4)), "bytes of structure"),
        ("attributes", nodes(vec![many]), "Limit { what: \"attributes of one operator\""),
        ("deep subgraphs", model(nested(9)), "Limit { what: \"depth of subgraphs\""),
        ("very deep subgraphs", model(nested(300)), "Limit { what: \"depth of subgraphs\""),
        ("a type of types", model(sequence_input()), "no tensor"),
        ("weights elsewhere", beside(vec![location()]), "External { tensor: \"w\" }"),
        ("weights nowhere", beside(vec![entry("offset", "8")]), "External"),
        ("weights here and elsewhere", constant(both), "both here and in another file"),
        ("weights from nonsense on", beside(vec![location(), entry("offset", "-8")]), "not told in numbers"),
        ("weights elsewhere, by flag", constant(TensorProto { data_location: Some(1), ..floats(&[2], 8) }), "External"),
        ("segments", constant(TensorProto { segment: Some(Bytes::new()), ..floats(&[2], 8) }), "segments"),
        ("too few bytes", constant(floats(&[1 << 26], 4)), "268435456 bytes are needed"),
        ("too many bytes", constant(floats(&[2], 12)), "8 bytes are needed"),
        (
            "too few numbers",
            constant(TensorProto { raw_data: None, float_data: few.clone(), ..floats(&[2], 0) }),
            "Tensor",
        ),
        (
            "far too few varints",
            constant(TensorProto { data_type: Some(7), raw_data: None, int64_data: few, ..floats(&[1 << 25], 0) }),
            "its numbers are not 33554432 of INT64",
        ),
        ("a negative extent", constant(floats(&[-1], 4)), "negative"),
        ("extents that overflow", constant(floats(&[1 << 40, 1 << 40], 4)), "more than 268435456 elements"),
        ("extents that overflow beside a zero", constant(floats(&[0, 1 << 62, 1 << 62], 0)), "more than 268435456"),
        ("nine axes", constant(floats(&[1; 9], 4)), "9 axes"),
        ("float6", typed(DataType::Float6e2m3), "Unsupported(\"element type FLOAT6E2M3\")"),
        (
            "too few INT4",
            constant(TensorProto { data_type: Some(22), raw_data: Some(vec![1].into()), ..floats(&[3], 0) }),
            "its bytes are not 3 of INT4",
        ),
        ("complex", typed(DataType::Complex64), "Unsupported(\"element type COMPLEX64\")"),
        ("no type", typed(DataType::Undefined), "Unsupported"),
        ("an unknown type", constant(TensorProto { data_type: Some(99), ..floats(&[2], 8) }), "Unsupported"),
        (
            "half a truth",
            constant(TensorProto {
                data_type: Some(9),
                raw_data: Some(Bytes::from_static(b"\x02\0")),
                ..floats(&[2], 0)
            }),
            "BOOL",
        ),
        ("a cycle", nodes(vec![relu("b", "a"), relu("a", "b")]), "Order { value: \"b\""),
        ("a self-loop", nodes(vec![relu("a", "a")]), "Order { value: \"a\""),
        ("a newer IR", later(15, 18), "version 15 of ONNX's IR"),
        ("a newer operator set", later(8, 29), "operator set 29"),
        ("an input from nowhere", nodes(vec![relu("x", "y")]), "Undefined { value: \"x\", user: \"Relu\" }"),
        ("a value twice", nodes(vec![relu("", "y"), relu("", "y")]), "Duplicate(\"y\")"),
        (
            "a constant twice",
            model(GraphProto { initializer: vec![named(floats(&[], 4)); 2], ..Default::default() }),
            "Duplicate(\"w\")",
        ),
        ("an attribute twice", nodes(vec![twice]), "Duplicate"),
        (
            "a reference to no function",
            nodes(vec![NodeProto { attribute: vec![reference], ..relu("", "y") }]),
            "Undefined",
        ),
        ("recursion", chain(3, 1, "F0"), "Recursion"),
        ("a long chain of functions", chain(17, 1, "Nothing"), "Limit { what: \"depth of functions\""),
        ("a very long chain of functions", chain(3000, 1, "Nothing"), "Limit { what: \"depth of functions\""),
        ("functions that multiply", chain(16, 4, "Nothing"), "Limit { what: \"operators with functions inlined\""),
        (
            "sparse constants",
            model(GraphProto { sparse_initializer: vec![Bytes::new()], ..Default::default() }),
            "sparse",
        ),
        ("an overload", nodes(vec![NodeProto { overload: Some("o".into()), ..relu("", "y") }]), "overload"),
    ]
}

#[test]
fn hostile_files_are_refused() {
    for (name, file, expected) in hostile() {
        let file = Bytes::from(file);
        // The best of three: the machine may be busy.
        let mut quickest = Duration::MAX;
        for _ in 0..3 {
            let start = Instant::now();
            let (result, peak) = peak(|| decode(&file, &Limits::default()));
            quickest = quickest.min(start.elapsed());
            let error = format!("{:?}", result.unwrap_err());
            assert!(error.contains(expected) || error.replace("\\\"", "\"").contains(expected), "{name}: {error}");
            assert!(peak < 4 << 20, "{name}: {peak} bytes allocated");
        }
        // Without optimisation, and beside other tests, everything takes longer.
        let most = Duration::from_millis(if cfg!(debug_assertions) { 250 } else { 50 });
        assert!(quickest < most, "{name}: {quickest:?}");
    }
}

#[test]
fn operators_are_sorted() {
    let branch = AttributeProto {
        name: Some("then_branch".into()),
        r#type: Some(AttributeType::Graph as i32),
        g: Some(Box::new(GraphProto { node: vec![node("Neg", &["c"], &["d"])], ..GraphProto::default() })),
        ..AttributeProto::default()
    };
    let branch = NodeProto { attribute: vec![branch], ..node("If", &["b"], &["e"]) };
    let first = node("Abs", &["x"], &["y"]);
    let last = vec![
        branch,
        node("Relu", &["b"], &["c"]),
        node("Relu", &["a"], &["b"]),
        node("Make", &[], &["a"]),
        node("Make", &[], &["x"]),
        first,
    ];
    let kinds: Vec<String> = decoded(&nodes(last)).unwrap().ops.into_iter().map(|op| op.outputs.join(" ")).collect();
    assert_eq!(kinds, ["a", "b", "c", "e", "x", "y"]);
}

#[test]
fn the_tensor_under_a_zip_map_has_its_name() {
    let zip = NodeProto { domain: Some("ai.onnx.ml".into()), ..node("ZipMap", &["p"], &["z"]) };
    let sequence = TypeProto { value: Some(TypeValue::Sequence(Bytes::new())) };
    let output = ValueInfoProto { name: Some("z".into()), r#type: Some(sequence) };
    let graph =
        GraphProto { node: vec![node("Make", &[], &["p"]), zip], output: vec![output], ..GraphProto::default() };
    let graph = decoded(&model(graph)).unwrap();
    assert_eq!((graph.ops[1].kind.as_str(), graph.ops[1].domain.as_str()), ("Identity", ""));
    assert_eq!((graph.outputs[0].name.as_str(), graph.outputs[0].element), ("z", Some(Element::Fp32)));
}

#[test]
fn extents_without_a_name_are_any() {
    for (written, expected) in [("?", "?"), ("", "?"), ("-1", "?"), ("None", "?"), ("N", "N"), ("2*n", "2*n")] {
        assert_eq!(super::decode::named(written.into()).to_string(), expected);
    }
}

#[test]
fn subgraphs_and_functions_go_as_deep_as_they_may() {
    decoded(&model(nested(8))).unwrap();
    decoded(&chain(16, 1, "Nothing")).unwrap();
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for length in 0..DIGITS.len() {
        if let Ok(graph) = decode(&Bytes::from_static(DIGITS).slice(..length), &Limits::default()) {
            panic!("{length} of {} bytes gave {graph}", DIGITS.len());
        }
    }
}

#[test]
fn a_tensor_of_a_device_is_not_written() {
    struct Elsewhere;
    impl burst_host::nouns::Resident for Elsewhere {}
    let tensor = Tensor::device(Spec::new(Element::Fp32, []).unwrap(), std::sync::Arc::new(Elsewhere));
    let graph = Graph { constants: vec![("w".into(), tensor)], ..Graph::default() };
    assert_eq!(encode(&graph), Err(OnnxError::OnDevice("w".into())));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_never_panic(flips in proptest::collection::vec((0..DIGITS.len(), any::<u8>()), 1..16)) {
        let mut file = DIGITS.to_vec();
        flips.into_iter().for_each(|(at, byte)| file[at] = byte);
        if let Ok(graph) = decoded(&file) {
            // What is taken can be written and read again.
            decoded(&encode(&graph).unwrap()).unwrap();
        }
    }

    #[test]
    fn flipped_structure_never_panics(flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8)) {
        let mut file = encode(&cases().remove(4).graph).unwrap();
        flips.into_iter().for_each(|(at, byte)| { let at = at % file.len(); file[at] = byte; });
        if let Ok(graph) = decoded(&file) {
            let _ = inline(&graph, &Limits::default());
            decoded(&encode(&graph).unwrap()).unwrap();
        }
    }

    #[test]
    fn noise_never_panics(file in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decoded(&file);
    }
}
