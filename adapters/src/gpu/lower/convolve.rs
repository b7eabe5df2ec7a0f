//! Convolutions.

use super::{
    super::{
        family::Family,
        kernels::Shader,
        planner::{Halt, Node, Placed, Planner, Value, grid},
        product::{Bias, Epilogue, Product},
        tiling::{COLUMNS, GROUPS_MAX, Tiling},
    },
    deep, halves,
    matrix::{BY_ROWS, Matrices, ONE_BY_ONE, blocks},
    movement::permute,
    pointwise::{convert, padded, widened},
    tall, volume,
    windows::{Windows, image},
};
use burst_host::nouns::{Element, Spec};

pub fn conv(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let (element, rank) = (node.spec(0)?.element, node.spec(0)?.shape.extents().len());
    if let Some(outputs) = deep::conv(planner, node)? {
        return Ok(outputs);
    }
    if rank == 5 {
        return volume::conv(planner, node);
    }
    let [x, w] = halves::sides(planner, node)?;
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
    if node.has(2) {
        node.holds(2, c_out)?;
    }
    let windows = Windows::new(node, [h_in, w_in], &w.extents()[2..], false)?;
    let mut extents = vec![n, c_out];
    extents.extend(if x.extents().len() == 3 { &windows.output[1..] } else { &windows.output[..] });
    let spec = Spec { element: Element::Fp32, shape: node.shape(extents)? };
    // A depthwise convolution reads its weights, which are few, one by one.
    let w = if c == groups { convert(planner, node, &w, Element::Fp32)? } else { w };
    let convolution = Convolution { x: &x, w: &w, bias: bias.as_ref(), windows, groups, spec, exact: false };
    let y = match c == groups {
        true => convolution.depthwise(planner)?,
        false => match tall::conv(planner, node, &convolution)? {
            Some(joined) => return Ok(vec![joined]),
            None => convolution.dense(planner, node)?,
        },
    };
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// A convolution of images, its tensors brought into form.
pub struct Convolution<'a> {
    pub x: &'a Placed,
    pub w: &'a Placed,
    bias: Option<&'a Placed>,
    pub windows: Windows,
    pub groups: usize,
    /// Of the result.
    pub spec: Spec,
    /// Whether sums of whole numbers have to be exact, below 2²⁴.
    pub exact: bool,
}

impl<'a> Convolution<'a> {
    /// One of whole numbers, whose sums are exact as long as they are below 2²⁴.
    pub fn exact(
        planner: &mut Planner,
        node: &Node<'_>,
        [x, w]: [&'a Placed; 2],
        windows: Windows,
        groups: usize,
        spec: Spec,
    ) -> Result<Placed, Halt> {
        let channels = x.extents()[1];
        let convolution = Self { x, w, bias: None, windows, groups, spec, exact: true };
        if channels == groups { convolution.depthwise(planner) } else { convolution.dense(planner, node) }
    }

    /// Whether a kernel for floats takes it in one piece.
    pub fn fits(windows: &Windows, batch: usize, groups: usize) -> bool {
        windows.output.iter().product::<usize>() <= tall::ROWS_MAX && batch.saturating_mul(groups) <= GROUPS_MAX
    }

    /// Batch, channels, rows and columns.
    pub fn sizes(&self) -> [usize; 4] {
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

    pub fn epilogue(&self) -> Epilogue {
        let bias = self.bias.map(|bias| Bias { tensor: bias.clone(), scale: 1.0, steps: [0, 1] });
        Epilogue { bias, ..Epilogue::new(false, [self.pixels(), self.spec.shape.extents()[1]]) }
    }

    pub fn pixels(&self) -> usize {
        self.windows.output.iter().product()
    }

    fn depthwise(self, planner: &mut Planner) -> Result<Placed, Halt> {
        let [n, c, ..] = self.sizes();
        let c_out = self.spec.shape.extents()[1];
        let count = n * c_out * self.pixels().div_ceil(4);
        let mut parameters = [count, c_out, c_out / c].map(|value| value as u32).to_vec();
        parameters.extend(self.geometry());
        let constants = vec![("ALIGNED", u32::from(self.aligned()))];
        let y = planner.temporary(self.spec.clone())?;
        let (a, b, groups, epilogue) = (self.x.clone(), Some(self.w.clone()), grid(count), self.epilogue());
        let shader = Shader::Depthwise;
        planner.multiply(Product { shader, constants, parameters, a, b, y, groups, epilogue }, 1)
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
        if self.suits_winograd(planner) {
            return self.winograd(planner, node);
        }
        if n * self.groups > GROUPS_MAX {
            return Err(node.unsupported("a convolution of that size"));
        }
        let b = self.weights(planner, node, [c_in, taps, c_out])?;
        if taps == 1 && self.groups == 1 && self.plain() {
            return self.pointwise(planner, &b);
        }
        let tiling = Tiling::of(&planner.target, [self.pixels(), c_out, taps * c_in], n * self.groups);
        let block = c_in * taps * COLUMNS / 4;
        let family = block * c_out.div_ceil(COLUMNS);
        let numbers = [self.groups, c_in, c_out, family, block, tiling.parts, tiling.part];
        let mut parameters = numbers.map(|value| value as u32).to_vec();
        parameters.extend(self.geometry());
        let mut constants = tiling.constants();
        if planner.target.choice.family == Family::Shared {
            constants.push(("FOURS", u32::from(c_in.is_multiple_of(4))));
        }
        let y = planner.temporary(self.spec.clone())?;
        let (a, groups, epilogue) = (self.x.clone(), tiling.groups(), self.epilogue());
        let product = Product { shader: Shader::Conv, constants, parameters, a, b: Some(b), y, groups, epilogue };
        planner.multiply(product, tiling.parts)
    }

    /// Whether every pixel of the result is made of the one at its place.
    fn plain(&self) -> bool {
        let Windows { strides, begin, end, .. } = &self.windows;
        strides == &[1, 1] && begin == &[0, 0] && end == &[0, 0]
    }

    /// One tap is a product of matrices: pixels by channels.
    fn pointwise(self, planner: &mut Planner, weights: &Placed) -> Result<Placed, Halt> {
        let [n, c, ..] = self.sizes();
        let (pixels, c_out) = (self.pixels(), self.spec.shape.extents()[1]);
        let matrices = Matrices {
            sizes: [pixels, c_out, c],
            reads: if pixels.is_multiple_of(4) { BY_ROWS } else { ONE_BY_ONE },
            a_steps: [1, pixels],
            b_steps: [c * COLUMNS / 4, COLUMNS / 4],
            batch: n,
            shape: padded(&[n], 1),
            a_strides: padded(&[pixels * c], 0),
            b_strides: [0; 8],
        };
        let y = planner.temporary(self.spec.clone())?;
        // One pixel is a row as well as a column.
        let epilogue = Epilogue { by_rows: pixels == 1, ..self.epilogue() };
        matrices.multiply(planner, [self.x, weights], y, epilogue)
    }

    /// [groups · out, in, taps] to [groups, blocks of out, taps, in, 32].
    fn weights(&self, planner: &mut Planner, node: &Node<'_>, sizes: [usize; 3]) -> Result<Placed, Halt> {
        let [c_in, taps, c_out] = sizes;
        let cut = self.w.reshaped(node.shape(vec![self.groups, c_out, c_in, taps])?);
        let turned = permute(planner, node, &cut, &[0, 3, 2, 1])?;
        blocks(planner, node, &turned.reshaped(node.shape(vec![self.groups, taps * c_in, c_out])?))
    }
}
