//! Products of matrices.

use super::{
    super::{
        halving::Halves,
        kernels::Shader,
        planner::{Halt, Node, Placed, Planner, Value},
        product::{Bias, Epilogue, Product},
        tiling::{COLUMNS, GROUPS_MAX, Tiling},
    },
    deep,
    element::is_float,
    exact, halves,
    movement::{permute, widen},
    pointwise::{broadcast, padded, strides, widened},
    tall,
};
use burst_host::nouns::{Element, Spec};

/// What is multiplied, batched.
struct Factors<'a> {
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
    if let Some(outputs) = deep::matmul(planner, node)? {
        return Ok(outputs);
    }
    if element == Element::Fp64 || !is_float(element) {
        return Ok(vec![exact::matmul(planner, node)?]);
    }
    if let Some(outputs) = tall::matmul(planner, node)? {
        return Ok(outputs);
    }
    let [a, b] = halves::sides(planner, node)?;
    let (a_rank, b_rank) = (a.extents().len(), b.extents().len());
    if a_rank == 0 || b_rank == 0 {
        return Err(node.invalid("a scalar"));
    }
    let row = a.reshaped(node.shape(if a_rank == 1 { vec![1, a.extents()[0]] } else { a.extents().to_vec() })?);
    let column = b.reshaped(node.shape(if b_rank == 1 { vec![b.extents()[0], 1] } else { b.extents().to_vec() })?);
    let factors = Factors { a: &row, b: &column, a_transposed: false, b_transposed: false, scale: 1.0, bias: None };
    let y = multiply(planner, node, factors)?;
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
    if let Some(outputs) = deep::gemm(planner, node)? {
        return Ok(outputs);
    }
    if let Some(outputs) = tall::gemm(planner, node)? {
        return Ok(outputs);
    }
    let element = node.spec(0)?.element;
    let [a, b] = halves::sides(planner, node)?;
    let c = if node.has(2) { Some(widened(planner, node, node.input(2))?) } else { None };
    let factors = Factors {
        a: &a,
        b: &b,
        a_transposed: node.int("transA", 0) == 1,
        b_transposed: node.int("transB", 0) == 1,
        scale: node.float("alpha", 1.0),
        bias: c.as_ref().map(|c| (c, node.float("beta", 1.0))),
    };
    let y = multiply(planner, node, factors)?;
    Ok(vec![super::pointwise::convert(planner, node, &y, element)?.into()])
}

fn multiply(planner: &mut Planner, node: &Node<'_>, factors: Factors<'_>) -> Result<Placed, Halt> {
    let Factors { a, b, a_transposed, b_transposed, .. } = factors;
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
    if batch.extents().len() > 6 || batch.elements() > GROUPS_MAX {
        return Err(node.unsupported("a product of that size"));
    }
    let mut epilogue = Epilogue { scale: factors.scale, ..Epilogue::new(true, [m, n]) };
    if let Some((tensor, scale)) = factors.bias {
        epilogue.bias = Some(Bias { tensor: tensor.clone(), scale, steps: bias_steps(node, tensor, m, n)? });
    }
    let mut extents = batch.extents().to_vec();
    extents.extend([m, n]);
    let y = planner.temporary(Spec { element: Element::Fp32, shape: node.shape(extents)? })?;
    if !a_transposed && halves::cooperate(planner, [a, b]) {
        let b = if b_transposed { turned(planner, node, b)? } else { b.clone() };
        return halves::multiply(planner, [a, &b], [m, n, k], y, epilogue);
    }
    let columns = Columns::of(planner, node, b, b_transposed, [k, n])?;
    let (a_steps, reads) = match a_transposed {
        false if k.is_multiple_of(4) => ([k, 1], BY_STEPS),
        false => ([k, 1], ONE_BY_ONE),
        true if m.is_multiple_of(4) => ([1, m], BY_ROWS),
        true => ([1, m], ONE_BY_ONE),
    };
    let matrices = Matrices {
        sizes: [m, n, k],
        reads,
        a_steps,
        b_steps: [columns.block, columns.step],
        batch: batch.elements(),
        shape: padded(batch.extents(), 1),
        a_strides: strides_of(a_batch, batch.extents(), m * k),
        b_strides: strides_of(b_batch, batch.extents(), columns.matrix),
    };
    matrices.multiply(planner, [a, &columns.b], y, epilogue)
}

/// How `matmul.wgsl` reads the left side.
const BY_STEPS: u32 = 0;
pub const BY_ROWS: u32 = 1;
pub const ONE_BY_ONE: u32 = 2;
/// Rows that are multiplied one by one.
const VECTORS_MAX: usize = 2;

/// A batch of products, as `matmul.wgsl` takes it.
pub struct Matrices {
    /// m, n and k.
    pub sizes: [usize; 3],
    pub reads: u32,
    /// Floats between rows and steps of the left side.
    pub a_steps: [usize; 2],
    /// Quads between blocks of columns and steps of the right side.
    pub b_steps: [usize; 2],
    pub batch: usize,
    /// The batch by axis, and floats between matrices.
    pub shape: [u32; 8],
    pub a_strides: [u32; 8],
    pub b_strides: [u32; 8],
}

impl Matrices {
    pub fn multiply(
        self,
        planner: &mut Planner,
        [a, b]: [&Placed; 2],
        y: Placed,
        epilogue: Epilogue,
    ) -> Result<Placed, Halt> {
        let target = planner.target;
        let (shader, tiling): (fn(Halves) -> Shader, _) = if self.sizes[0] <= VECTORS_MAX && epilogue.by_rows {
            (Shader::MatVec, Tiling::of_rows(&target, self.sizes, self.batch))
        } else {
            (Shader::MatMul, Tiling::of(&target, self.sizes, self.batch))
        };
        let ([m, n, k], [a_row, a_step], [block, step]) = (self.sizes, self.a_steps, self.b_steps);
        let numbers = [m, n, k, a_row, a_step, block, step, tiling.parts, tiling.part];
        let mut parameters = numbers.map(|value| value as u32).to_vec();
        for axes in [self.shape, self.a_strides, self.b_strides] {
            parameters.extend(&axes[2..]);
        }
        let mut constants = vec![("READS", self.reads)];
        constants.extend(tiling.constants());
        let (a, b, groups) = (a.clone(), Some(b.clone()), tiling.groups());
        planner.multiply(Product { shader, constants, parameters, a, b, y, groups, epilogue }, tiling.parts)
    }
}

/// The right side, so that four columns of a step are read at once.
struct Columns {
    b: Placed,
    /// Quads between blocks of columns, and between steps.
    block: usize,
    step: usize,
    /// Floats of a matrix.
    matrix: usize,
}

impl Columns {
    /// Left as it is where rows are quads, else packed in blocks; weights always are, once.
    fn of(planner: &mut Planner, node: &Node<'_>, b: &Placed, turned: bool, [k, n]: [usize; 2]) -> Result<Self, Halt> {
        let whole = n.is_multiple_of(4) && !turned && !planner.is_weight(b);
        if whole {
            return Ok(Self { b: b.clone(), block: COLUMNS / 4, step: n / 4, matrix: k * n });
        }
        let b = if turned { self::turned(planner, node, b)? } else { b.clone() };
        let b = blocks(planner, node, &b)?;
        Ok(Self { b, block: k * COLUMNS / 4, step: COLUMNS / 4, matrix: k * n.next_multiple_of(COLUMNS) })
    }
}

/// Matrices with their last two axes exchanged.
fn turned(planner: &mut Planner, node: &Node<'_>, b: &Placed) -> Result<Placed, Halt> {
    let rank = b.extents().len();
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 2, rank - 1);
    permute(planner, node, b, &order)
}

/// [… k, n] to [… blocks of n, k, 32], zeros beyond the last column.
pub fn blocks(planner: &mut Planner, node: &Node<'_>, b: &Placed) -> Result<Placed, Halt> {
    let rank = b.extents().len();
    let n = b.extents()[rank - 1].next_multiple_of(COLUMNS);
    let wide = widen(planner, node, b, n)?;
    let mut extents = wide.extents().to_vec();
    extents.splice(rank - 1.., [n / COLUMNS, COLUMNS]);
    let mut order: Vec<usize> = (0..=rank).collect();
    order.swap(rank - 2, rank - 1);
    permute(planner, node, &wide.reshaped(node.shape(extents)?), &order)
}

/// Numbers between matrices along each axis of the batch.
pub fn strides_of(own: &[usize], batch: &[usize], matrix: usize) -> [u32; 8] {
    strides(own, batch).map(|step| step * matrix as u32)
}

/// Floats between rows and columns of a bias, which broadcasts to the matrix.
fn bias_steps(node: &Node<'_>, bias: &Placed, m: usize, n: usize) -> Result<[u32; 2], Halt> {
    let strides = strides(bias.extents(), &[m, n]);
    let whole = broadcast(node, &bias.spec.shape, &node.shape(vec![m, n])?)?;
    if whole.extents() != [m, n] {
        return Err(node.invalid("a bias larger than the product"));
    }
    Ok([strides[6], strides[7]])
}
