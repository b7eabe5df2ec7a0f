//! Support vectors.

use super::{
    super::build::{Builder, Outcome},
    scale::floats,
};
use burst_host::nouns::Element;

/// Kernels of rows and support vectors, weighed and added.
pub fn regress(builder: &mut Builder<'_>) -> Outcome {
    let (coefficients, rho) = (builder.floats("coefficients"), builder.floats("rho"));
    let vectors = builder.floats("support_vectors");
    let count = usize::try_from(builder.int("n_supports", 0)).map_err(|_| "negative `n_supports`")?;
    let [rho, ..] = rho else { return Err("no `rho`".into()) };
    let x = floats(builder)?;
    // Without support vectors the coefficients are the only one.
    let (vectors, count, weights) =
        if count > 0 { (vectors, count, coefficients) } else { (coefficients, 1, &[1.0f32][..]) };
    if vectors.is_empty() || vectors.len() % count != 0 || weights.len() != count {
        return Err(format!("{} coefficients for {count} support vectors", weights.len()));
    }
    let vectors = builder.tensor(Element::Fp32, &[count, vectors.len() / count], vectors)?;
    let kernels = kernels(builder, &x, &vectors)?;
    let weights = builder.tensor(Element::Fp32, &[count, 1], weights)?;
    let sum = builder.add("MatMul", &[&kernels, &weights], &[]);
    let rho = builder.number(*rho, &sum)?;
    let mut y = builder.add("Add", &[&sum, &rho], &[]);
    if builder.int("one_class", 0) != 0 {
        let (zero, one, minus) = (builder.number(0.0, &y)?, builder.number(1.0, &y)?, builder.number(-1.0, &y)?);
        let inside = builder.add("Greater", &[&y, &zero], &[]);
        y = builder.add("Where", &[&inside, &one, &minus], &[]);
    }
    builder.done(&y)
}

/// A kernel for each row and each vector.
fn kernels(builder: &mut Builder<'_>, x: &str, vectors: &str) -> Result<String, String> {
    let parameters = builder.floats("kernel_params");
    let parameter = |index: usize| parameters.get(index).copied().unwrap_or(0.0);
    let (gamma, shift, degree) = (parameter(0), parameter(1), parameter(2));
    let kind = builder.text("kernel_type", "LINEAR");
    if kind == "RBF" {
        let rows = builder.unsqueeze(x, &[1])?;
        let apart = builder.add("Sub", &[&rows, vectors], &[]);
        let squares = builder.add("Mul", &[&apart, &apart], &[]);
        let sum = builder.reduce("ReduceSum", &squares, &[-1])?;
        let sum = builder.squeeze(&sum, &[-1])?;
        let gamma = builder.number(-gamma, &sum)?;
        let power = builder.add("Mul", &[&sum, &gamma], &[]);
        return Ok(builder.add("Exp", &[&power], &[]));
    }
    let turned = builder.transpose(vectors, &[1, 0]);
    let products = builder.add("MatMul", &[x, &turned], &[]);
    if kind == "LINEAR" {
        return Ok(products);
    }
    let (gamma, shift) = (builder.number(gamma, x)?, builder.number(shift, x)?);
    let scaled = builder.add("Mul", &[&products, &gamma], &[]);
    let moved = builder.add("Add", &[&scaled, &shift], &[]);
    match kind.as_str() {
        "POLY" => {
            let degree = builder.number(degree, x)?;
            Ok(builder.add("Pow", &[&moved, &degree], &[]))
        }
        "SIGMOID" => Ok(builder.add("Tanh", &[&moved], &[])),
        other => Err(format!("`kernel_type` {other}")),
    }
}
