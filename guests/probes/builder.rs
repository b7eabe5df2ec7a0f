//! Builds softmax(a b) and its largest values a row: `a` FP32 [M, K] and `b` FP32 [K, N] to `values` FP32 and `indices`
//! INT64, both [M, min(3, N)].

use burst_guest::{Attribute, Builder, Element, Fault, Graph, Inputs, Outputs, Tensor, responder};

const LARGEST: i64 = 3;

responder!(respond);

fn respond(inputs: Inputs) -> Result<Outputs, String> {
    let (a, b) = (inputs.get("a")?, inputs.get("b")?);
    let columns = b.shape().last().copied().map_or(0, i64::from);
    Ok(largest(LARGEST.min(columns))?.run(&[("a", a), ("b", b)])?)
}

fn largest(count: i64) -> Result<Graph, Fault> {
    let builder = Builder::new();
    let a = builder.input("a", Element::Fp32, [None, None])?;
    let b = builder.input("b", Element::Fp32, [None, None])?;
    let count = builder.constant(&Tensor::from_i64(&[count], [1])?)?;
    let axis = [("axis", Attribute::Integer(-1))];
    let [product] = builder.apply("MatMul", &[a, b], &[])?;
    let [softmax] = builder.apply("Softmax", &[product], &axis)?;
    let [values, indices] = builder.apply("TopK", &[softmax, count], &axis)?;
    builder.finish(&[("values", values), ("indices", indices)])
}
