//! Images of another extent: weights of each axis are worked out here, as ONNX's reference does; the device sums.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, axes, grid},
    },
    pointwise::{convert, widened},
};
use burst_host::nouns::{Element, Spec, Tensor};

/// Places that are looked at along one axis, all together.
const TAPS_MAX: f64 = (1 << 24) as f64;

/// How one axis is resized.
struct Axis {
    at: usize,
    before: usize,
    after: usize,
    /// Exact: `after` may be rounded down from it.
    scale: f64,
    /// The part that is looked at, where only a part is.
    part: (f64, f64),
}

/// For every place of the result: where to read and with which weight.
struct Taps {
    each: usize,
    places: Vec<u32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

/// Scales and sizes are inputs; `Upsample` has scales alone.
pub fn resize(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let axes = resized(node)?;
    let mut x = match element {
        Element::U8 | Element::I8 | Element::U16 | Element::I16 => {
            let narrow = planner.place(node.input(0))?;
            convert(planner, node, &narrow, Element::Fp32)?
        }
        _ => widened(planner, node, node.input(0))?,
    };
    for axis in &axes {
        let taps = taps(node, axis)?;
        x = along(planner, node, &x, axis, taps)?;
    }
    Ok(vec![convert(planner, node, &x, element)?.into()])
}

/// Axes whose results are within limits.
fn resized(node: &Node<'_>) -> Result<Vec<Axis>, Halt> {
    let extents = node.spec(0)?.shape.extents().to_vec();
    // Resize before opset 11 and Upsample: no region of interest.
    let early = node.op.kind == "Upsample" || (node.opset < 11 && node.inputs.len() == 2);
    let (scales_at, sizes_at) = if early { (1, 9) } else { (2, 3) };
    let chosen = match node.ints("axes") {
        Some(given) => axes(node, &given, extents.len())?,
        None => (0..extents.len()).collect(),
    };
    let sizes = if node.has(sizes_at) { node.numbers(sizes_at)? } else { Vec::new() };
    let scales: Vec<f64> = if sizes.is_empty() {
        node.floats(scales_at)?
    } else {
        let scale = |(&size, &at): (&i64, &usize)| size as f64 / extents[at] as f64;
        kept(node, sizes.iter().zip(&chosen).map(scale).collect())
    };
    let roi = if !early && node.has(1) { node.floats(1)? } else { Vec::new() };
    if scales.len() != chosen.len() || !(sizes.is_empty() || sizes.len() == chosen.len()) {
        return Err(node.invalid("a scale or size for each axis is needed"));
    }
    if !scales.iter().all(|scale| scale.is_finite() && *scale > 0.0) || sizes.iter().any(|&size| size < 0) {
        return Err(node.invalid(&format!("scales of {scales:?}")));
    }
    let policy = node.text("keep_aspect_ratio_policy", "stretch");
    let axis = |(index, &at): (usize, &usize)| {
        let (before, scale) = (extents[at], scales[index]);
        let after = match sizes.get(index) {
            Some(&size) if policy == "stretch" => size.max(0) as usize,
            Some(_) => (before as f64 * scale).round() as usize,
            None => (before as f64 * scale).floor() as usize,
        };
        let part = (roi.get(index).copied().unwrap_or(0.0), roi.get(index + chosen.len()).copied().unwrap_or(1.0));
        Axis { at, before, after, scale, part }
    };
    let axes: Vec<Axis> = chosen.iter().enumerate().map(axis).collect();
    let mut extents = extents;
    axes.iter().for_each(|axis| extents[axis.at] = axis.after);
    node.shape(extents).map(|_| axes)
}

/// One scale for all axes, where the aspect ratio is kept.
fn kept(node: &Node<'_>, scales: Vec<f64>) -> Vec<f64> {
    let one = match node.text("keep_aspect_ratio_policy", "stretch").as_str() {
        "not_larger" => scales.iter().copied().fold(f64::INFINITY, f64::min),
        "not_smaller" => scales.iter().copied().fold(0.0, f64::max),
        _ => return scales,
    };
    vec![one; scales.len()]
}

/// Where a place of the result lies in the input.
fn origin(node: &Node<'_>, axis: &Axis, place: usize) -> f64 {
    let (before, after, x) = (axis.before as f64, axis.after as f64, place as f64);
    let half = (x + 0.5) / axis.scale - 0.5;
    match node.text("coordinate_transformation_mode", default_mode(node)).as_str() {
        // By the extent before it is rounded down.
        "align_corners" if axis.scale * before == 1.0 => 0.0,
        "align_corners" => x * (before - 1.0) / (axis.scale * before - 1.0),
        "asymmetric" => x / axis.scale,
        "pytorch_half_pixel" if axis.after <= 1 => 0.0,
        "half_pixel_symmetric" => {
            let adjusted = after / (axis.scale * before);
            before / 2.0 * (1.0 - adjusted) + half
        }
        "tf_half_pixel_for_nn" => (x + 0.5) / axis.scale,
        "tf_crop_and_resize" if axis.after > 1 => {
            axis.part.0 * (before - 1.0) + x * (axis.part.1 - axis.part.0) * (before - 1.0) / (after - 1.0)
        }
        "tf_crop_and_resize" => 0.5 * (axis.part.0 + axis.part.1) * (before - 1.0),
        _ => half,
    }
}

fn default_mode(node: &Node<'_>) -> &'static str {
    if node.opset < 11 || node.op.kind == "Upsample" { "asymmetric" } else { "half_pixel" }
}

fn taps(node: &Node<'_>, axis: &Axis) -> Result<Taps, Halt> {
    let cropped = node.text("coordinate_transformation_mode", "") == "tf_crop_and_resize";
    let mut taps = Taps { each: 0, places: Vec::new(), weights: Vec::new(), bias: Vec::new() };
    let (before, reach) = (axis.before as f64, reach(node, axis.scale));
    if axis.after as f64 * 2.0 * reach > TAPS_MAX {
        return Err(node.unsupported("windows of that size"));
    }
    let nearest = node.text("mode", "nearest") == "nearest";
    // As ONNX Runtime takes its neighbours, which shows where one of them is infinite.
    let plain = !nearest && shrink(node, axis.scale) == 1.0 && node.int("exclude_outside", 0) == 0;
    let linear = node.text("mode", "nearest") != "cubic";
    for place in 0..axis.after {
        let asked = origin(node, axis, place);
        let x = asked.clamp(-reach, before + reach);
        let x = if plain && linear { x.clamp(0.0, (before - 1.0).max(0.0)) } else { x };
        // The neighbour on the left is preferred: the rest is in (0, 1].
        let (left, rest) = if x.fract() == 0.0 && !plain { (x - 1.0, 1.0) } else { (x.floor(), x - x.floor()) };
        let mut weights = weights(node, rest, axis.scale)?;
        let mut first = left as i64 + 1 - weights.len() as i64 / 2;
        // One place: zero times another would be no number where that is infinite.
        if nearest {
            first += i64::from(weights[0] == 0.0);
            weights = vec![1.0];
        }
        if plain && linear && left + 1.0 >= before {
            weights = vec![0.5; 2];
        }
        taps.each = weights.len();
        let outside = cropped && (asked < 0.0 || asked > before - 1.0);
        if node.int("exclude_outside", 0) == 1 && !nearest {
            exclude(&mut weights, first, axis.before as i64);
        }
        taps.bias.push(if outside { node.float("extrapolation_value", 0.0) } else { 0.0 });
        for (step, weight) in weights.iter().enumerate() {
            let at = (first + step as i64).clamp(0, axis.before as i64 - 1);
            taps.places.push(at as u32);
            taps.weights.push(if outside { 0.0 } else { *weight as f32 });
        }
    }
    Ok(taps)
}

/// Shrinking with smoothing, the window grows as the result shrinks.
fn shrink(node: &Node<'_>, scale: f64) -> f64 {
    if node.int("antialias", 0) == 1 { scale.min(1.0) } else { 1.0 }
}

/// How far from its place a window may look.
fn reach(node: &Node<'_>, scale: f64) -> f64 {
    2.0 / shrink(node, scale) + 2.0
}

fn exclude(weights: &mut [f64], first: i64, extent: i64) {
    for (step, weight) in weights.iter_mut().enumerate() {
        if !(0..extent).contains(&(first + step as i64)) {
            *weight = 0.0;
        }
    }
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
}

/// Weights of the neighbours, an even number of them around the place.
fn weights(node: &Node<'_>, rest: f64, scale: f64) -> Result<Vec<f64>, Halt> {
    let shrink = shrink(node, scale);
    let a = f64::from(node.float("cubic_coeff_a", -0.75));
    match node.text("mode", "nearest").as_str() {
        "nearest" => Ok(nearest(&node.text("nearest_mode", nearest_mode(node)), rest)),
        "linear" | "bilinear" => Ok(window(rest, shrink, 1.0, |x| (1.0 - x).max(0.0))),
        "cubic" => Ok(window(rest, shrink, 2.0, |x| cubic(x, a))),
        mode => Err(node.unsupported(&format!("mode `{mode}`"))),
    }
}

fn nearest_mode(node: &Node<'_>) -> &'static str {
    if node.opset < 11 || node.op.kind == "Upsample" { "floor" } else { "round_prefer_floor" }
}

fn nearest(mode: &str, rest: f64) -> Vec<f64> {
    let right = match mode {
        "floor" => rest == 1.0,
        "ceil" => true,
        "round_prefer_ceil" => rest >= 0.5,
        _ => rest > 0.5,
    };
    if right { vec![0.0, 1.0] } else { vec![1.0, 0.0] }
}

fn window(rest: f64, scale: f64, reach: f64, weight: impl Fn(f64) -> f64) -> Vec<f64> {
    let start = (-reach / scale).floor() as i64 + 1;
    let count = 2 - 2 * start;
    let raw: Vec<f64> = (start..start + count).map(|step| weight(((step as f64 - rest) * scale).abs())).collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|weight| weight / sum).collect()
}

/// Keys, "Cubic convolution interpolation for digital image processing" (1981).
fn cubic(x: f64, a: f64) -> f64 {
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

fn along(planner: &mut Planner, node: &Node<'_>, x: &Placed, axis: &Axis, taps: Taps) -> Result<Placed, Halt> {
    let still = taps.bias.iter().all(|bias| *bias == 0.0)
        && axis.before == axis.after
        && (0..axis.after).all(|place| {
            let own = place * taps.each..(place + 1) * taps.each;
            let of = |tap: usize| if taps.places[tap] as usize == place { taps.weights[tap] } else { 0.0 };
            own.map(of).sum::<f32>() == 1.0
        });
    if still {
        return Ok(x.clone());
    }
    let mut extents = x.extents().to_vec();
    extents[axis.at] = axis.after;
    let inner: usize = extents[axis.at + 1..].iter().product();
    let spec = Spec { element: Element::Fp32, shape: node.shape(extents)? };
    let table = |planner: &mut Planner, tensor: Result<Tensor, _>| match tensor {
        Ok(tensor) => planner.place(&Value::Known(tensor)),
        Err(_) => Err(node.unsupported("a table of that size")),
    };
    let places = table(planner, Tensor::from_slice(Element::U32, [taps.places.len()], &taps.places))?;
    let weights = table(planner, Tensor::from_slice(Element::Fp32, [taps.weights.len()], &taps.weights))?;
    let bias = table(planner, Tensor::from_slice(Element::Fp32, [taps.bias.len()], &taps.bias))?;
    let count = spec.shape.elements();
    let parameters = [count, inner, axis.before, axis.after, taps.each].map(|value| value as u32).to_vec();
    planner.dispatch(Kernel::new(Shader::Taps, []), parameters, &[x, &places, &weights, &bias], spec, grid(count))
}
