//! Graphs of one operator too many: refused by its name, by every accelerator, before anything is allocated.

use super::Sketch;
use burst_host::nouns::{Attribute, Element, Graph, Tensor};

/// A graph made of a number: with one it is as any other, with some it would take more than there is.
pub struct Hostile {
    /// The operator that a refusal names.
    pub kind: &'static str,
    pub wrong: &'static [i64],
    pub right: i64,
    pub graph: fn(i64) -> Graph,
}

/// No length, no step and no count.
const NONE: &[i64] = &[-1, i64::MIN, i64::MAX];
const NOT_POSITIVE: &[i64] = &[0, -1, i64::MIN, i64::MAX];
/// No length, or more than a tensor has.
const LENGTHS: &[i64] = &[-1, i64::MIN, i64::MAX, 1 << 40, 1 << 28];
const AXES: &[i64] = &[7, -7, i64::MIN, i64::MAX];

/// All of them.
pub fn hostile() -> Vec<Hostile> {
    [makers(), movers(), windows(), products(), loops(), axes()].into_iter().flatten().collect()
}

fn row(kind: &'static str, wrong: &'static [i64], right: i64, graph: fn(i64) -> Graph) -> Hostile {
    Hostile { kind, wrong, right, graph }
}

fn longs(numbers: &[i64]) -> Tensor {
    Tensor::from_slice(Element::I64, [numbers.len()], numbers).unwrap()
}

fn long(number: i64) -> Tensor {
    Tensor::from_slice(Element::I64, Vec::new(), &[number]).unwrap()
}

fn float(number: f32) -> Tensor {
    Tensor::from_slice(Element::Fp32, [1], &[number]).unwrap()
}

/// An operator on two floats and some constants.
fn with<const N: usize>(kind: &str, inputs: &str, constants: [(&str, Tensor); N]) -> Graph {
    let sketch = Sketch::new(kind).input("x", Element::Fp32, "2");
    let sketch = constants.into_iter().fold(sketch, |sketch, (name, tensor)| sketch.constant(name, tensor));
    sketch.op(kind, inputs, "y").output("y").graph()
}

/// An operator with a number as an attribute, on an image of 8 by 8, and a kernel of 3 by 3 where it takes one.
fn image(kind: &str, inputs: &str, attribute: (&str, Attribute)) -> Graph {
    let kernel = Tensor::from_slice(Element::Fp32, [1, 1, 3, 3], &[1.0f32; 9]).unwrap();
    let sketch = Sketch::new(kind).input("x", Element::Fp32, "1 1 8 8").constant("w", kernel);
    let sketch = match kind {
        "MaxPool" | "AveragePool" if attribute.0 != "kernel_shape" => {
            sketch.op_with(kind, inputs, "y", [("kernel_shape", Attribute::Ints(vec![3, 3])), attribute])
        }
        _ => sketch.op_with(kind, inputs, "y", [attribute]),
    };
    sketch.output("y").graph()
}

fn twice(number: i64) -> Attribute {
    Attribute::Ints(vec![number; 2])
}

/// Zeros of this shape, and an operator on them.
fn zeros(extents: &[i64], kind: &str, inputs: &str) -> Graph {
    let sketch = Sketch::new(kind).input("x", Element::Fp32, "2").constant("s", longs(extents));
    sketch.op("ConstantOfShape", "s", "z").op(kind, inputs, "y").output("y").graph()
}

/// What makes tensors out of numbers.
fn makers() -> Vec<Hostile> {
    vec![
        row("ConstantOfShape", LENGTHS, 4, |n| with("ConstantOfShape", "s", [("s", longs(&[n]))])),
        row("ConstantOfShape", &[1 << 20], 2, |n| with("ConstantOfShape", "s", [("s", longs(&[n, n, n]))])),
        row("Range", &[i64::MAX, 1 << 40, 1 << 28], 4, |n| {
            with("Range", "a b c", [("a", long(0)), ("b", long(n)), ("c", long(1))])
        }),
        row("Range", &[0], 2, |n| with("Range", "a b c", [("a", long(0)), ("b", long(4)), ("c", long(n))])),
        row("OneHot", LENGTHS, 3, |n| {
            with("OneHot", "i d v", [("i", longs(&[0, 1])), ("d", long(n)), ("v", longs(&[0, 1]))])
        }),
        row("HannWindow", LENGTHS, 4, |n| with("HannWindow", "n", [("n", long(n))])),
        row("EyeLike", &[i64::MIN, i64::MAX], 1, |n| {
            let sketch = Sketch::new("EyeLike").input("x", Element::Fp32, "2 2");
            sketch.op_with("EyeLike", "x", "y", [("k", Attribute::Int(n))]).output("y").graph()
        }),
        row("RandomNormal", LENGTHS, 4, |n| {
            let shape = ("shape", Attribute::Ints(vec![n]));
            Sketch::new("drawn")
                .input("x", Element::Fp32, "2")
                .op_with("RandomNormal", "", "y", [shape])
                .output("y")
                .graph()
        }),
        row("Multinomial", NOT_POSITIVE, 4, |n| {
            let sketch = Sketch::new("drawn").input("x", Element::Fp32, "1 2");
            sketch.op_with("Multinomial", "x", "y", [("sample_size", Attribute::Int(n))]).output("y").graph()
        }),
    ]
}

/// What makes tensors larger.
fn movers() -> Vec<Hostile> {
    vec![
        row("Expand", &[i64::MIN, i64::MAX, 1 << 40, 1 << 27], 4, |n| with("Expand", "x s", [("s", longs(&[n, 2]))])),
        row("Tile", LENGTHS, 3, |n| with("Tile", "x r", [("r", longs(&[n]))])),
        row("Pad", &[i64::MIN, i64::MAX, 1 << 40, 1 << 28], 3, |n| with("Pad", "x p", [("p", longs(&[1, n]))])),
        row("Reshape", &[-2, i64::MIN], 2, |n| with("Reshape", "x s", [("s", longs(&[n]))])),
        row("Split", NONE, 1, |n| {
            let split = longs(&[n, 2i64.saturating_sub(n)]);
            let sketch = Sketch::new("Split").input("x", Element::Fp32, "2").constant("s", split);
            sketch.op("Split", "x s", "y z").output("y").output("z").graph()
        }),
        row("TopK", &[3, -1, i64::MIN, i64::MAX], 1, |n| {
            let sketch = Sketch::new("TopK").input("x", Element::Fp32, "2").constant("k", longs(&[n]));
            sketch.op("TopK", "x k", "y z").output("y").output("z").graph()
        }),
        row("Slice", &[0], 1, |n| {
            with("Slice", "x a b c d", [("a", longs(&[0])), ("b", longs(&[2])), ("c", longs(&[0])), ("d", longs(&[n]))])
        }),
        row("Resize", &[-1, i64::MIN, i64::MAX, 1 << 40], 4, |n| with("Resize", "x _ _ s", [("s", longs(&[n]))])),
        row("Resize", &[-1, i64::MIN, i64::MAX, 1 << 40], 2, |n| with("Resize", "x _ s", [("s", float(n as f32))])),
        row("Resize", &[1], 2, |n| {
            let scale = if n == 1 { f32::NAN } else { n as f32 };
            with("Resize", "x _ s", [("s", float(scale))])
        }),
        row("Resize", &[1], 2, |n| {
            let scale = if n == 1 { f32::INFINITY } else { n as f32 };
            with("Resize", "x _ s", [("s", float(scale))])
        }),
        row("DepthToSpace", NOT_POSITIVE, 2, |n| {
            let sketch = Sketch::new("DepthToSpace").input("x", Element::Fp32, "1 4 2 2");
            sketch.op_with("DepthToSpace", "x", "y", [("blocksize", Attribute::Int(n))]).output("y").graph()
        }),
        row("Gather", &[1 << 16], 4, |n| {
            let sketch = Sketch::new("Gather").input("x", Element::Fp32, "4 1024").constant("s", longs(&[n]));
            let zero = Attribute::Tensor(longs(&[0]));
            let sketch = sketch.op_with("ConstantOfShape", "s", "i", [("value", zero)]);
            sketch.op("Gather", "x i", "y").output("y").graph()
        }),
        row("NonZero", &[1 << 23], 4, |n| zeros(&[2, n], "NonZero", "z")),
        row("Concat", &[40], 4, |n| {
            let sketch = Sketch::new("doubled").input("x", Element::Fp32, "2");
            let double = |sketch: Sketch, at: i64| {
                let (from, to) = (if at == 0 { "x".to_owned() } else { format!("v{at}") }, format!("v{}", at + 1));
                sketch.op_with("Concat", &format!("{from} {from}"), &to, [("axis", Attribute::Int(0))])
            };
            (0..n).fold(sketch, double).output(&format!("v{n}")).graph()
        }),
        row("Concat", &[40], 4, |n| {
            let sketch = Sketch::new("folded").input("x", Element::Fp32, "2").constant("v0", longs(&[1, 2]));
            let double = |sketch: Sketch, at: i64| {
                let (from, to) = (format!("v{at}"), format!("v{}", at + 1));
                sketch.op_with("Concat", &format!("{from} {from}"), &to, [("axis", Attribute::Int(0))])
            };
            (0..n).fold(sketch, double).output(&format!("v{n}")).graph()
        }),
    ]
}

/// Kernels that go over images.
fn windows() -> Vec<Hostile> {
    vec![
        row("Conv", NOT_POSITIVE, 2, |n| image("Conv", "x w", ("strides", twice(n)))),
        row("Conv", NOT_POSITIVE, 2, |n| image("Conv", "x w", ("dilations", twice(n)))),
        row("Conv", NOT_POSITIVE, 1, |n| image("Conv", "x w", ("group", Attribute::Int(n)))),
        row("Conv", LENGTHS, 1, |n| image("Conv", "x w", ("pads", Attribute::Ints(vec![n; 4])))),
        row("ConvTranspose", &[0, -1, i64::MIN, i64::MAX, 1 << 27], 2, |n| {
            image("ConvTranspose", "x w", ("strides", twice(n)))
        }),
        row("ConvTranspose", &[0, -1, i64::MIN, i64::MAX, 1 << 27], 2, |n| {
            image("ConvTranspose", "x w", ("dilations", twice(n)))
        }),
        row("MaxPool", NOT_POSITIVE, 3, |n| image("MaxPool", "x", ("kernel_shape", twice(n)))),
        row("MaxPool", NOT_POSITIVE, 2, |n| image("MaxPool", "x", ("strides", twice(n)))),
        row("AveragePool", NONE, 1, |n| image("AveragePool", "x", ("pads", Attribute::Ints(vec![n; 4])))),
        row("LRN", NOT_POSITIVE, 3, |n| image("LRN", "x", ("size", Attribute::Int(n)))),
        row("Conv", &[1 << 12], 2, |n| {
            let pads = ("pads", Attribute::Ints(vec![n; 4]));
            let sketch = Sketch::new("kernel").input("x", Element::Fp32, "1 1 8 8").constant("s", longs(&[1, 1, n, n]));
            let sketch = sketch.op("ConstantOfShape", "s", "w").op_with("Conv", "x w", "y", [pads]);
            sketch.output("y").graph()
        }),
    ]
}

/// Products of what is small.
fn products() -> Vec<Hostile> {
    fn vectors(n: i64, kind: &str, equation: &str) -> Graph {
        let sketch = Sketch::new(kind).input("x", Element::Fp32, "2");
        let sketch = sketch.constant("a", longs(&[n, 1])).constant("b", longs(&[1, n])).constant("c", longs(&[n]));
        let sketch = ["a", "b", "c"]
            .into_iter()
            .fold(sketch, |sketch, shape| sketch.op("ConstantOfShape", shape, &format!("{shape}0")));
        match kind {
            "MatMul" => sketch.op("MatMul", "a0 b0", "y"),
            _ => {
                let equation = Attribute::Text(equation.as_bytes().to_vec());
                sketch.op_with("Einsum", "c0 c0 c0", "y", [("equation", equation)])
            }
        }
        .output("y")
        .graph()
    }
    vec![
        row("MatMul", &[1 << 13, 1 << 15, 1 << 20], 4, |n| vectors(n, "MatMul", "")),
        row("Einsum", &[1 << 11, 1 << 20], 4, |n| vectors(n, "Einsum", "i,j,k->ijk")),
        row("Einsum", &[1 << 15, 1 << 20], 4, |n| vectors(n, "Einsum", "i,j,k->")),
    ]
}

/// Bodies that are computed again and again.
fn loops() -> Vec<Hostile> {
    fn looped(n: i64, kind: &str) -> Graph {
        let body = Sketch::new("body").input("i", Element::I64, "").input("c", Element::Bool, "");
        let body = body.input("s", Element::Fp32, "?").op("Identity", "c", "k");
        let body = match kind {
            "Concat" => body.op_with("Concat", "s s", "t", [("axis", Attribute::Int(0))]),
            _ => body.op(kind, "s", "t"),
        };
        let body = ("body", body.output("k").output("t").subgraph());
        let truth = Tensor::from_slice(Element::Bool, Vec::new(), &[1u8]).unwrap();
        let sketch = Sketch::new("loop").input("x", Element::Fp32, "2");
        let sketch = sketch.constant("n", long(n)).constant("c", truth);
        sketch.op_with("Loop", "n c x", "y", [body]).output("y").graph()
    }
    vec![
        row("Loop", &[i64::MAX, 1 << 60], 3, |n| looped(n, "Neg")),
        row("Concat", &[1 << 20, 40], 3, |n| looped(n, "Concat")),
        row("Scan", &[1 << 20], 3, |n| {
            let body = Sketch::new("body").input("e", Element::Fp32, "").constant("w", longs(&[4096]));
            let body = ("body", body.op("Expand", "e w", "f").output("f").subgraph());
            let sketch = Sketch::new("scan").input("x", Element::Fp32, "1").constant("s", longs(&[n]));
            let sketch = sketch.op("Expand", "x s", "z");
            sketch.op_with("Scan", "z", "y", [("num_scan_inputs", Attribute::Int(1)), body]).output("y").graph()
        }),
    ]
}

/// Axes that nothing has.
fn axes() -> Vec<Hostile> {
    fn axis(kind: &str, inputs: &str, n: i64) -> Graph {
        let sketch = Sketch::new(kind).input("x", Element::Fp32, "2 2").constant("i", longs(&[0]));
        sketch.op_with(kind, inputs, "y", [("axis", Attribute::Int(n))]).output("y").graph()
    }
    vec![
        row("Concat", AXES, 1, |n| axis("Concat", "x x", n)),
        row("Gather", AXES, 1, |n| axis("Gather", "x i", n)),
        row("Softmax", AXES, 1, |n| axis("Softmax", "x", n)),
        row("ArgMax", AXES, 1, |n| axis("ArgMax", "x", n)),
        row("Flatten", AXES, 1, |n| axis("Flatten", "x", n)),
        row("Transpose", AXES, 0, |n| {
            let sketch = Sketch::new("Transpose").input("x", Element::Fp32, "2 2");
            sketch.op_with("Transpose", "x", "y", [("perm", Attribute::Ints(vec![n, 1]))]).output("y").graph()
        }),
        row("ReduceMax", AXES, 1, |n| {
            let sketch = Sketch::new("ReduceMax").input("x", Element::Fp32, "2 2");
            sketch.op_with("ReduceMax", "x", "y", [("axes", Attribute::Ints(vec![n]))]).output("y").graph()
        }),
    ]
}
