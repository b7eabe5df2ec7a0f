//! What exporters write as several operators and one kernel computes: how many steps are left, and that they come to the
//! same numbers as the operators one by one.

use super::{
    lavapipe::{Lavapipe, floats, longs},
    numbers,
};
use crate::{
    conformance::Sketch,
    gpu::{
        family::{Family, Target},
        fuse, hoist, pattern,
        planner::Planner,
        tuning::Choice,
    },
};
use burst_host::nouns::{Attribute, Element, Extent, Graph, Spec, Tensor};

const BATCHES: usize = 2;
const HEADS: usize = 3;
/// As many as are attended to in one pass.
const QUERIES: usize = 350;
const KEYS: usize = 7;
const WIDTH: usize = 8;

/// Steps of each run, without those that are done once.
fn steps(graph: &Graph) -> usize {
    let target = Target::new(Choice::of(Family::Apart), wgpu::Features::empty());
    let mut planner = Planner::new(graph.opsets[0].version, target, Default::default());
    for port in &graph.inputs {
        let fixed = |extent: &Extent| if let Extent::Fixed(extent) = extent { *extent } else { 1 };
        let extents: Vec<usize> = port.shape.iter().flatten().map(fixed).collect();
        let spec = Spec::new(port.element.unwrap(), extents).unwrap();
        let storage = planner.input(spec.clone());
        planner.give(&port.name, spec, storage);
    }
    for (name, tensor) in &graph.constants {
        planner.known(name, tensor.clone());
    }
    let mut tasks = pattern::tasks(graph);
    tasks.reverse();
    while let Some(task) = tasks.pop() {
        tasks.extend(planner.step(&task).unwrap().into_iter().rev());
    }
    for port in &graph.outputs {
        let value = planner.values[&port.name].clone();
        let placed = planner.place(&value).unwrap();
        planner.draft.outputs.push((placed.spec, placed.storage));
    }
    planner.draft.prune();
    fuse::fuse(&mut planner.draft);
    let steady = hoist::steady(&planner.draft);
    planner.draft.steps.iter().filter(|step| !steady[step.write()]).count()
}

/// How queries, keys and values come, and what is done to scores.
#[derive(Clone, Copy)]
struct Written<'a> {
    /// Whether heads lie inside of places before they are moved.
    together: bool,
    /// Whether queries and keys are scaled each, instead of their product.
    each: bool,
    mask: Option<(&'a [usize], &'a [f32])>,
}

const PLAIN: Written<'_> = Written { together: true, each: false, mask: None };

impl Written<'_> {
    fn sketch(self) -> Sketch {
        let shape = |places: usize| match self.together {
            true => format!("{BATCHES} {places} {HEADS} {WIDTH}"),
            false => format!("{BATCHES} {HEADS} {places} {WIDTH}"),
        };
        let perm = |axes: [i64; 4]| [("perm", Attribute::Ints(axes.to_vec()))];
        let mut sketch = Sketch::new("attention").constant("scale", floats(&[], &[0.5]));
        for (name, places) in [("q", QUERIES), ("k", KEYS), ("v", KEYS)] {
            sketch = sketch.input(name, Element::Fp32, &shape(places));
        }
        sketch = match self.together {
            true => sketch
                .op_with("Transpose", "q", "qh", perm([0, 2, 1, 3]))
                .op_with("Transpose", "k", "kt", perm([0, 2, 3, 1]))
                .op_with("Transpose", "v", "vh", perm([0, 2, 1, 3])),
            false => sketch.op_with("Transpose", "k", "kt", perm([0, 1, 3, 2])),
        };
        let [q, v] = if self.together { ["qh", "vh"] } else { ["q", "v"] };
        sketch = match self.each {
            true => sketch
                .op("Mul", &format!("{q} scale"), "qs")
                .op("Mul", "scale kt", "ks")
                .op("MatMul", "qs ks", "scaled"),
            false => sketch.op("MatMul", &format!("{q} kt"), "product").op("Div", "product scale", "scaled"),
        };
        let mut scores = "scaled";
        if let Some((extents, mask)) = self.mask {
            sketch = sketch.constant("mask", floats(extents, mask)).op("Add", "mask scaled", "scores");
            scores = "scores";
        }
        sketch = sketch.op_with("Softmax", scores, "weights", [("axis", Attribute::Int(-1))]);
        let mixed = if self.together { "mixed" } else { "y" };
        sketch = sketch.op("MatMul", &format!("weights {v}"), mixed);
        match self.together {
            true => sketch.op_with("Transpose", "mixed", "y", perm([0, 2, 1, 3])),
            false => sketch,
        }
        .output("y")
    }

    fn inputs(self) -> Vec<Tensor> {
        let tensor = |(seed, places): (u32, usize)| {
            let numbers: Vec<f32> =
                numbers(BATCHES * HEADS * places * WIDTH, seed).iter().map(|number| 3.0 * number).collect();
            let extents = match self.together {
                true => [BATCHES, places, HEADS, WIDTH],
                false => [BATCHES, HEADS, places, WIDTH],
            };
            floats(&extents, &numbers)
        };
        [(1, QUERIES), (2, KEYS), (3, KEYS)].map(tensor).to_vec()
    }
}

/// The same numbers as where the weights are asked for, too, so that nothing is computed as one.
fn check(gpu: &Lavapipe, what: &str, sketch: impl Fn() -> Sketch, inner: &str, inputs: &[Tensor]) {
    assert!(steps(&sketch().graph()) < steps(&sketch().output(inner).graph()), "{what}: not computed as one");
    let found = gpu.run(sketch(), inputs).unwrap().remove(0);
    let expected = gpu.run(sketch().output(inner), inputs).unwrap().remove(0);
    assert_eq!(found.spec(), expected.spec(), "{what}");
    let (found, expected) = (found.to_vec::<f32>().unwrap(), expected.to_vec::<f32>().unwrap());
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let close = (found - expected).abs() <= 1e-5 * expected.abs().max(1.0);
        assert!(close || found.is_nan() && expected.is_nan(), "{what} at {at}: {found}, not {expected}");
    }
}

#[test]
fn attention_is_one_step_however_it_is_written() {
    let one = |what: &str, written: Written<'_>| assert_eq!(steps(&written.sketch().graph()), 1, "{what}");
    one("as torch's modules export it", PLAIN);
    one("with keys turned alone", Written { together: false, ..PLAIN });
    one("a mask for all", Written { mask: Some((&[QUERIES, KEYS], &[0.25; QUERIES * KEYS])), ..PLAIN });
    one("scaled each, as scaled_dot_product_attention is", Written { each: true, ..PLAIN });
}

#[test]
fn what_the_kernel_would_compute_otherwise_stays_apart() {
    let apart = |what: &str, sketch: Sketch| assert!(steps(&sketch.graph()) > 2, "{what}");
    apart("weights are asked for", PLAIN.sketch().output("weights"));
    apart("scores are asked for", PLAIN.sketch().output("scaled"));
    let few = Target::new(Choice::of(Family::Apart), wgpu::Features::empty());
    assert!(!few.attends(Element::Fp32, 1_536), "few queries are faster by products");
    let narrow = [0.0; QUERIES];
    apart("a mask of one for all keys", Written { mask: Some((&[QUERIES, 1], &narrow)), ..PLAIN }.sketch());
    let mut other = PLAIN.sketch().graph();
    other.ops.iter_mut().filter(|op| op.kind == "Softmax").for_each(|op| op.attributes[0].1 = Attribute::Int(2));
    assert!(steps(&other) > 2, "a softmax over queries");
}

#[test]
fn attention_as_one_equals_its_operators() {
    let Some(gpu) = Lavapipe::open() else { return };
    let mut mask = numbers(QUERIES * KEYS, 9);
    mask[0] = f32::NEG_INFINITY;
    mask[KEYS..2 * KEYS].fill(f32::NEG_INFINITY);
    mask[3 * KEYS - 1] = f32::NAN;
    mask[3 * KEYS] = f32::INFINITY;
    mask[4 * KEYS..5 * KEYS].fill(f32::MIN);
    let bounds: Written<'_> = Written { mask: Some((&[1, 1, QUERIES, KEYS], &mask)), ..PLAIN };
    for (what, written) in [
        ("heads inside of places", PLAIN),
        ("heads outside", Written { together: false, ..PLAIN }),
        ("scaled each", Written { each: true, ..PLAIN }),
        ("rows of nothing, of no number and of all", bounds),
        ("the same, heads outside", Written { together: false, ..bounds }),
        ("a mask for each head", Written { mask: Some((&[HEADS, 1, KEYS], &mask[..HEADS * KEYS])), ..PLAIN }),
    ] {
        check(&gpu, what, || written.sketch(), "weights", &written.inputs());
    }
}

/// As `torch.nn.LayerNorm` was exported before opset 17.
fn norm() -> Sketch {
    let last = || [("axes", Attribute::Ints(vec![-1]))];
    let scale = floats(&[6], &[1.0, 2.0, -1.0, 0.5, 0.0, 3.0]);
    Sketch::new("norm")
        .input("x", Element::Fp32, "4 5 6")
        .constant("two", floats(&[], &[2.0]))
        .constant("epsilon", floats(&[], &[1e-5]))
        .constant("scale", scale)
        .constant("shift", floats(&[6], &[0.5; 6]))
        .op_with("ReduceMean", "x", "mean", last())
        .op("Sub", "x mean", "centred")
        .op("Pow", "centred two", "squared")
        .op_with("ReduceMean", "squared", "variance", last())
        .op("Add", "variance epsilon", "sum")
        .op("Sqrt", "sum", "deviation")
        .op("Div", "centred deviation", "normal")
        .op("Mul", "normal scale", "scaled")
        .op("Add", "scaled shift", "y")
        .output("y")
}

#[test]
fn a_norm_that_is_written_out_is_one_step() {
    assert_eq!(steps(&norm().graph()), 1);
    let mut cubed = norm().graph();
    cubed.constants[0].1 = floats(&[], &[3.0]);
    assert!(steps(&cubed) > 3, "a power that is none of a variance");
    let mut other = norm().graph();
    other.ops[3].attributes[0].1 = Attribute::Ints(vec![1]);
    assert!(steps(&other) > 3, "a variance over another axis");
    let Some(gpu) = Lavapipe::open() else { return };
    check(&gpu, "a norm", norm, "deviation", &[floats(&[4, 5, 6], &numbers(120, 4))]);
}

fn softmax() -> Sketch {
    Sketch::new("softmax")
        .input("x", Element::Fp32, "4 5 6")
        .constant("axes", longs(&[1], &[-1]))
        .op_with("ReduceMax", "x", "largest", [("axes", Attribute::Ints(vec![2]))])
        .op("Sub", "x largest", "below")
        .op("Exp", "below", "power")
        .op("ReduceSum", "power axes", "sum")
        .op("Div", "power sum", "y")
        .output("y")
}

#[test]
fn a_softmax_that_is_written_out_is_one_step() {
    assert_eq!(steps(&softmax().graph()), 1);
    let Some(gpu) = Lavapipe::open() else { return };
    check(&gpu, "a softmax", softmax, "sum", &[floats(&[4, 5, 6], &numbers(120, 5))]);
}

/// A norm inside of control flow: chosen, and three times over.
fn inside() -> [Sketch; 2] {
    let outer = |name: &str| Sketch::new(name).input("x", Element::Fp32, "4 5 6");
    let body = |graph: Graph| Attribute::Graph(Box::new(Graph { ir_version: 0, opsets: Vec::new(), ..graph }));
    let branch = || body(Graph { inputs: Vec::new(), ..norm().graph() });
    let truth = Tensor::from_slice(Element::Bool, [], &[1u8]).unwrap();
    let branches = [("then_branch", branch()), ("else_branch", branch())];
    let chosen = outer("chosen").constant("c", truth).op_with("If", "c", "z", branches).output("z");
    let round = Sketch::new("round").input("n", Element::I64, "").input("go", Element::Bool, "");
    let (round, norm) = (round.op("Identity", "go", "on").output("on").graph(), norm().graph());
    let round = Graph {
        inputs: [round.inputs, norm.inputs].concat(),
        outputs: [round.outputs, norm.outputs].concat(),
        ops: [round.ops, norm.ops].concat(),
        ..norm
    };
    let thrice = outer("thrice").constant("times", longs(&[], &[3]));
    [chosen, thrice.op_with("Loop", "times _ x", "z", [("body", body(round))]).output("z")]
}

#[test]
fn what_is_written_out_inside_of_control_flow_is_one_step() {
    let [chosen, thrice] = inside();
    assert_eq!(steps(&chosen.clone().graph()), 1, "a branch");
    assert_eq!(steps(&thrice.clone().graph()), 3, "a loop of three rounds");
    let Some(gpu) = Lavapipe::open() else { return };
    let mut x = floats(&[4, 5, 6], &numbers(120, 6));
    let found = [chosen, thrice].map(|sketch| gpu.run(sketch, std::slice::from_ref(&x)).unwrap().remove(0));
    let mut expected = Vec::new();
    for _ in 0..3 {
        x = gpu.run(norm(), &[x]).unwrap().remove(0);
        expected.push(x.clone());
    }
    crate::conformance::assert_close("a branch", &found[0], &expected[0]);
    crate::conformance::assert_close("a loop", &found[1], &expected[2]);
}
