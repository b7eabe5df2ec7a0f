//! Transposed convolutions that leave no gaps: an ordinary convolution with an output channel for each place in a block
//! of stride by stride pixels, whose channels are then shuffled to pixels.

use super::{
    super::planner::{Halt, Node, Placed, Planner},
    movement::{Outside, Walk, permute, steps, walk},
    windows::{Windows, volume},
};
use burst_host::nouns::Attribute;

/// How often more than needed may be multiplied, by zeros, where the stride does not divide the kernel.
const WASTE_MAX: usize = 2;

/// A line or an image, its weights, and the blocks that one of its pixels makes.
struct Blocks<'a> {
    x: Placed,
    w: &'a Placed,
    groups: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    /// Blocks that the kernel covers.
    taps: [usize; 2],
    /// What is cut off before, and what is left.
    begin: [usize; 2],
    output: [usize; 2],
}

/// The result, in f32; `None` where the general kernel does less.
pub fn transposed(
    planner: &mut Planner,
    node: &Node<'_>,
    [x, w]: [&Placed; 2],
    bias: Option<&Placed>,
    groups: usize,
    windows: &Windows<3>,
) -> Result<Option<Placed>, Halt> {
    let Some(blocks) = Blocks::new(node, x, w, groups, windows)? else { return Ok(None) };
    let mut inputs = vec![blocks.x.clone().into(), blocks.weights(planner, node)?.into()];
    if let Some(bias) = bias {
        let shape = node.shape(vec![bias.spec.shape.elements(), area(blocks.stride)])?;
        let flat = node.shape(vec![shape.elements()])?;
        let each = Walk { shape, offset: 0, strides: vec![1, 0], outside: None };
        inputs.push(walk(planner, node, bias, each)?.reshaped(flat).into());
    }
    let around = blocks.taps.map(|taps| taps as i64 - 1);
    let attributes = vec![
        ("pads".into(), Attribute::Ints([around, around].concat())),
        ("group".into(), Attribute::Int(groups as i64)),
    ];
    let channels = planner.apply("Conv", attributes, inputs)?;
    let channels = planner.place(&channels)?;
    let y = blocks.pixels(planner, node, &channels)?;
    let mut extents = y.extents().to_vec();
    extents.drain(2..6 - x.extents().len());
    Ok(Some(y.reshaped(node.shape(extents)?)))
}

fn area(extents: [usize; 2]) -> usize {
    extents.iter().product()
}

impl<'a> Blocks<'a> {
    fn new(
        node: &Node<'_>,
        x: &Placed,
        w: &'a Placed,
        groups: usize,
        windows: &Windows<3>,
    ) -> Result<Option<Self>, Halt> {
        let ([n, c], [_, rows, columns]) = volume(node, x)?;
        let last = |numbers: &[usize; 3]| [numbers[1], numbers[2]];
        let Windows { kernel, strides, dilations, begin, output, .. } = windows;
        let [kernel, stride, dilations, begin, output] = [kernel, strides, dilations, begin, output].map(last);
        let taps: [usize; 2] = std::array::from_fn(|axis| kernel[axis].div_ceil(stride[axis]));
        let fits = |axis: usize, extent: usize| begin[axis] + output[axis] <= stride[axis] * (extent - 1 + taps[axis]);
        let image = x.extents().len() <= 4 && dilations == [1, 1] && rows * columns > 0;
        if !image || !fits(0, rows) || !fits(1, columns) || area(taps) * area(stride) > WASTE_MAX * area(kernel) {
            return Ok(None);
        }
        let x = x.reshaped(node.shape(vec![n, c, rows, columns])?);
        Ok(Some(Self { x, w, groups, kernel, stride, taps, begin, output }))
    }

    /// [groups · in, out, kernel] to [groups · out · places in a block, in, blocks], the last block first.
    fn weights(&self, planner: &mut Planner, node: &Node<'_>) -> Result<Placed, Halt> {
        let ([down, across], [rows, columns]) = (self.stride, self.taps);
        let inner = self.x.extents()[1] / self.groups;
        let out = self.w.extents()[1];
        let own = [inner * self.groups, out, self.kernel[0], self.kernel[1]];
        let w = self.w.reshaped(node.shape(own.to_vec())?);
        let whole = vec![own[0], out, rows * down, columns * across];
        let filled = Outside { mode: 1, fill: [0; 2], before: vec![0; 4], extents: own.to_vec() };
        let shape = node.shape(whole.clone())?;
        let padded = Walk { shape, offset: 0, strides: steps(&own), outside: Some(filled) };
        let w = if whole == own { w } else { walk(planner, node, &w, padded)? };
        let [channel, each, line, pixel] = [0, 1, 2, 3].map(|axis| steps(&whole)[axis]);
        let (block_down, block_across) = (line * down as i64, pixel * across as i64);
        let turned = Walk {
            shape: node.shape(vec![self.groups, out, down, across, inner, rows, columns])?,
            offset: (rows as i64 - 1) * block_down + (columns as i64 - 1) * block_across,
            strides: vec![channel * inner as i64, each, line, pixel, channel, -block_down, -block_across],
            outside: None,
        };
        let turned = walk(planner, node, &w, turned)?;
        Ok(turned.reshaped(node.shape(vec![self.groups * out * area(self.stride), inner, rows, columns])?))
    }

    /// Channels to pixels, of which only some are wanted.
    fn pixels(&self, planner: &mut Planner, node: &Node<'_>, channels: &Placed) -> Result<Placed, Halt> {
        let [down, across] = self.stride;
        let &[n, c, rows, columns] = channels.extents() else { return Err(node.invalid("no image")) };
        let out = c / area(self.stride);
        let cut = channels.reshaped(node.shape(vec![n * out, down, across, rows, columns])?);
        let moved = permute(planner, node, &cut, &[0, 3, 1, 4, 2])?;
        let whole = moved.reshaped(node.shape(vec![n, out, rows * down, columns * across])?);
        let shape = node.shape(vec![n, out, self.output[0], self.output[1]])?;
        if shape == whole.spec.shape {
            return Ok(whole);
        }
        let strides = steps(whole.extents());
        let offset = self.begin[0] as i64 * strides[2] + self.begin[1] as i64 * strides[3];
        walk(planner, node, &whole, Walk { shape, offset, strides, outside: None })
    }
}
