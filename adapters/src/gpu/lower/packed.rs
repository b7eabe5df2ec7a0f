//! Products with weights of a few bits, which stay packed on the device.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value},
        tiling::GROUPS_MAX,
    },
    pointwise::{convert, widened},
};
use burst_host::nouns::{Element, Spec};

/// Extents of a product with packed weights.
struct Packed {
    k: usize,
    n: usize,
    bits: usize,
    block: usize,
    blocks: usize,
}

/// y = a·wᵀ + bias. Source: `MatMulNBits` in ONNX Runtime's ContribOperators.md.
pub fn matmul(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let packed = Packed::new(node)?;
    let a = widened(planner, node, node.input(0))?;
    let Some((&k, batch)) = a.extents().split_last() else { return Err(node.invalid("a scalar")) };
    if k != packed.k {
        return Err(node.invalid(&format!("{} has no rows of {}", a.spec, packed.k)));
    }
    let m: usize = batch.iter().product();
    let mut extents = batch.to_vec();
    extents.push(packed.n);
    let weights = packed.weights(planner, node)?;
    let scales = widened(planner, node, node.input(2))?;
    node.holds(2, packed.n * packed.blocks)?;
    let (zeros, kind) = packed.zeros(planner, node)?;
    let blocks = packed.groups(planner, node)?;
    let bias = if node.has(5) { Some(widened(planner, node, node.input(5))?) } else { None };
    if bias.as_ref().is_some_and(|bias| bias.extents() != [packed.n]) {
        return Err(node.invalid("a bias for each column is needed"));
    }
    let constants = [
        ("BITS", packed.bits as u32),
        ("ZEROS", kind),
        ("GROUPED", u32::from(blocks.is_some())),
        ("BIAS", u32::from(bias.is_some())),
    ];
    let zero_bytes = (packed.blocks * packed.bits).div_ceil(8);
    let parameters = [m, packed.n, packed.k, packed.block, packed.blocks, zero_bytes];
    let parameters = parameters.map(|value| value as u32).to_vec();
    let groups = [packed.n.div_ceil(64), m.div_ceil(8), 1];
    if groups.iter().any(|&count| count > GROUPS_MAX) {
        return Err(node.unsupported("a product of that size"));
    }
    let spec = Spec { element: Element::Fp32, shape: node.shape(extents)? };
    let (none, kernel) = (&a, Kernel::new(Shader::PackedMatMul, constants));
    let reads = [
        &a,
        &weights,
        &scales,
        zeros.as_ref().unwrap_or(none),
        blocks.as_ref().unwrap_or(none),
        bias.as_ref().unwrap_or(none),
    ];
    let y = planner.dispatch(kernel, parameters, &reads, spec, groups.map(|count| count as u32))?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

impl Packed {
    fn new(node: &Node<'_>) -> Result<Self, Halt> {
        let whole = |name: &str, default: i64| {
            let value = usize::try_from(node.int(name, default)).ok().filter(|&value| value > 0);
            value.ok_or_else(|| node.invalid(&format!("`{name}` has to be above 0")))
        };
        let (k, n, bits, block) = (whole("K", 0)?, whole("N", 0)?, whole("bits", 4)?, whole("block_size", 0)?);
        if !matches!(bits, 2 | 4 | 8) {
            return Err(node.unsupported(&format!("weights of {bits} bits")));
        }
        // A block is whole words.
        if block < 16 || !block.is_power_of_two() {
            return Err(node.invalid("a block holds 16, 32, 64 … weights"));
        }
        let blocks = k.div_ceil(block);
        let rows = blocks.saturating_mul(block);
        if n > u32::MAX as usize / rows {
            return Err(node.unsupported("a product of that size"));
        }
        Ok(Self { k, n, bits, block, blocks })
    }

    fn weights(&self, planner: &mut Planner, node: &Node<'_>) -> Result<Placed, Halt> {
        let weights = planner.place(node.input(1))?;
        node.holds(1, self.n * self.blocks * self.block * self.bits / 8)?;
        if weights.spec.element == Element::U8 { Ok(weights) } else { Err(node.invalid("weights are packed in UINT8")) }
    }

    /// Zeros and what they are to the kernel.
    fn zeros(&self, planner: &mut Planner, node: &Node<'_>) -> Result<(Option<Placed>, u32), Halt> {
        if !node.has(3) {
            return Ok((None, 0));
        }
        if node.spec(3)?.element == Element::U8 {
            node.holds(3, self.n * (self.blocks * self.bits).div_ceil(8))?;
            return Ok((Some(planner.place(node.input(3))?), 1));
        }
        node.holds(3, self.n * self.blocks)?;
        Ok((Some(widened(planner, node, node.input(3))?), 2))
    }

    /// The block of each row of the weights.
    fn groups(&self, planner: &mut Planner, node: &Node<'_>) -> Result<Option<Placed>, Halt> {
        if !node.has(4) {
            return Ok(None);
        }
        let groups = planner.place(node.input(4))?;
        if groups.spec.element != Element::I32 || groups.spec.shape.elements() < self.k {
            return Err(node.invalid("g_idx is an INT32 for each row of the weights"));
        }
        planner.check_below(node, 4, self.blocks)?;
        Ok(Some(groups))
    }
}
