//! Signals: Fourier transforms as products with tables of waves, windows, and the mel scale.

use super::{
    super::planner::{Halt, Node, Placed, Planner, Value, axis},
    cut::frames,
    movement::permute,
    pointwise::{Link, chain, code, convert, widened},
};
use burst_host::nouns::{Element, Tensor};
use std::f64::consts::{LN_10, PI};

/// The largest table of waves.
const TABLE_MAX: usize = 1 << 25;

/// A transform of so many points, of which the input has the first.
#[derive(Clone, Copy)]
struct Transform {
    points: usize,
    given: usize,
    /// Numbers of a point of the input: 1 where all are real.
    parts: usize,
    inverse: bool,
    /// The half that follows from the other is left out: of the result, or of the input of an inverse.
    onesided: bool,
}

impl Transform {
    /// Points of the result, and numbers of each.
    fn result(&self) -> (usize, usize) {
        match (self.inverse, self.onesided) {
            (true, true) => (self.points, 1),
            (false, true) => (self.points / 2 + 1, 2),
            (_, false) => (self.points, 2),
        }
    }

    /// What part `part` of point `from` adds to part `to_part` of point `to`.
    fn wave(&self, from: usize, part: usize, to: usize, to_part: usize) -> f64 {
        let half = self.inverse && self.onesided;
        if from >= if half { self.points / 2 + 1 } else { self.points } {
            return 0.0;
        }
        let turn = (from as u128 * to as u128 % self.points as u128) as f64 / self.points as f64;
        let (sine, cosine) = (2.0 * PI * turn).sin_cos();
        let sine = if self.inverse { sine } else { -sine };
        let wave = match (part, to_part) {
            (0, 0) | (1, 1) => cosine,
            (0, _) => sine,
            _ => -sine,
        };
        // A point and its mirror image, which is not given.
        let twice = half && from != 0 && 2 * from != self.points;
        let scale = if self.inverse { 1.0 / self.points as f64 } else { 1.0 };
        wave * scale * if twice { 2.0 } else { 1.0 }
    }

    /// [given · parts, points · parts of the result], each row times the weight of its point.
    fn table(&self, node: &Node<'_>, weight: impl Fn(usize) -> f64) -> Result<Value, Halt> {
        let (points, parts) = self.result();
        let (rows, columns) = (self.given * self.parts, points * parts);
        if rows.saturating_mul(columns) > TABLE_MAX {
            return Err(node.unsupported("a transform of that length"));
        }
        let at = |index: usize| {
            let (row, column) = (index / columns, index % columns);
            let from = row / self.parts;
            (weight(from) * self.wave(from, row % self.parts, column / parts, column % parts)) as f32
        };
        let numbers: Vec<f32> = (0..rows * columns).map(at).collect();
        known(node, Tensor::from_slice(Element::Fp32, [rows, columns], &numbers))
    }
}

fn known<E>(node: &Node<'_>, tensor: Result<Tensor, E>) -> Result<Value, Halt> {
    tensor.map(Value::Known).map_err(|_| node.unsupported("a table of that size"))
}

/// A whole number above zero, of an input that holds one.
fn count(node: &Node<'_>, index: usize) -> Result<usize, Halt> {
    let count = node.numbers(index)?.first().and_then(|&count| usize::try_from(count).ok());
    count.filter(|&count| count > 0).ok_or_else(|| node.invalid(&format!("input {index} is no length")))
}

/// The axis is an input since opset 20.
pub fn fourier(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let x = widened(planner, node, node.input(0))?;
    let rank = x.extents().len();
    let at = match (node.has(2), node.opset >= 20) {
        (true, _) => node.numbers(2)?.first().copied().unwrap_or(-2),
        (false, true) => -2,
        (false, false) => node.int("axis", 1),
    };
    let at = axis(node, at, rank)?;
    let parts = x.extents().last().copied().unwrap_or(0);
    if at + 1 >= rank || !matches!(parts, 1 | 2) {
        return Err(node.invalid(&format!("a transform of {} along axis {at}", x.spec)));
    }
    let (given, inverse, onesided) = (x.extents()[at], node.int("inverse", 0) == 1, node.int("onesided", 0) == 1);
    let points = match node.has(1) {
        true => count(node, 1)?,
        false if inverse && onesided => 2 * given.saturating_sub(1),
        false => given,
    };
    if points == 0 {
        return Err(node.invalid("a transform of no points"));
    }
    let transform = Transform { points, given, parts, inverse, onesided };
    let y = along(planner, node, &x, at, transform)?;
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// The axis next to the parts of a number, a product of matrices, and back.
fn along(planner: &mut Planner, node: &Node<'_>, x: &Placed, at: usize, transform: Transform) -> Result<Placed, Halt> {
    let rank = x.extents().len();
    let order: Vec<usize> = (0..rank).filter(|&axis| axis != at && axis != rank - 1).chain([at, rank - 1]).collect();
    let moved = permute(planner, node, x, &order)?;
    let row = transform.given * transform.parts;
    let rows = x.spec.shape.elements().checked_div(row).unwrap_or(0);
    let flat = moved.reshaped(node.shape(vec![rows, row])?);
    let table = transform.table(node, |_| 1.0)?;
    let product = planner.apply("MatMul", Vec::new(), vec![flat.into(), table])?;
    let (points, parts) = transform.result();
    let mut extents = moved.extents().to_vec();
    extents[rank - 2..].copy_from_slice(&[points, parts]);
    let y = planner.place(&product)?.reshaped(node.shape(extents)?);
    let place = |axis: usize| order.iter().position(|&from| from == axis).unwrap_or(axis);
    permute(planner, node, &y, &(0..rank).map(place).collect::<Vec<_>>())
}

/// Transforms of overlapping frames. A window that is known weights the table, another the frames.
pub fn short_time(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let step = count(node, 1)?;
    let x = widened(planner, node, node.input(0))?;
    let (n, length, parts) = match *x.extents() {
        // As ONNX Runtime takes it.
        [n, length] => (n, length, 1),
        [n, length, parts @ (1 | 2)] => (n, length, parts),
        _ => return Err(node.invalid("a signal of real or complex")),
    };
    let window = if node.has(2) { Some(widened(planner, node, node.input(2))?) } else { None };
    let points = match &window {
        _ if node.has(3) => count(node, 3)?,
        Some(window) => window.spec.shape.elements(),
        None => length,
    };
    if points == 0 || points > length || window.as_ref().is_some_and(|window| window.extents() != [points]) {
        return Err(node.invalid("frames that do not fit the window or the signal"));
    }
    let many = (length - points) / step + 1;
    let flat = x.reshaped(node.shape(vec![n, length * parts])?);
    let mut cut = frames(planner, node, &flat, many, points * parts, step * parts)?;
    let weights = if matches!(node.input(2), Value::Known(_)) { Some(node.floats(2)?) } else { None };
    if let (Some(window), None) = (&window, &weights) {
        let each = cut.reshaped(node.shape(vec![n, many, points, parts])?);
        let window = window.reshaped(node.shape(vec![points, 1])?);
        let weighted = chain(planner, node, &each, &[Link::tensor(code::MULTIPLY, window)], Element::Fp32)?;
        cut = weighted.reshaped(cut.spec.shape);
    }
    let onesided = node.int("onesided", 1) == 1;
    let transform = Transform { points, given: points, parts, inverse: false, onesided };
    let weight = |at: usize| weights.as_ref().and_then(|weights| weights.get(at)).copied().unwrap_or(1.0);
    let table = transform.table(node, weight)?;
    let product = planner.apply("MatMul", Vec::new(), vec![cut.into(), table])?;
    let y = planner.place(&product)?.reshaped(node.shape(vec![n, many, transform.result().0, 2])?);
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

pub fn hann(_: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    window(node, [0.5, 0.5, 0.0])
}

pub fn hamming(_: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    window(node, [25.0 / 46.0, 21.0 / 46.0, 0.0])
}

pub fn blackman(_: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    window(node, [0.42, 0.5, 0.08])
}

/// a - b · cos(turn) + c · cos(2 · turn)
fn window(node: &Node<'_>, [a, b, c]: [f64; 3]) -> Result<Vec<Value>, Halt> {
    let size = count(node, 0)?;
    let shape = node.table(vec![size])?;
    let whole = if node.int("periodic", 1) == 1 { size } else { (size - 1).max(1) };
    let at = |place: usize| {
        let turn = 2.0 * PI * place as f64 / whole as f64;
        a - b * turn.cos() + c * (2.0 * turn).cos()
    };
    numbers(node, shape.extents(), &(0..size).map(at).collect::<Vec<_>>())
}

/// Floats of the type that is wanted.
fn numbers(node: &Node<'_>, extents: &[usize], numbers: &[f64]) -> Result<Vec<Value>, Halt> {
    let element = crate::onnx::element(node.int("output_datatype", 1)).map_err(|name| node.lacks(name))?;
    let narrow = || numbers.iter().map(|&number| number as f32);
    let tensor = match element {
        Element::Fp64 => Tensor::from_slice(element, extents, numbers),
        Element::Fp32 => Tensor::from_slice(element, extents, &narrow().collect::<Vec<_>>()),
        Element::Fp16 => Tensor::from_slice(element, extents, &narrow().map(half::f16::from_f32).collect::<Vec<_>>()),
        Element::Bf16 => Tensor::from_slice(element, extents, &narrow().map(half::bf16::from_f32).collect::<Vec<_>>()),
        other => return Err(node.lacks(other)),
    };
    Ok(vec![known(node, tensor)?])
}

/// Triangles over the bins of a spectrum, evenly spaced on the mel scale: 2595 · log10(1 + hertz / 700).
pub fn mel(_: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let (bands, points, rate) = (count(node, 0)?, count(node, 1)?, count(node, 2)?);
    let edge = |index| Ok::<_, Halt>(node.floats(index)?.first().copied().unwrap_or(0.0));
    let [low, high] = [edge(3)?, edge(4)?].map(|hertz| 2595.0 * (hertz / 700.0).ln_1p() / LN_10);
    let bins = points / 2 + 1;
    let shape = node.table(vec![bins, bands])?;
    let step = (high - low) / (bands + 2) as f64;
    let bin = |band: usize| {
        let hertz = 700.0 * ((band as f64 * step + low) / 2595.0 * LN_10).exp_m1();
        ((points + 1) as f64 * hertz / rate as f64).floor()
    };
    let edges: Vec<usize> = (0..bands + 2).map(|band| bin(band) as usize).collect();
    if !edges.is_sorted() || edges[bands] >= bins || edges[bands + 1] > bins {
        return Err(node.invalid("edges beyond the spectrum"));
    }
    let mut weights = vec![0.0; shape.elements()];
    for (band, edge) in edges.windows(3).enumerate() {
        let (left, peak, right) = (edge[0], edge[1], edge[2]);
        let rise = |at: usize| if left == peak { 1.0 } else { (at - left) as f64 / (peak - left) as f64 };
        (left..=peak).for_each(|at| weights[at * bands + band] = rise(at));
        let fall = |at: usize| (right - at) as f64 / (right - peak) as f64;
        (peak..right).for_each(|at| weights[at * bands + band] = fall(at));
    }
    numbers(node, shape.extents(), &weights)
}
