//! Numbers at the edges of what a type holds, where libraries are known to slip.

use super::{Case, Run, Sketch, cases::noise};
use burst_host::nouns::{Attribute, Element, Tensor};

/// One operator each.
pub fn edges() -> Vec<Case> {
    vec![
        long_cast(),
        long_sum(),
        far("Softplus", &[100.0, -100.0], &[100.0, 0.0]),
        far("ReduceLogSumExp", &[90.0, 89.0], &[90.313_26]),
        far("ReduceL2", &[3e18, 4e18], &[5e18]),
        whole_sum(),
        saturated(),
        padded(),
        from_the_end(),
    ]
}

fn floats(extents: &[usize], values: &[f32]) -> Tensor {
    Tensor::from_slice(Element::Fp32, extents, values).unwrap()
}

fn longs(extents: &[usize], values: &[i64]) -> Tensor {
    Tensor::from_slice(Element::I64, extents, values).unwrap()
}

fn case(name: &str, sketch: Sketch, inputs: Vec<Tensor>, expected: Tensor) -> Case {
    let graph = sketch.output("y").graph();
    Case { name: name.into(), graph, runs: vec![Run { inputs, expected: vec![expected] }] }
}

fn long_cast() -> Case {
    let sketch = Sketch::new("cast").input("x", Element::Fp32, "3");
    let sketch = sketch.op_with("Cast", "x", "y", [("to", Attribute::Int(7))]);
    case(
        "cast beyond 32 bits",
        sketch,
        vec![floats(&[3], &[3e9, -5e9, 7.9])],
        longs(&[3], &[3_000_000_000, -5_000_000_000, 7]),
    )
}

fn long_sum() -> Case {
    let sketch = Sketch::new("sum").input("x", Element::I64, "1 3").op("ReduceSum", "x", "y");
    case("sum beyond 32 bits", sketch, vec![longs(&[1, 3], &[2_000_000_000; 3])], longs(&[1, 1], &[6_000_000_000]))
}

fn far(kind: &str, x: &[f32], expected: &[f32]) -> Case {
    let sketch = Sketch::new(kind).input("x", Element::Fp32, &x.len().to_string()).op(kind, "x", "y");
    case(&format!("{kind} far out"), sketch, vec![floats(&[x.len()], x)], floats(&[expected.len()], expected))
}

fn whole_sum() -> Case {
    let equation = ("equation", Attribute::Text(b"ij->".to_vec()));
    let x = noise(&[2, 3], 7);
    let sum: f64 = x.to_vec::<f32>().unwrap().into_iter().map(f64::from).sum();
    let sketch = Sketch::new("whole").input("x", Element::Fp32, "2 3").op_with("Einsum", "x", "y", [equation]);
    case("sum over every letter", sketch, vec![x], floats(&[], &[sum as f32]))
}

fn saturated() -> Case {
    let zero = Tensor::from_slice(Element::U8, [], &[128u8]).unwrap();
    let sketch = Sketch::new("saturated").input("x", Element::Fp32, "4").constant("s", floats(&[], &[1.0]));
    let sketch = sketch.constant("z", zero).op("QuantizeLinear", "x s z", "y");
    let expected = Tensor::from_slice(Element::U8, [4], &[255u8, 0, 128, 130]).unwrap();
    case("quantized beyond the ends", sketch, vec![floats(&[4], &[3e9, -3e9, 0.5, 1.5])], expected)
}

/// The standard cuts off more before than after, unless it is told otherwise.
fn padded() -> Case {
    let sketch =
        Sketch::new("padded").input("x", Element::Fp32, "1 1 3").constant("w", floats(&[1, 1, 3], &[1.0, 10.0, 100.0]));
    let attributes = [("strides", Attribute::Ints(vec![2])), ("output_shape", Attribute::Ints(vec![6]))];
    let sketch = sketch.op_with("ConvTranspose", "x w", "y", attributes);
    let expected = floats(&[1, 1, 6], &[10.0, 102.0, 20.0, 203.0, 30.0, 300.0]);
    case("extents of a transposed convolution", sketch, vec![floats(&[1, 1, 3], &[1.0, 2.0, 3.0])], expected)
}

fn from_the_end() -> Case {
    let sketch = Sketch::new("end").input("x", Element::Fp32, "2 2").input("i", Element::I64, "2 2");
    let inputs = vec![floats(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), longs(&[2, 2], &[-1, 0, 0, -1])];
    case("indices from the end", sketch.op("GatherND", "x i", "y"), inputs, floats(&[2], &[3.0, 2.0]))
}
