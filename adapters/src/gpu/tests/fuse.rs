//! What becomes of several operators: how many steps are left of them.

use crate::gpu::{
    family::{Family, Target},
    fuse, hoist,
    planner::Planner,
    task::Task,
    tuning::Choice,
};
use burst_host::nouns::{Element, Op, Spec, Tensor};

/// An operator in short: kind, inputs, output. `x` and `y` are given, other inputs are known or computed.
type Short<'a> = (&'a str, &'a [&'a str], &'a str);

fn check(ops: &[Short<'_>], outputs: &[&str], expected: usize) {
    let target = Target::new(Choice::of(Family::Apart), wgpu::Features::empty());
    let mut planner = Planner::new(17, target, Default::default());
    for (name, extents) in [("x", vec![1, 8, 4, 4]), ("y", vec![1, 8, 4, 4]), ("rows", vec![4, 8])] {
        let spec = Spec::new(Element::Fp32, extents).unwrap();
        let storage = planner.input(spec.clone());
        planner.give(name, spec, storage);
    }
    let constants: [(&str, &[usize], f32); 6] = [
        ("kernel", &[8, 8, 3, 3], 0.5),
        ("weights", &[8, 8], 0.5),
        ("bias", &[8], 0.25),
        ("half", &[], 0.5),
        ("one", &[], 1.0),
        ("root", &[], std::f32::consts::SQRT_2),
    ];
    for (name, extents, value) in constants {
        let values = vec![value; extents.iter().product()];
        planner.known(name, Tensor::from_slice(Element::Fp32, extents.to_vec(), &values).unwrap());
    }
    for (kind, inputs, output) in ops {
        let pads = ("pads".into(), burst_host::nouns::Attribute::Ints(vec![1; 4]));
        let op = Op {
            name: String::new(),
            kind: (*kind).into(),
            domain: String::new(),
            inputs: inputs.iter().map(|&name| name.into()).collect(),
            outputs: vec![(*output).into()],
            attributes: if *kind == "Conv" { vec![pads] } else { Vec::new() },
        };
        planner.step(&Task::Op(op)).unwrap();
    }
    for &name in outputs {
        let value = planner.values[name].clone();
        let placed = planner.place(&value).unwrap();
        planner.draft.outputs.push((placed.spec, placed.storage));
    }
    let mut draft = planner.draft;
    draft.prune();
    fuse::fuse(&mut draft);
    let steady = hoist::steady(&draft);
    let left = draft.steps.iter().filter(|step| !steady[step.write()]).count();
    assert_eq!(left, expected, "{ops:?}");
}

#[test]
fn a_convolution_takes_in_what_follows_it() {
    let conv = ("Conv", &["x", "kernel", "bias"][..], "c");
    check(&[conv, ("Relu", &["c"], "r")], &["r"], 1);
    check(&[conv, ("Sigmoid", &["c"], "s"), ("Mul", &["c", "s"], "r")], &["r"], 1);
    check(&[conv, ("Add", &["y", "c"], "a"), ("Relu", &["a"], "r")], &["r"], 1);
    check(&[conv, ("Relu", &["c"], "a"), ("Add", &["a", "y"], "r")], &["r"], 1);
}

#[test]
fn a_product_takes_in_its_bias_and_gelu() {
    let ops: [Short<'_>; 7] = [
        ("MatMul", &["rows", "weights"], "m"),
        ("Add", &["bias", "m"], "b"),
        ("Div", &["b", "root"], "d"),
        ("Erf", &["d"], "e"),
        ("Add", &["e", "one"], "f"),
        ("Mul", &["b", "f"], "g"),
        ("Mul", &["g", "half"], "r"),
    ];
    check(&ops, &["r"], 1);
}

#[test]
fn what_others_read_stays_in_memory() {
    let conv = ("Conv", &["x", "kernel", "bias"][..], "c");
    check(&[conv, ("Relu", &["c"], "r")], &["r", "c"], 2);
    check(&[conv, ("Add", &["c", "c"], "r")], &["r"], 2);
    check(&[conv, ("Relu", &["c"], "a"), ("Exp", &["c"], "b"), ("Sub", &["a", "b"], "r")], &["r"], 3);
}

#[test]
fn chains_are_as_long_as_a_kernel_takes() {
    let names: Vec<String> = (0..=9).map(|at| format!("v{at}")).collect();
    let ops: Vec<_> =
        (0..9).map(|at| ("Abs", [if at == 0 { "x" } else { &names[at] }], names[at + 1].as_str())).collect();
    let short: Vec<Short<'_>> = ops.iter().map(|(kind, inputs, output)| (*kind, &inputs[..], *output)).collect();
    check(&short[..6], &["v6"], 1);
    check(&short, &["v9"], 2);
}
