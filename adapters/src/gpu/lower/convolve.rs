//! Convolutions.

use super::{
    super::{
        kernels::{Kernel, Shader},
        plan::ITERATIONS_MAX,
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
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
    let y = if c == groups { convolution.depthwise(planner, node)? } else { convolution.dense(planner, node)? };
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

    /// Rows, columns, kernel, strides, pads, dilations and open bounds, as the shaders name them.
    fn parameters(&self) -> Vec<u32> {
        let [_, _, h_in, w_in] = self.sizes();
        let Windows { kernel, strides, begin, dilations, output, .. } = &self.windows;
        let mut all = vec![h_in as u32, w_in as u32];
        for pair in [output, kernel, strides, begin, dilations] {
            all.extend(pair.map(|value| value as u32));
        }
        all.extend([0, 0]);
        all
    }

    fn depthwise(self, planner: &mut Planner, node: &Node<'_>) -> Result<Placed, Halt> {
        if self.windows.kernel[0] * self.windows.kernel[1] > ITERATIONS_MAX {
            return Err(node.unsupported("a window of that size"));
        }
        let [n, c, ..] = self.sizes();
        let c_out = self.spec.shape.extents()[1];
        let [rows, columns] = self.windows.output;
        let count = n * c_out * rows * columns.div_ceil(4);
        let mut parameters = [count, c_out, c_out / c].map(|value| value as u32).to_vec();
        parameters.extend(self.parameters());
        let kernel = Kernel::new(Shader::Depthwise, [("BIAS", u32::from(self.bias.is_some()))]);
        let reads = [self.x, self.w, self.bias.unwrap_or(self.x), self.x];
        planner.dispatch(kernel, parameters, &reads, self.spec.clone(), grid(count))
    }

    fn dense(self, planner: &mut Planner, node: &Node<'_>) -> Result<Placed, Halt> {
        let [n, c, ..] = self.sizes();
        let (c_in, c_out) = (c / self.groups, self.spec.shape.extents()[1] / self.groups);
        let taps = self.windows.kernel[0] * self.windows.kernel[1];
        if c_in * taps > ITERATIONS_MAX || n * self.groups > 65_535 {
            return Err(node.unsupported("a convolution of that size"));
        }
        let weights = self.weights(planner, node, c_in * taps, c_out)?;
        let c_padded = c_out.next_multiple_of(16);
        let mut parameters = [n, self.groups, c_in, c_out, c_padded].map(|value| value as u32).to_vec();
        parameters.extend(self.parameters());
        let kernel = Kernel::new(Shader::Conv, [("BIAS", u32::from(self.bias.is_some()))]);
        let [rows, columns] = self.windows.output;
        let strips = rows * columns.div_ceil(8);
        let groups = [strips.div_ceil(8) as u32, c_padded as u32 / 16, (n * self.groups) as u32];
        let reads = [self.x, &weights, self.bias.unwrap_or(self.x), self.x];
        planner.dispatch(kernel, parameters, &reads, self.spec.clone(), groups)
    }

    /// [groups · out, in · taps] to [groups, in · taps, out padded to 16].
    fn weights(&self, planner: &mut Planner, node: &Node<'_>, inner: usize, out: usize) -> Result<Placed, Halt> {
        let cut = self.w.reshaped(node.shape(vec![self.groups, out, inner])?);
        let turned = permute(planner, node, &cut, &[0, 2, 1])?;
        super::movement::widen(planner, node, &turned, out.next_multiple_of(16))
    }
}
