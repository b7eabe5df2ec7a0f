//! What every accelerator is asked, and what it must answer.

use super::{Case, Run, Sketch, edges::edges, others, sketch::op};
use burst_host::nouns::{Attribute, Element, Function, Graph, Opset, Spec, Tensor};

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        perceptron(),
        convolution(),
        dynamic_batch(),
        branches(),
        local_function(),
        large_integers(),
        extents(),
        dequantized(),
        constant_output(),
        long_runs(),
    ];
    cases.extend(Element::ALL.into_iter().filter_map(copied));
    cases.extend(single_ops());
    cases.extend(others::cases());
    cases.extend(edges());
    cases
}

fn floats(extents: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_slice(Element::Fp32, extents, values).unwrap()
}

fn longs(extents: &[usize], values: &[i64]) -> Tensor {
    Tensor::from_slice(Element::I64, extents, values).unwrap()
}

/// Numbers without a pattern, between -1 and 1.
pub fn noise(extents: &[usize], seed: u32) -> Tensor {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let values: Vec<f32> = (0..extents.iter().product()).map(next).collect();
    floats(extents, &values)
}

fn case(name: &str, graph: Graph, runs: impl IntoIterator<Item = (Vec<Tensor>, Vec<Tensor>)>) -> Case {
    let runs = runs.into_iter().map(|(inputs, expected)| Run { inputs, expected }).collect();
    Case { name: name.into(), graph, runs }
}

/// The plain definition of a matrix product.
fn product(a: &Tensor, b: &Tensor) -> Tensor {
    let (m, k, n) = (a.spec().shape.extents()[0], a.spec().shape.extents()[1], b.spec().shape.extents()[1]);
    let (a, b) = (a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap());
    let at = |i: usize, j: usize| (0..k).map(|l| f64::from(a[i * k + l]) * f64::from(b[l * n + j])).sum::<f64>() as f32;
    floats(&[m, n], &(0..m * n).map(|index| at(index / n, index % n)).collect::<Vec<_>>())
}

fn map(tensor: &Tensor, f: impl Fn(f32) -> f32) -> Tensor {
    let values: Vec<f32> = tensor.to_vec::<f32>().unwrap().into_iter().map(f).collect();
    floats(tensor.spec().shape.extents(), &values)
}

fn perceptron() -> Case {
    let (first, second, x) = (noise(&[16, 32], 1), noise(&[32, 4], 2), noise(&[3, 16], 3));
    let graph = Sketch::new("perceptron")
        .input("x", Element::Fp32, "3 16")
        .constant("first", first.clone())
        .constant("second", second.clone())
        .op("MatMul", "x first", "a")
        .op("Relu", "a", "b")
        .op("MatMul", "b second", "y")
        .output("y");
    let expected = product(&map(&product(&x, &first), |v| v.max(0.0)), &second);
    case("perceptron", graph.graph(), [(vec![x], vec![expected])])
}

/// 3x3, stride 2, padded by 1, two groups.
fn convolution() -> Case {
    let (x, w) = (noise(&[1, 4, 7, 7], 4), noise(&[6, 2, 3, 3], 5));
    let ints = |values: &[i64]| Attribute::Ints(values.into());
    let graph = Sketch::new("convolution")
        .input("x", Element::Fp32, "1 4 7 7")
        .constant("w", w.clone())
        .op_with(
            "Conv",
            "x w",
            "y",
            [
                ("strides", ints(&[2, 2])),
                ("pads", ints(&[1, 1, 1, 1])),
                ("kernel_shape", ints(&[3, 3])),
                ("group", Attribute::Int(2)),
            ],
        )
        .output("y");
    let (pixels, weights) = (x.to_vec::<f32>().unwrap(), w.to_vec::<f32>().unwrap());
    let pixel = |channel: usize, row: usize, column: usize| match (row.checked_sub(1), column.checked_sub(1)) {
        (Some(row @ 0..7), Some(column @ 0..7)) => pixels[channel * 49 + row * 7 + column],
        _ => 0.0,
    };
    let mut expected = Vec::new();
    for (out, row, column) in (0..6).flat_map(|out| (0..16).map(move |at| (out, at / 4, at % 4))) {
        let taps = (0..18).map(|tap| (tap / 9, tap % 9 / 3, tap % 3));
        let sum: f32 = taps
            .map(|(channel, i, j)| {
                let weight = weights[((out * 2 + channel) * 3 + i) * 3 + j];
                weight * pixel(out / 3 * 2 + channel, 2 * row + i, 2 * column + j)
            })
            .sum();
        expected.push(sum);
    }
    case("convolution", graph.graph(), [(vec![x], vec![floats(&[1, 6, 4, 4], &expected)])])
}

/// More batch sizes than a cache of plans holds, and the first again.
fn dynamic_batch() -> Case {
    let w = noise(&[5, 2], 6);
    let graph = Sketch::new("dynamic batch")
        .input("x", Element::Fp32, "N 5")
        .constant("w", w.clone())
        .op("MatMul", "x w", "y")
        .output("y");
    let runs = [1, 3, 2, 7, 64, 4, 5, 6, 8, 9, 1].map(|rows| {
        let x = noise(&[rows, 5], rows as u32);
        let expected = product(&x, &w);
        (vec![x], vec![expected])
    });
    case("dynamic batch", graph.graph(), runs)
}

fn branches() -> Case {
    let branch = |kind: &str| Sketch::new(kind).op(kind, "x", "inner").output("inner").subgraph();
    let graph = Sketch::new("branches")
        .input("positive", Element::Bool, "")
        .input("x", Element::Fp32, "3")
        .op_with("If", "positive", "y", [("then_branch", branch("Abs")), ("else_branch", branch("Neg"))])
        .output("y");
    let x = floats(&[3], &[1.0, -2.0, 3.0]);
    let truth = |value: u8| Tensor::from_slice(Element::Bool, [], &[value]).unwrap();
    case(
        "branches",
        graph.graph(),
        [
            (vec![truth(1), x.clone()], vec![floats(&[3], &[1.0, 2.0, 3.0])]),
            (vec![truth(0), x.clone()], vec![floats(&[3], &[-1.0, 2.0, -3.0])]),
        ],
    )
}

/// Called twice, once with the attribute's default; one function calls the other.
fn local_function() -> Case {
    let names = |words: &str| words.split(' ').map(Into::into).collect();
    let slope = Attribute::Reference { name: "slope".into(), kind: 1 };
    let opsets = vec![Opset { domain: String::new(), version: 17 }, Opset { domain: "local".into(), version: 1 }];
    let leak = Function {
        name: "Leak".into(),
        domain: "local".into(),
        inputs: names("v"),
        outputs: names("r"),
        attributes: Vec::new(),
        defaults: vec![("slope".into(), Attribute::Float(0.5))],
        opsets: opsets.clone(),
        ops: vec![op("LeakyRelu", "v", "t", [("alpha", slope.clone())]), op("Identity", "t", "r", [])],
    };
    let mut call = op("Leak", "v", "t", [("slope", slope)]);
    call.domain = "local".into();
    let twice = Function {
        name: "Twice".into(),
        domain: "local".into(),
        inputs: names("v"),
        outputs: names("r"),
        attributes: names("slope"),
        defaults: Vec::new(),
        opsets,
        ops: vec![call, op("Add", "t t", "r", [])],
    };
    let mut graph = Sketch::new("local function")
        .input("x", Element::Fp32, "2")
        .op("Leak", "x", "a")
        .in_domain("local")
        .op_with("Twice", "a", "y", [("slope", Attribute::Float(0.25))])
        .in_domain("local")
        .output("y")
        .function(leak)
        .function(twice)
        .graph();
    graph.opsets.pop();
    let run = (vec![floats(&[2], &[3.0, -4.0])], vec![floats(&[2], &[6.0, -1.0])]);
    case("local function", graph, [run])
}

/// Beyond what fits 32 bits.
fn large_integers() -> Case {
    let graph = Sketch::new("large integers")
        .input("x", Element::I64, "2")
        .constant("one", longs(&[], &[1]))
        .op("Add", "x one", "y")
        .output("y");
    let run = (vec![longs(&[2], &[1 << 40, -(1 << 50)])], vec![longs(&[2], &[(1 << 40) + 1, -(1 << 50) + 1])]);
    case("large integers", graph.graph(), [run])
}

fn extents() -> Case {
    let graph = Sketch::new("extents").input("x", Element::Fp32, "N ? 3").op("Shape", "x", "y").output("y");
    let runs = [[2, 5], [1, 1]].map(|[n, m]| (vec![noise(&[n, m, 3], 1)], vec![longs(&[3], &[n as i64, m as i64, 3])]));
    case("extents", graph.graph(), runs)
}

fn dequantized() -> Case {
    let graph = Sketch::new("dequantized")
        .input("x", Element::U8, "3")
        .constant("scale", floats(&[], &[0.5]))
        .constant("zero", Tensor::from_slice(Element::U8, [], &[128u8]).unwrap())
        .op("DequantizeLinear", "x scale zero", "y")
        .output("y");
    let x = Tensor::from_slice(Element::U8, [3], &[0u8, 128, 255]).unwrap();
    case("dequantized", graph.graph(), [(vec![x], vec![floats(&[3], &[-64.0, 0.0, 63.5])])])
}

/// One output does not depend on any input, another is an input.
fn constant_output() -> Case {
    let value = floats(&[2], &[1.5, -2.5]);
    let graph = Sketch::new("constant output")
        .input("x", Element::Fp32, "1")
        .op_with("Constant", "", "c", [("value", Attribute::Tensor(value.clone()))])
        .op("Identity", "x", "y")
        .output("c")
        .output("y");
    let x = floats(&[1], &[7.0]);
    case("constant output", graph.graph(), [(vec![x.clone()], vec![value, x])])
}

/// Longer than a vocabulary.
fn long_runs() -> Case {
    let length = 70_001;
    let x = map(&noise(&[2, length], 9), |v| v + 1.5);
    let graph = Sketch::new("long runs")
        .input("x", Element::Fp32, "N L")
        .op_with("ReduceMean", "x", "mean", [("axes", Attribute::Ints(vec![1]))])
        .op_with("ArgMax", "x", "place", [("axis", Attribute::Int(1))])
        .op_with("Softmax", "x", "share", [("axis", Attribute::Int(1))])
        .output("mean")
        .output("place")
        .output("share");
    let values = x.to_vec::<f32>().unwrap();
    let mean = |row: &[f32]| (row.iter().map(|v| f64::from(*v)).sum::<f64>() / length as f64) as f32;
    let place = |row: &[f32]| {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter().position(|v| *v == largest).unwrap() as i64
    };
    let share = |row: &[f32]| {
        let sum: f64 = row.iter().map(|v| f64::from(*v).exp()).sum();
        row.iter().map(|v| (f64::from(*v).exp() / sum) as f32).collect::<Vec<_>>()
    };
    let expected = vec![
        floats(&[2, 1], &values.chunks(length).map(mean).collect::<Vec<_>>()),
        longs(&[2, 1], &values.chunks(length).map(place).collect::<Vec<_>>()),
        floats(&[2, length], &values.chunks(length).flat_map(share).collect::<Vec<_>>()),
    ];
    case("long runs", graph.graph(), [(vec![x], expected)])
}

/// Every element type goes through unchanged. Byte strings and BF16 are no device's duty.
fn copied(element: Element) -> Option<Case> {
    if element == Element::Bf16 {
        return None;
    }
    let size = element.size()?;
    let name = format!("copied {element}");
    let graph = Sketch::new(&name).input("x", element, "4").op("Identity", "x", "y").output("y").graph();
    let value = match element {
        Element::Fp16 => Tensor::from_slice(element, [4], &[1.0, -2.0, 0.5, 60000.0].map(half::f16::from_f32)),
        Element::Fp32 => Tensor::from_slice(element, [4], &[1.0f32, -2.0, 0.5, 1e30]),
        Element::Fp64 => Tensor::from_slice(element, [4], &[1.0f64, -2.0, 0.5, 1e300]),
        Element::Bool => Tensor::from_slice(element, [4], &[0u8, 1, 1, 0]),
        _ => Tensor::host(
            Spec::new(element, [4]).unwrap(),
            (0..4 * size).map(|byte| 251u8.wrapping_sub((37 * byte) as u8)).collect::<Vec<u8>>(),
        ),
    };
    let value = value.unwrap();
    Some(case(&name, graph, [(vec![value.clone()], vec![value])]))
}

/// One operator on `[1, -2, 3, -4, 5, -6]` as `[2, 3]`.
fn single_ops() -> Vec<Case> {
    let x = floats(&[2, 3], &[1.0, -2.0, 3.0, -4.0, 5.0, -6.0]);
    let axis = |axis: i64| ("axis", Attribute::Int(axis));
    let one = |kind: &str, attribute: Option<(&str, Attribute)>, expected: Tensor| {
        let sketch = Sketch::new(kind).input("x", Element::Fp32, "2 3");
        let sketch = match attribute {
            Some(attribute) => sketch.op_with(kind, "x", "y", [attribute]),
            None => sketch.op(kind, "x", "y"),
        };
        case(kind, sketch.output("y").graph(), [(vec![x.clone()], vec![expected])])
    };
    vec![
        one("Relu", None, map(&x, |v| v.max(0.0))),
        one("Sigmoid", None, map(&x, |v| 1.0 / (1.0 + (-v).exp()))),
        one("Tanh", None, map(&x, f32::tanh)),
        one("Exp", None, map(&x, f32::exp)),
        one("Neg", None, map(&x, |v| -v)),
        one("Transpose", None, floats(&[3, 2], &[1.0, -4.0, -2.0, 5.0, 3.0, -6.0])),
        one("Flatten", Some(axis(0)), floats(&[1, 6], &x.to_vec::<f32>().unwrap())),
        one("ArgMax", Some(axis(1)), longs(&[2, 1], &[2, 1])),
        one("ReduceMean", Some(("axes", Attribute::Ints(vec![1]))), floats(&[2, 1], &[2.0 / 3.0, -5.0 / 3.0])),
        one("Softmax", Some(axis(1)), softmax(&x)),
        one("Cast", Some(("to", Attribute::Int(7))), longs(&[2, 3], &[1, -2, 3, -4, 5, -6])),
    ]
}

fn softmax(x: &Tensor) -> Tensor {
    let values = x.to_vec::<f32>().unwrap();
    let row = |row: &[f32]| {
        let sum: f32 = row.iter().map(|v| v.exp()).sum();
        row.iter().map(|v| v.exp() / sum).collect::<Vec<_>>()
    };
    floats(x.spec().shape.extents(), &values.chunks(3).flat_map(row).collect::<Vec<_>>())
}
