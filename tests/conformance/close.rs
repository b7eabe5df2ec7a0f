//! Compares answers as ONNX's own runner does.

use super::case::Case;
use burst_host::nouns::{Element, Tensor};
use half::{bf16, f16};

/// Two units in the last place of a BF16, as ONNX's runner grants.
const RTOL_BF16: f64 = 1.0 / 64.0;

/// `Err` says how `found` is not `expected`. Types and shapes are equal, whole numbers too; of floats
/// |found - expected| <= atol + rtol * |expected| holds, and a NaN or an infinity equals its like. Where a case grants
/// whole steps, as what is quantised needs them, whole numbers may differ by those.
/// Source: `assert_similar_outputs` in onnx/backend/test/runner, and `numpy.testing.assert_allclose`.
pub fn check(found: &Tensor, expected: &Tensor, case: &Case, atol: f64) -> Result<(), String> {
    if found.spec() != expected.spec() {
        return Err(format!("{}, expected {}", found.spec(), expected.spec()));
    }
    let mut rtol = case.rtol;
    let numbers = if atol >= 1.0 { numbers } else { floats };
    let Some((found, wanted)) = numbers(found).zip(numbers(expected)) else {
        return if found.contents() == expected.contents() { Ok(()) } else { Err("other whole numbers".into()) };
    };
    if expected.spec().element == Element::Bf16 {
        rtol = rtol.max(RTOL_BF16);
    }
    let near = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= atol + rtol * b.abs();
    let signed = |a: f64, b: f64| !case.sign_of_zero || b != 0.0 || a.is_sign_negative() == b.is_sign_negative();
    let close = |a: f64, b: f64| near(a, b) && signed(a, b);
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

/// The numbers of a tensor of floats, or of whole numbers that FP64 holds.
fn numbers(tensor: &Tensor) -> Option<Vec<f64>> {
    match tensor.spec().element {
        Element::U8 => Some(tensor.to_vec::<u8>()?.into_iter().map(f64::from).collect()),
        Element::I8 => Some(tensor.to_vec::<i8>()?.into_iter().map(f64::from).collect()),
        Element::I32 => Some(tensor.to_vec::<i32>()?.into_iter().map(f64::from).collect()),
        _ => floats(tensor),
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
