//! Convolutions, pools and images in other sizes.

use super::{
    node::{Node, Outcome, length},
    value::{Value, product},
};
use burst_host::nouns::{Attribute, Element};

/// A kernel and how it goes over an image, along each axis.
struct Windows {
    kernel: Vec<u64>,
    strides: Vec<u64>,
    dilations: Vec<u64>,
    /// Before and after the image; less than nothing cuts off.
    before: Vec<i64>,
    after: Vec<i64>,
}

impl Windows {
    fn of(node: &Node, kernel: Vec<u64>) -> Option<Self> {
        let axes = kernel.len();
        let all = |name, default: u64, count: usize| match node.ints(name) {
            Some(values) if values.len() == count => values.iter().map(|&value| u64::try_from(value).ok()).collect(),
            _ => Some(vec![default; count]),
        };
        let pads = node.ints("pads").filter(|pads| pads.len() == 2 * axes);
        let mut before = pads.map_or_else(|| vec![0; 2 * axes], <[i64]>::to_vec);
        let after = before.split_off(axes);
        Some(Self { strides: all("strides", 1, axes)?, dilations: all("dilations", 1, axes)?, kernel, before, after })
    }

    /// What a kernel with its gaps covers.
    fn reach(&self, axis: usize) -> u64 {
        self.dilations[axis].saturating_mul(self.kernel[axis].saturating_sub(1)).saturating_add(1)
    }

    /// An extent with its pads, or what is left without them.
    fn padded(&self, axis: usize, extent: u64) -> u64 {
        let pads = i128::from(self.before[axis]) + i128::from(self.after[axis]);
        u64::try_from((i128::from(extent) + pads).max(0)).unwrap_or(u64::MAX)
    }

    fn unpadded(&self, axis: usize, extent: u64) -> u64 {
        let pads = i128::from(self.before[axis]) + i128::from(self.after[axis]);
        u64::try_from((i128::from(extent) - pads).max(0)).unwrap_or(u64::MAX)
    }

    /// How many places it takes along an axis.
    fn places(&self, node: &Node, axis: usize, extent: u64) -> Option<u64> {
        let stride = self.strides[axis];
        let over = |room: u64| match node.int("ceil_mode", 0) {
            0 => room.checked_div(stride),
            _ => Some(room.checked_add(stride.checked_sub(1)?)? / stride),
        };
        match node.text("auto_pad") {
            "SAME_UPPER" | "SAME_LOWER" => Some(extent.checked_add(stride.checked_sub(1)?)? / stride),
            "VALID" => Some(
                extent.saturating_sub(self.reach(axis).checked_sub(1)?).checked_add(stride.checked_sub(1)?)? / stride,
            ),
            _ => match self.padded(axis, extent).checked_sub(self.reach(axis)) {
                Some(room) => over(room)?.checked_add(1),
                None => Some(0),
            },
        }
    }
}

/// `Conv` and its relatives, whose weights are input `weights`.
fn convolved(node: &Node, weights: usize, element: Option<Element>) -> Option<Outcome> {
    let (image, weights) = (node.extents(0)?, node.extents(weights)?);
    let (&[batch, channels], space) = image.split_first_chunk()?;
    let (&[out, depth], kernel) = weights.split_first_chunk()?;
    let windows = Windows::of(node, kernel.to_vec()).filter(|_| space.len() == kernel.len())?;
    let places: Vec<u64> =
        space.iter().enumerate().map(|(axis, &extent)| windows.places(node, axis, extent)).collect::<Option<_>>()?;
    let value = Value::new(element, [&[batch, out], places.as_slice()].concat());
    let taps = product(kernel).saturating_mul(depth);
    let mut outcome = Outcome::each(value, taps)?;
    outcome.scratch_bytes = unfolded(node, batch, channels, kernel, &places);
    Some(outcome)
}

/// Bytes of windows side by side. Those of one image in floats are read where they are, as are those of single channels.
fn unfolded(node: &Node, batch: u64, channels: u64, kernel: &[u64], places: &[u64]) -> u64 {
    let in_place = batch <= 1 && node.op.kind == "Conv";
    let depthwise = channels > 1 && u64::try_from(node.int("group", 1)) == Ok(channels);
    if product(kernel) <= 1 || in_place || depthwise {
        return 0;
    }
    let size = node.element(0).and_then(Element::size).unwrap_or(8) as u64;
    product(&[batch, channels, product(kernel), product(places), size])
}

pub(super) fn conv(node: &Node) -> Option<Outcome> {
    convolved(node, 1, node.element(0))
}

pub(super) fn conv_integer(node: &Node) -> Option<Outcome> {
    convolved(node, 1, Some(Element::I32))
}

pub(super) fn conv_quantized(node: &Node) -> Option<Outcome> {
    convolved(node, 3, node.element(7))
}

pub(super) fn conv_transposed(node: &Node) -> Option<Outcome> {
    let (image, weights) = (node.extents(0)?, node.extents(1)?);
    let (&[batch, channels], space) = image.split_first_chunk()?;
    let (&[_, depth], kernel) = weights.split_first_chunk()?;
    let windows = Windows::of(node, kernel.to_vec()).filter(|_| space.len() == kernel.len())?;
    let groups = u64::try_from(node.int("group", 1)).ok()?;
    let same = node.text("auto_pad").starts_with("SAME");
    let place = |(axis, &extent): (usize, &u64)| {
        let extra = node
            .ints("output_padding")
            .and_then(|extra| extra.get(axis))
            .map_or(Some(0), |&extra| u64::try_from(extra).ok())?;
        match node.ints("output_shape") {
            Some(extents) => u64::try_from(*extents.get(extents.len().checked_sub(space.len())? + axis)?).ok(),
            None if same => extent.checked_mul(windows.strides[axis]),
            None => {
                let whole =
                    extent.saturating_sub(1).saturating_mul(windows.strides[axis]).saturating_add(windows.reach(axis));
                Some(windows.unpadded(axis, whole.saturating_add(extra)))
            }
        }
    };
    let places: Vec<u64> = space.iter().enumerate().map(place).collect::<Option<_>>()?;
    let value = Value::new(node.element(0), [&[batch, depth.saturating_mul(groups)], places.as_slice()].concat());
    let taps = product(&[batch, channels, product(space), product(kernel), depth]);
    let mut outcome = Outcome::new(vec![value], taps)?;
    outcome.scratch_bytes = product(&[batch, depth, groups, product(kernel), product(space), 4]);
    Some(outcome)
}

pub(super) fn deformed(node: &Node) -> Option<Outcome> {
    let mut outcome = convolved(node, 1, node.element(0))?;
    // Each tap is looked up between four pixels.
    outcome.operations = outcome.operations.saturating_mul(8);
    Some(outcome)
}

pub(super) fn pool(node: &Node) -> Option<Outcome> {
    let (&[batch, channels], space) = node.extents(0)?.split_first_chunk()?;
    let kernel: Vec<u64> =
        node.ints("kernel_shape")?.iter().map(|&extent| u64::try_from(extent).ok()).collect::<Option<_>>()?;
    let windows = Windows::of(node, kernel).filter(|windows| windows.kernel.len() == space.len())?;
    let places: Vec<u64> =
        space.iter().enumerate().map(|(axis, &extent)| windows.places(node, axis, extent)).collect::<Option<_>>()?;
    // A last window that begins behind the image is left out by some.
    let at_most = node.int("ceil_mode", 0) != 0;
    let value = Value { at_most, ..Value::new(node.element(0), [&[batch, channels], places.as_slice()].concat()) };
    let indices = Value { element: Some(Element::I64), ..value.clone() };
    let operations = value.elements()?.saturating_mul(product(&windows.kernel));
    Outcome::new([value, indices].into_iter().take(node.outputs().max(1)).collect(), operations)
}

pub(super) fn pool_global(node: &Node) -> Option<Outcome> {
    let (kept, space) = node.extents(0)?.split_first_chunk::<2>()?;
    let value = Value::new(node.element(0), kept.iter().copied().chain(space.iter().map(|_| 1)).collect());
    Outcome::new(vec![value], node.elements(0))
}

pub(super) fn unpool(node: &Node) -> Option<Outcome> {
    if let Some(shape) = node.input(2) {
        let extents = shape.integers()?.into_iter().map(|extent| u64::try_from(extent).unwrap_or(0)).collect();
        return Outcome::each(Value::new(node.element(0), extents), 1);
    }
    let (kept, space) = node.extents(0)?.split_first_chunk::<2>()?;
    let kernel: Vec<u64> =
        node.ints("kernel_shape")?.iter().map(|&extent| u64::try_from(extent).ok()).collect::<Option<_>>()?;
    let windows = Windows::of(node, kernel).filter(|windows| windows.kernel.len() == space.len())?;
    let place = |(axis, &extent): (usize, &u64)| {
        let whole = extent.saturating_sub(1).saturating_mul(windows.strides[axis]).saturating_add(windows.kernel[axis]);
        windows.unpadded(axis, whole)
    };
    let extents = kept.iter().copied().chain(space.iter().enumerate().map(place)).collect();
    Outcome::each(Value::new(node.element(0), extents), 1)
}

/// `Resize` and `Upsample`: sizes, or scales, in an attribute or as the last input.
pub(super) fn resize(node: &Node) -> Option<Outcome> {
    let from = node.extents(0)?;
    let axes = match node.ints("axes") {
        Some(axes) => axes.iter().map(|&axis| super::node::place(axis, from.len())).collect::<Option<Vec<_>>>()?,
        None => (0..from.len()).collect(),
    };
    let mut extents = from.to_vec();
    let filled = |index: usize| node.input(index).filter(|value| value.extents.as_deref() != Some(&[0]));
    if let Some(sizes) = filled(3) {
        let sizes = sizes.integers()?.into_iter().map(|size| u64::try_from(size).unwrap_or(0));
        axes.iter().zip(sizes).for_each(|(&axis, size)| extents[axis] = size);
        keep_aspect(node, from, &axes, &mut extents);
        return sampled(node, Value::new(node.element(0), extents));
    }
    let scales = match node.op.attribute("scales") {
        Some(Attribute::Floats(scales)) => scales.iter().map(|&scale| f64::from(scale)).collect(),
        _ => filled(2).or(filled(1))?.numbers.as_ref()?.to_vec(),
    };
    for (&axis, scale) in axes.iter().zip(scales) {
        extents[axis] = length(from[axis] as f64 * scale);
    }
    sampled(node, Value::new(node.element(0), extents))
}

/// With `keep_aspect_ratio_policy` sizes are limits of one scale for all axes.
fn keep_aspect(node: &Node, from: &[u64], axes: &[usize], to: &mut [u64]) {
    let scales = axes.iter().map(|&axis| to[axis] as f64 / from[axis] as f64);
    let scale = match node.text("keep_aspect_ratio_policy") {
        "not_larger" => scales.fold(f64::INFINITY, f64::min),
        "not_smaller" => scales.fold(0.0, f64::max),
        _ => return,
    };
    axes.iter().for_each(|&axis| to[axis] = length((scale * from[axis] as f64 + 0.5).floor()));
}

/// A pixel between others, more of them where the image becomes smaller without jags.
fn sampled(node: &Node, value: Value) -> Option<Outcome> {
    let taps = match node.text("mode") {
        "cubic" | "bicubic" => 4u64,
        "linear" | "bilinear" => 2,
        _ => 1,
    };
    let axes = node.extents(0)?.iter().zip(value.extents.as_ref()?).filter(|(from, to)| from != to).count();
    let mut operations = value.elements()?.saturating_mul(taps.saturating_pow(axes as u32));
    if node.int("antialias", 0) != 0 {
        operations = operations.saturating_add(node.elements(0).saturating_mul(taps));
    }
    Outcome::new(vec![value], operations)
}

pub(super) fn grid_sample(node: &Node) -> Option<Outcome> {
    let (&[batch, channels], _) = node.extents(0)?.split_first_chunk()?;
    let (_, grid) = node.extents(1)?.split_first()?;
    let (&axes, space) = grid.split_last()?;
    let taps = if node.text("mode").contains("cubic") { 4u64 } else { 2 };
    let value = Value::new(node.element(0), [&[batch, channels], space].concat());
    Outcome::each(value, taps.saturating_pow(axes.min(8) as u32))
}

pub(super) fn affine_grid(node: &Node) -> Option<Outcome> {
    let size: Vec<u64> = node.numbers("", 1)?.into_iter().map(|extent| u64::try_from(extent).unwrap_or(0)).collect();
    let (&[batch, _], space) = size.split_first_chunk()?;
    let extents = [&[batch], space, &[space.len() as u64]].concat();
    Outcome::each(Value::new(node.element(0), extents), space.len() as u64 + 1)
}

/// Regions of an image, each as an image of the size that attributes tell.
pub(super) fn regions(node: &Node) -> Option<Outcome> {
    let &[_, channels, height, width] = node.extents(0)? else { return None };
    let &[count, _] = node.extents(1)? else { return None };
    let pooled = node.ints("pooled_shape");
    let extent = |name, at: usize| {
        let told = pooled.and_then(|pooled| pooled.get(at).copied()).unwrap_or_else(|| node.int(name, 1));
        u64::try_from(told).unwrap_or(0)
    };
    let value =
        Value::new(node.element(0), vec![count, channels, extent("output_height", 0), extent("output_width", 1)]);
    let ratio = u64::try_from(node.int("sampling_ratio", 0)).unwrap_or(0);
    let operations = match ratio {
        // As many samples as a region has pixels.
        0 => product(&[count, channels, height, width, 4]).saturating_add(value.elements()?),
        ratio => value.elements()?.saturating_mul(ratio.saturating_mul(ratio)).saturating_mul(4),
    };
    Outcome::new(vec![value], operations)
}

pub(super) fn columns_to_image(node: &Node) -> Option<Outcome> {
    let &[batch, rows, _] = node.extents(0)? else { return None };
    let positive = |index| {
        let numbers = node.input(index)?.integers()?;
        numbers.into_iter().map(|extent| u64::try_from(extent).ok()).collect::<Option<Vec<u64>>>()
    };
    let (image, block) = (positive(1)?, positive(2)?);
    let channels = rows.checked_div(product(&block))?;
    let value = Value::new(node.element(0), [&[batch, channels], image.as_slice()].concat());
    Outcome::new(vec![value], node.elements(0))
}
