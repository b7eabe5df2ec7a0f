//! Compares answers as ONNX's own runner does.

use burst_host::nouns::{Element, Tensor};
use half::{bf16, f16};

/// Two units in the last place of a BF16, as ONNX's runner grants.
const RTOL_BF16: f64 = 1.0 / 64.0;

/// `Err` says how `found` is not `expected`. Types and shapes are equal, whole numbers too; of floats
/// |found - expected| <= atol + rtol * |expected| holds, and a NaN or an infinity equals its like.
/// Source: `assert_similar_outputs` in onnx/backend/test/runner, and `numpy.testing.assert_allclose`.
pub fn check(found: &Tensor, expected: &Tensor, rtol: f64, atol: f64) -> Result<(), String> {
    if found.spec() != expected.spec() {
        return Err(format!("{}, expected {}", found.spec(), expected.spec()));
    }
    let Some((found, wanted)) = floats(found).zip(floats(expected)) else {
        return if found.contents() == expected.contents() { Ok(()) } else { Err("other whole numbers".into()) };
    };
    let rtol = if expected.spec().element == Element::Bf16 { rtol.max(RTOL_BF16) } else { rtol };
    let close = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= atol + rtol * b.abs();
    let mut pairs = found.into_iter().zip(wanted).enumerate();
    match pairs.find(|(_, (found, wanted))| !close(*found, *wanted)) {
        Some((index, (found, wanted))) => Err(format!("element {index} is {found}, expected {wanted}")),
        None => Ok(()),
    }
}

/// Numbers that are drawn are other ones each time: the expected type and shape, and nothing but 0 and 1. How they are
/// spread is tested where many are drawn, beside the accelerators.
pub fn check_drawn(found: &Tensor, expected: &Tensor) -> Result<(), String> {
    if found.spec() != expected.spec() {
        return Err(format!("{}, expected {}", found.spec(), expected.spec()));
    }
    let bits = |numbers: &[f64]| numbers.iter().all(|number| [0.0, 1.0].contains(number));
    match floats(found) {
        Some(numbers) if !bits(&numbers) => Err("a number that is neither 0 nor 1".into()),
        _ => Ok(()),
    }
}

/// The numbers of a float tensor on the host.
fn floats(tensor: &Tensor) -> Option<Vec<f64>> {
    match tensor.spec().element {
        Element::Fp16 => Some(tensor.to_vec::<f16>()?.into_iter().map(f64::from).collect()),
        Element::Bf16 => Some(tensor.to_vec::<bf16>()?.into_iter().map(f64::from).collect()),
        Element::Fp32 => Some(tensor.to_vec::<f32>()?.into_iter().map(f64::from).collect()),
        Element::Fp64 => tensor.to_vec(),
        _ => None,
    }
}
