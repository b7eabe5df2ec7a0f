//! Convolutions.

use super::{
    super::{
        kernels::{Kernel, Shader},
        plan::ITERATIONS_MAX,
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    movement::permute,
    pointwise::{convert, widened},
};
use burst_host::nouns::{Element, Spec};

/// The windows of an image: what convolutions and pools share.
pub struct Windows {
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    /// Before and after, rows then columns.
    pub begin: [usize; 2],
    pub end: [usize; 2],
    pub dilations: [usize; 2],
    pub output: [usize; 2],
}

impl Windows {
    /// Windows over an image of `input` rows and columns; `up` lets the last one pass the end.
    pub fn new(node: &Node<'_>, input: [usize; 2], kernel: &[usize], up: bool) -> Result<Self, Halt> {
        let axes = kernel.len();
        let list = |name: &str, default: i64, length: usize| -> Result<Vec<i64>, Halt> {
            let values = node.ints(name).unwrap_or_else(|| vec![default; length]);
            let whole = values.len() == length && values.iter().all(|&value| value >= 0);
            if whole { Ok(values) } else { Err(node.invalid(&format!("`{name}` is {values:?}"))) }
        };
        let (strides, dilations) = (list("strides", 1, axes)?, list("dilations", 1, axes)?);
        let pads = list("pads", 0, 2 * axes)?;
        // A row of an image stands for a line.
        let pair = |values: &[i64], fill: usize| match *values {
            [columns] => [fill, columns as usize],
            [rows, columns] => [rows as usize, columns as usize],
            _ => [fill, fill],
        };
        let kernel = pair(&kernel.iter().map(|&extent| extent as i64).collect::<Vec<_>>(), 1);
        let (strides, dilations) = (pair(&strides, 1), pair(&dilations, 1));
        if strides.contains(&0) || dilations.contains(&0) || kernel.contains(&0) {
            return Err(node.invalid("a stride, dilation or kernel of 0"));
        }
        let (mut begin, mut end) = (pair(&pads[..axes], 0), pair(&pads[axes..], 0));
        let mut output = [0; 2];
        let rule = node.text("auto_pad", "NOTSET");
        for axis in 0..2 {
            let reach = (kernel[axis] - 1) * dilations[axis] + 1;
            if rule.starts_with("SAME") {
                output[axis] = input[axis].div_ceil(strides[axis]);
                let all = ((output[axis].max(1) - 1) * strides[axis] + reach).saturating_sub(input[axis]);
                let less = all / 2;
                (begin[axis], end[axis]) = if rule == "SAME_UPPER" { (less, all - less) } else { (all - less, less) };
            } else {
                let room = (input[axis] + begin[axis] + end[axis]).checked_sub(reach);
                let room = room.ok_or_else(|| node.invalid("the kernel is larger than the padded image"))?;
                output[axis] = room / strides[axis] + 1;
                let rest = room % strides[axis] != 0;
                // A window that begins beyond the image is not one.
                if up && rest && output[axis] * strides[axis] < input[axis] + begin[axis] {
                    output[axis] += 1;
                }
            }
        }
        Ok(Self { kernel, strides, begin, end, dilations, output })
    }
}

/// Batch, channels, rows and columns; a line is an image of one row.
pub fn image(node: &Node<'_>, x: &Placed) -> Result<[usize; 4], Halt> {
    match *x.extents() {
        [n, c, w] => Ok([n, c, 1, w]),
        [n, c, h, w] => Ok([n, c, h, w]),
        _ => Err(node.unsupported("volumes")),
    }
}

pub fn conv(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let (x, w) = (widened(planner, node, node.input(0))?, widened(planner, node, node.input(1))?);
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
