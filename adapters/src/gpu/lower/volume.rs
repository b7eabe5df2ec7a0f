//! Convolutions of volumes, with a kernel that transposed ones of any rank share.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value},
        tiling::GROUPS_MAX,
    },
    movement::{permute, widen},
    pointwise::{convert, widened},
    windows::{Windows, volume},
};
use burst_host::nouns::{Element, Spec};

/// Output channels of an invocation, and pixels of a row.
const CHANNELS: usize = 16;
const PIXELS: usize = 8;
/// Invocations of a workgroup.
const GROUP: usize = 32;

pub fn conv(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let (x, w) = (widened(planner, node, node.input(0))?, widened(planner, node, node.input(1))?);
    let bias = if node.has(2) { Some(widened(planner, node, node.input(2))?) } else { None };
    let ([_, c], input) = volume(node, &x)?;
    let groups = groups(node, c)?;
    let &[out, inner, ref kernel @ ..] = w.extents() else { return Err(node.invalid("weights have channels")) };
    if kernel.len() + 2 != x.extents().len() || inner != c / groups || !out.is_multiple_of(groups) {
        return Err(node.invalid(&format!("{} and {} in {groups} groups", x.spec, w.spec)));
    }
    let windows = Windows::new(node, input, kernel, false)?;
    let channels = [inner, out / groups];
    let taps = kernel.iter().product();
    let weights = w.reshaped(node.shape(vec![groups, channels[1], channels[0], taps])?);
    let weights = permute(planner, node, &weights, &[0, 3, 2, 1])?;
    let gather = Gather { x: &x, weights, bias: bias.as_ref(), groups, channels, windows, transposed: false };
    let y = gather.dispatch(planner, node)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// The attribute `group`, which divides the channels.
pub fn groups(node: &Node<'_>, channels: usize) -> Result<usize, Halt> {
    let groups = usize::try_from(node.int("group", 1)).ok().filter(|&groups| groups > 0);
    groups.filter(|&groups| channels.is_multiple_of(groups)).ok_or_else(|| node.invalid("groups that do not fit"))
}

/// A convolution or a transposed one, as the kernel takes it.
pub struct Gather<'a> {
    pub x: &'a Placed,
    /// [groups, taps, channels in, channels out]
    pub weights: Placed,
    pub bias: Option<&'a Placed>,
    pub groups: usize,
    /// Of a group, in and out.
    pub channels: [usize; 2],
    pub windows: Windows<3>,
    pub transposed: bool,
}

impl Gather<'_> {
    /// The result, in f32.
    pub fn dispatch(self, planner: &mut Planner, node: &Node<'_>) -> Result<Placed, Halt> {
        let ([n, _], input) = volume(node, self.x)?;
        let [c_in, c_out] = self.channels;
        if self.bias.is_some_and(|bias| bias.spec.shape.elements() != self.groups * c_out) {
            return Err(node.invalid("a bias that does not fit"));
        }
        let c_padded = c_out.next_multiple_of(CHANNELS);
        let weights = widen(planner, node, &self.weights, c_padded)?;
        let mut extents = vec![n, self.groups * c_out];
        extents.extend(&self.windows.output[5 - self.x.extents().len()..]);
        let spec = Spec { element: Element::Fp32, shape: node.shape(extents)? };
        let mut parameters = [self.groups, c_in, c_out, c_padded].map(|value| value as u32).to_vec();
        let Windows { kernel, strides, begin, dilations, output, .. } = &self.windows;
        for numbers in [&input, output, kernel, strides, begin, dilations] {
            parameters.extend(numbers.map(|value| value as u32));
        }
        let constants = [("BIAS", u32::from(self.bias.is_some())), ("TRANSPOSED", u32::from(self.transposed))];
        let reads = [self.x, &weights, self.bias.unwrap_or(self.x)];
        let grid = self.grid(node, n, c_padded)?;
        planner.dispatch(Kernel::new(Shader::Volume, constants), parameters, &reads, spec, grid)
    }

    /// Strips of pixels that do the same; blocks of channels for each such kind of pixel; images and groups.
    fn grid(&self, node: &Node<'_>, images: usize, c_padded: usize) -> Result<[u32; 3], Halt> {
        let spread = |axis: usize| if self.transposed { self.windows.strides[axis] } else { 1 };
        let count = |axis: usize| self.windows.output[axis].div_ceil(spread(axis));
        let strips = count(0) * count(1) * count(2).div_ceil(PIXELS);
        let kinds = (0..3).map(spread).fold(1, usize::saturating_mul);
        let grid = [strips.div_ceil(GROUP), kinds.saturating_mul(c_padded / CHANNELS), images * self.groups];
        if grid.iter().any(|&groups| groups > GROUPS_MAX) {
            return Err(node.unsupported("a convolution of that size"));
        }
        Ok(grid.map(|groups| groups as u32))
    }
}
