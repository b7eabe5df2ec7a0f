//! Convolutions.

use super::{
    super::{
        kernels::Shader,
        planner::{Halt, Node, Placed, Planner, Value, grid},
        product::{Bias, COLUMNS, Epilogue, LANES, Product, ROWS},
    },
    matrix::blocks,
    movement::permute,
    pointwise::{convert, widened},
    volume,
    windows::{Windows, image},
};
use burst_host::nouns::{Element, Spec};

pub fn conv(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let (element, rank) = (node.spec(0)?.element, node.spec(0)?.shape.extents().len());
    if rank == 5 {
        return volume::conv(planner, node);
    }
    let (x, w) = (widened(planner, node, node.input(0))?, widened(planner, node, node.input(1))?);
    if w.extents().len() != rank {
        return Err(node.invalid("weights of another rank than the input"));
    }
    let bias = if node.has(2) { Some(widened(planner, node, node.input(2))?) } else { None };
    let [n, c, h_in, w_in] = image(node, &x)?;
    let groups = usize::try_from(node.int("group", 1)).unwrap_or(0);
    let c_out = w.extents()[0];
    if groups == 0 || c % groups != 0 || c_out % groups != 0 || w.extents().get(1) != Some(&(c / groups)) {
        return Err(node.invalid(&format!("{} and {} in {groups} groups", x.spec, w.spec)));
    }
    let windows = Windows::new(node, [h_in, w_in], &w.extents()[2..], false)?;
    let mut extents = vec![n, c_out];
    extents.extend(if x.extents().len() == 3 { &windows.output[1..] } else { &windows.output[..] });
    let spec = Spec { element: Element::Fp32, shape: node.shape(extents)? };
    let convolution = Convolution { x: &x, w: &w, bias: bias.as_ref(), windows, groups, spec };
    let y = if c == groups { convolution.depthwise(planner)? } else { convolution.dense(planner, node)? };
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

struct Convolution<'a> {
    x: &'a Placed,
    w: &'a Placed,
    bias: Option<&'a Placed>,
    windows: Windows,
    groups: usize,
    spec: Spec,
}

impl Convolution<'_> {
    fn sizes(&self) -> [usize; 4] {
        match *self.x.extents() {
            [n, c, h, w] => [n, c, h, w],
            [n, c, w] => [n, c, 1, w],
            _ => [0; 4],
        }
    }

    /// Rows, columns, kernel, strides, pads and dilations, as the shaders name them.
    fn geometry(&self) -> Vec<u32> {
        let [_, _, h_in, w_in] = self.sizes();
        let Windows { kernel, strides, begin, dilations, output, .. } = &self.windows;
        let pairs = [&[h_in, w_in], output, kernel, strides, begin, dilations];
        pairs.into_iter().flatten().map(|&value| value as u32).collect()
    }

    fn epilogue(&self) -> Epilogue {
        let bias = self.bias.map(|bias| Bias { tensor: bias.clone(), scale: 1.0, steps: [0, 1] });
        Epilogue { bias, ..Epilogue::new(false, self.pixels()) }
    }

    fn pixels(&self) -> usize {
        self.windows.output.iter().product()
    }

    fn depthwise(self, planner: &mut Planner) -> Result<Placed, Halt> {
        let [n, c, ..] = self.sizes();
        let c_out = self.spec.shape.extents()[1];
        let count = n * c_out * self.pixels().div_ceil(4);
        let mut parameters = [count, c_out, c_out / c].map(|value| value as u32).to_vec();
        parameters.extend(self.geometry());
        let constants = vec![("ALIGNED", u32::from(self.aligned()))];
        self.product(planner, (Shader::Depthwise, constants), parameters, self.w.clone(), grid(count))
    }

    /// Whether rows are quads in and out, and a window touches three of them.
    fn aligned(&self) -> bool {
        let Windows { kernel, strides, begin, dilations, output, .. } = &self.windows;
        let [_, _, _, w_in] = self.sizes();
        let square = strides == &[1, 1] && dilations == &[1, 1] && w_in == output[1] && w_in.is_multiple_of(4);
        square && begin[1] <= 4 && kernel[1] <= begin[1] + 5
    }

    fn dense(self, planner: &mut Planner, node: &Node<'_>) -> Result<Placed, Halt> {
        let [n, c, ..] = self.sizes();
        let (c_in, c_out) = (c / self.groups, self.spec.shape.extents()[1] / self.groups);
        let taps: usize = self.windows.kernel.iter().product();
        if n * self.groups > 65_535 {
            return Err(node.unsupported("a convolution of that size"));
        }
        let weights = self.weights(planner, node, [c_in, taps, c_out])?;
        let groups =
            [self.pixels().div_ceil(ROWS * LANES) as u32, c_out.div_ceil(COLUMNS) as u32, (n * self.groups) as u32];
        if taps == 1 && self.groups == 1 && self.plain() {
            return self.pointwise(planner, weights, groups);
        }
        let block = c_in * taps * COLUMNS / 4;
        let family = block * c_out.div_ceil(COLUMNS);
        let mut parameters = [self.groups, c_in, c_out, family, block].map(|value| value as u32).to_vec();
        parameters.extend(self.geometry());
        self.product(planner, (Shader::Conv, Vec::new()), parameters, weights, groups)
    }

    /// Whether every pixel of the result is made of the one at its place.
    fn plain(&self) -> bool {
        let Windows { strides, begin, end, .. } = &self.windows;
        strides == &[1, 1] && begin == &[0, 0] && end == &[0, 0]
    }

    /// One tap is a product of matrices: pixels by channels.
    fn pointwise(self, planner: &mut Planner, weights: Placed, groups: [u32; 3]) -> Result<Placed, Halt> {
        let [n, c, ..] = self.sizes();
        let (pixels, c_out) = (self.pixels(), self.spec.shape.extents()[1]);
        let block = c * COLUMNS / 4;
        let mut parameters = [pixels, c_out, c, 1, pixels, block, COLUMNS / 4].map(|value| value as u32).to_vec();
        parameters.extend([1, 1, 1, 1, 1, n as u32]);
        parameters.extend([0, 0, 0, 0, 0, (pixels * c) as u32]);
        parameters.extend([0; 6]);
        let reads = if pixels.is_multiple_of(4) { 1 } else { 2 };
        self.product(planner, (Shader::MatMul, vec![("READS", reads)]), parameters, weights, groups)
    }

    fn product(
        &self,
        planner: &mut Planner,
        (shader, constants): (Shader, Vec<(&'static str, u32)>),
        parameters: Vec<u32>,
        b: Placed,
        groups: [u32; 3],
    ) -> Result<Placed, Halt> {
        let y = planner.temporary(self.spec.clone())?;
        let epilogue = self.epilogue();
        let product = Product { shader, constants, parameters, a: self.x.clone(), b, y, groups, epilogue };
        Ok(planner.multiply(product))
    }

    /// [groups · out, in, taps] to [groups, blocks of out, taps, in, 32].
    fn weights(&self, planner: &mut Planner, node: &Node<'_>, sizes: [usize; 3]) -> Result<Placed, Halt> {
        let [c_in, taps, c_out] = sizes;
        let cut = self.w.reshaped(node.shape(vec![self.groups, c_out, c_in, taps])?);
        let turned = permute(planner, node, &cut, &[0, 3, 2, 1])?;
        blocks(planner, node, &turned.reshaped(node.shape(vec![self.groups, taps * c_in, c_out])?))
    }
}
