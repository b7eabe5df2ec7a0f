//! Operators at random, most of them wrong: the same each time.

use super::super::{
    Choice,
    family::{Family, Target},
    lower,
    planner::{Halt, Planner},
    task::Task,
};
use burst_host::nouns::{Attribute, Element, Fault, Graph, Op, Opset, Port, Shape, Spec, Tensor};
use std::{sync::Arc, time::Instant};

/// Numbers that lists of axes, extents and indices are made of: mostly small ones.
const NUMBERS: &[i64] = &[
    0,
    0,
    0,
    1,
    1,
    1,
    1,
    2,
    2,
    2,
    3,
    3,
    4,
    5,
    -1,
    -1,
    -2,
    -3,
    7,
    16,
    64,
    1 << 16,
    1 << 24,
    1 << 28,
    1 << 31,
    1 << 32,
    1_000_000_000_000,
    1 << 62,
    i64::MAX,
    i64::MIN,
    -1 << 32,
];
const INTEGERS: &[&str] = &[
    "K",
    "N",
    "allowzero",
    "antialias",
    "axis",
    "batch_axis",
    "batch_dims",
    "bits",
    "block_size",
    "blocksize",
    "ceil_mode",
    "center_point_box",
    "count_include_pad",
    "exclude_outside",
    "exclusive",
    "group",
    "hidden_size",
    "ignore_index",
    "interleaved",
    "inverse",
    "is_causal",
    "k",
    "keepdims",
    "kv_num_heads",
    "layout",
    "linear_before_reset",
    "max_gram_length",
    "max_skip_count",
    "noop_with_empty_axes",
    "num_groups",
    "num_heads",
    "offset_group",
    "onesided",
    "output_height",
    "output_width",
    "p",
    "q_num_heads",
    "qk_matmul_output_mode",
    "rotary_embedding_dim",
    "sample_size",
    "sampling_ratio",
    "select_last_index",
    "size",
    "sorted",
    "storage_order",
    "time_axis",
    "training_mode",
    "transA",
    "transB",
    "upper",
];
const LISTS: &[&str] = &[
    "axes",
    "dilations",
    "ends",
    "kernel_shape",
    "ngram_counts",
    "ngram_indexes",
    "output_padding",
    "output_shape",
    "pads",
    "perm",
    "pool_int64s",
    "repeats",
    "shape",
    "split",
    "starts",
    "steps",
    "strides",
];
const TEXTS: &[(&str, &[&str])] = &[
    ("auto_pad", &["SAME_UPPER", "SAME_LOWER", "VALID"]),
    ("coordinate_transformation_mode", &["align_corners", "asymmetric", "tf_crop_and_resize", "half_pixel"]),
    ("direction", &["forward", "reverse", "bidirectional", "RIGHT"]),
    ("equation", &["ij,jk->ik", "...i,...i", "ii->i", "i,j->ij", "ij->ji"]),
    ("keep_aspect_ratio_policy", &["not_larger", "not_smaller"]),
    ("mode", &["reflect", "edge", "wrap", "linear", "cubic", "nearest", "CRD", "max", "circular", "TFIDF"]),
    ("padding_mode", &["border", "reflection"]),
    ("reduction", &["add", "max", "none", "sum", "mean"]),
    ("update_rule", &["linear", "gated", "delta"]),
];
const ELEMENTS: &[Element] = &[
    Element::Fp32,
    Element::Fp32,
    Element::Fp32,
    Element::Fp16,
    Element::I64,
    Element::I32,
    Element::U8,
    Element::Bool,
];
const OPSETS: &[i64] = &[8, 9, 10, 11, 13, 17, 18, 21, 23];

/// Congruential, as in `Numerical Recipes`.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.roll(choices.len())].clone()
    }

    fn numbers(&mut self, count: usize) -> Vec<i64> {
        (0..count).map(|_| self.pick(NUMBERS)).collect()
    }

    fn attributes(&mut self) -> Vec<(String, Attribute)> {
        let mut attributes: Vec<(String, Attribute)> = Vec::new();
        for name in INTEGERS {
            if self.roll(3) == 0 {
                attributes.push(((*name).into(), Attribute::Int(self.pick(NUMBERS))));
            }
        }
        for name in LISTS {
            if self.roll(4) == 0 {
                let count = self.roll(9);
                attributes.push(((*name).into(), Attribute::Ints(self.numbers(count))));
            }
        }
        for (name, texts) in TEXTS {
            if self.roll(4) == 0 {
                attributes.push(((*name).into(), Attribute::Text(self.pick(texts).into())));
            }
        }
        if self.roll(2) == 0 {
            let to = self.pick(&[1, 2, 3, 6, 7, 9, 10, 11, 16]);
            attributes.extend(["to", "dtype"].map(|name| (name.into(), Attribute::Int(to))));
        }
        attributes
    }

    fn extents(&mut self) -> Vec<usize> {
        let rank = self.roll(5);
        (0..rank).map(|_| self.pick(&[0, 1, 1, 2, 2, 3, 4, 4, 5])).collect()
    }

    /// Some of the first one's extents, or others.
    fn spec(&mut self, first: Option<&Spec>) -> Spec {
        let element = match first {
            Some(first) if self.roll(3) > 0 => first.element,
            _ => self.pick(ELEMENTS),
        };
        let extents = match first.map(|first| first.shape.extents()) {
            Some(extents) if self.roll(3) == 0 => extents.to_vec(),
            Some(extents) if !extents.is_empty() && self.roll(2) == 0 => vec![self.pick(extents)],
            _ => self.extents(),
        };
        Spec { element, shape: Shape::new(extents).unwrap() }
    }

    fn tensor(&mut self, spec: &Spec) -> Tensor {
        let count = spec.shape.elements();
        let bytes: Vec<u8> = match spec.element {
            Element::I64 => self.numbers(count).iter().flat_map(|number| number.to_le_bytes()).collect(),
            Element::I32 => self.numbers(count).iter().flat_map(|number| (*number as i32).to_le_bytes()).collect(),
            Element::Fp32 => (0..count).flat_map(|_| (self.roll(9) as f32 - 3.0).to_le_bytes()).collect(),
            Element::Fp16 => (0..count).flat_map(|_| half::f16::from_f32(self.roll(9) as f32).to_le_bytes()).collect(),
            _ => (0..count).map(|_| self.roll(2) as u8).collect(),
        };
        Tensor::host(spec.clone(), bytes).unwrap()
    }

    /// One operator, a graph, and what it is given.
    pub fn graph(&mut self, domain: &str, kind: &str) -> (Graph, Vec<Tensor>) {
        let names: Vec<String> = (0..1 + self.roll(7)).map(|index| format!("x{index}")).collect();
        let op = Op {
            name: String::new(),
            kind: kind.into(),
            domain: domain.into(),
            inputs: names.clone(),
            outputs: (0..1 + self.roll(3)).map(|index| format!("y{index}")).collect(),
            attributes: self.attributes(),
        };
        let opsets = vec![Opset { domain: String::new(), version: self.pick(OPSETS) }];
        let mut graph = Graph { name: "mutated".into(), ir_version: 8, opsets, ..Graph::default() };
        let (mut given, mut first) = (Vec::new(), None);
        for name in names {
            let spec = self.spec(first.as_ref());
            let tensor = self.tensor(&spec);
            // What decides over shapes is a constant as a rule.
            if matches!(spec.element, Element::I64) || self.roll(5) == 0 {
                graph.constants.push((name, tensor));
            } else {
                graph.inputs.push(Port::exactly(&name, &spec));
                given.push(tensor);
            }
            first.get_or_insert(spec);
        }
        let port = |name: &String| Port { name: name.clone(), element: None, shape: None, optional: false };
        graph.outputs = op.outputs.iter().take(1).map(port).collect();
        graph.ops.push(op);
        (graph, given)
    }
}

/// Whether it can be lowered; panics where that does.
pub fn lowered(graph: &Graph, given: &[Tensor]) -> Result<(), Halt> {
    let target = Target::new(Choice::of(Family::Apart), wgpu::Features::empty());
    let mut planner = Planner::new(graph.opsets[0].version, target, Arc::default());
    for (port, tensor) in graph.inputs.iter().zip(given) {
        let storage = planner.input(tensor.spec().clone());
        planner.give(&port.name, tensor.spec().clone(), storage);
    }
    for (name, tensor) in &graph.constants {
        planner.known(name, tensor.clone());
    }
    planner.step(&Task::Op(graph.ops[0].clone())).map(drop)
}

/// The most that this process ever held.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or(0) << 10
}

/// No panic, no more memory than tensors may have, and no second.
#[test]
fn operators_that_make_no_sense_are_faults() {
    const EACH: usize = 60;
    let mut dice = Dice::new(7);
    let (mut right, mut before) = (0, peak_bytes());
    for (domain, kind) in lower::names() {
        for _ in 0..EACH {
            let (graph, given) = dice.graph(domain, kind);
            let begun = Instant::now();
            let outcome = lowered(&graph, &given);
            right += usize::from(outcome.is_ok());
            let told = format!("{:?} of {:?}", graph.ops, (&graph.inputs, &graph.constants));
            if let Err(Halt::Fault(fault)) = outcome {
                let typed = matches!(fault, Fault::Invalid(_) | Fault::TooLarge(_) | Fault::Unsupported(_));
                assert!(typed, "{fault}: {told}");
            }
            assert!(begun.elapsed().as_secs() < 20, "{:?}: {told}", begun.elapsed());
            let after = peak_bytes();
            assert!(after - before < 2 << 30, "{} bytes: {told}", after - before);
            before = after;
        }
    }
    assert!(right > 500, "{right} were right");
}
