//! Products of matrices.

use super::{
    super::{
        kernels::{Kernel, Shader},
        plan::ITERATIONS_MAX,
        planner::{Halt, Node, Placed, Planner, Value},
    },
    pointwise::{broadcast, widened},
};
use burst_host::nouns::{Element, Spec};

/// One product, batched, with what follows it.
struct Product<'a> {
    a: &'a Placed,
    b: &'a Placed,
    a_transposed: bool,
    b_transposed: bool,
    scale: f32,
    bias: Option<(&'a Placed, f32)>,
}

/// numpy's rules: vectors are promoted, leading axes broadcast.
pub fn matmul(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let (a, b) = (widened(planner, node, node.input(0))?, widened(planner, node, node.input(1))?);
    let (a_rank, b_rank) = (a.extents().len(), b.extents().len());
    if a_rank == 0 || b_rank == 0 {
        return Err(node.invalid("a scalar"));
    }
    let row = a.reshaped(node.shape(if a_rank == 1 { vec![1, a.extents()[0]] } else { a.extents().to_vec() })?);
    let column = b.reshaped(node.shape(if b_rank == 1 { vec![b.extents()[0], 1] } else { b.extents().to_vec() })?);
    let product = Product { a: &row, b: &column, a_transposed: false, b_transposed: false, scale: 1.0, bias: None };
    let y = multiply(planner, node, product)?;
    let mut extents = y.extents().to_vec();
    let rank = extents.len();
    if b_rank == 1 {
        extents.remove(rank - 1);
    }
    if a_rank == 1 {
        extents.remove(rank - 2);
    }
    let y = y.reshaped(node.shape(extents)?);
    Ok(vec![super::pointwise::convert(planner, node, &y, element)?.into()])
}

pub fn gemm(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let (a, b) = (widened(planner, node, node.input(0))?, widened(planner, node, node.input(1))?);
    let c = if node.has(2) { Some(widened(planner, node, node.input(2))?) } else { None };
    let product = Product {
        a: &a,
        b: &b,
        a_transposed: node.int("transA", 0) == 1,
        b_transposed: node.int("transB", 0) == 1,
        scale: node.float("alpha", 1.0),
        bias: c.as_ref().map(|c| (c, node.float("beta", 1.0))),
    };
    let y = multiply(planner, node, product)?;
    Ok(vec![super::pointwise::convert(planner, node, &y, element)?.into()])
}

fn multiply(planner: &mut Planner, node: &Node<'_>, product: Product<'_>) -> Result<Placed, Halt> {
    let Product { a, b, a_transposed, b_transposed, scale, bias } = product;
    let (a_batch, a_matrix) = a.extents().split_at(a.extents().len().saturating_sub(2));
    let (b_batch, b_matrix) = b.extents().split_at(b.extents().len().saturating_sub(2));
    let (&[a_rows, a_columns], &[b_rows, b_columns]) = (a_matrix, b_matrix) else {
        return Err(node.invalid("a matrix has two axes"));
    };
    let (m, k) = if a_transposed { (a_columns, a_rows) } else { (a_rows, a_columns) };
    let (inner, n) = if b_transposed { (b_columns, b_rows) } else { (b_rows, b_columns) };
    if k != inner {
        return Err(node.invalid(&format!("{} and {} do not fit", a.spec, b.spec)));
    }
    let (a_shape, b_shape) = (node.shape(a_batch.to_vec())?, node.shape(b_batch.to_vec())?);
    let batch = broadcast(node, &a_shape, &b_shape)?;
    if k > ITERATIONS_MAX || batch.extents().len() > 6 || batch.elements() > 65_535 {
        return Err(node.unsupported("a product of that size"));
    }
    let mut extents = batch.extents().to_vec();
    extents.extend([m, n]);
    let spec = Spec { element: Element::Fp32, shape: node.shape(extents)? };
    let mut parameters = [m, n, k, batch.elements()].map(|value| value as u32).to_vec();
    let bias_scale = bias.map_or(0.0, |(_, scale)| scale);
    parameters.extend([scale, bias_scale, 0.0, 0.0].map(f32::to_bits));
    parameters.extend(&super::pointwise::padded(batch.extents(), 1)[2..]);
    parameters.extend(matrices(a_batch, batch.extents(), m * k));
    parameters.extend(matrices(b_batch, batch.extents(), k * n));
    parameters.extend(bias_steps(node, bias.map(|(bias, _)| bias), m, n)?);
    let constants = [
        ("A_TRANSPOSED", u32::from(a_transposed)),
        ("B_TRANSPOSED", u32::from(b_transposed)),
        ("BIAS", u32::from(bias.is_some())),
    ];
    let bias = bias.map_or(a, |(bias, _)| bias);
    let groups = [n.div_ceil(16).div_ceil(8) as u32, m.div_ceil(8) as u32, batch.elements() as u32];
    planner.dispatch(Kernel::new(Shader::MatMul, constants), parameters, &[a, b, bias, a], spec, groups)
}

/// Floats between matrices along each axis of the batch.
fn matrices(own: &[usize], batch: &[usize], matrix: usize) -> Vec<u32> {
    super::pointwise::strides(own, batch)[2..].iter().map(|&step| step * matrix as u32).collect()
}

/// Floats between rows and columns of a bias, which broadcasts to the matrix.
fn bias_steps(node: &Node<'_>, bias: Option<&Placed>, m: usize, n: usize) -> Result<[u32; 2], Halt> {
    let Some(bias) = bias else { return Ok([0, 0]) };
    let strides = super::pointwise::strides(bias.extents(), &[m, n]);
    let whole = broadcast(node, &bias.spec.shape, &node.shape(vec![m, n])?)?;
    if whole.extents() != [m, n] {
        return Err(node.invalid("a bias larger than the product"));
    }
    Ok([strides[6], strides[7]])
}
