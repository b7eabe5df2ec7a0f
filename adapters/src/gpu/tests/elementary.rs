//! Elementary functions over all of FP32, beside this machine's in f64: within 4 units in the last place on every driver.

use super::{compute, floats, open};
use crate::{conformance::Sketch, gpu::GpuAccelerator};
use burst_host::nouns::{Attribute, Element, Tensor};

const DRIVERS: [&str; 2] = ["llvmpipe", "SwiftShader"];
const ULPS: f64 = 4.0;

/// A function by its operator, and how that is set.
type Function = (&'static str, Option<Setting>, fn(f64) -> f64);

#[derive(Clone, Copy, Debug)]
enum Setting {
    Tanh,
    Alpha,
}

impl Setting {
    fn attribute(self) -> (&'static str, Attribute) {
        match self {
            Self::Tanh => ("approximate", Attribute::Text("tanh".into())),
            Self::Alpha => ("alpha", Attribute::Float(ALPHA)),
        }
    }
}

/// What OpenAI's models multiply by.
const ALPHA: f32 = 1.702;
const EIGHT_BY_PI: f64 = 8.0 * std::f64::consts::FRAC_1_PI;

const FUNCTIONS: &[Function] = &[
    ("Exp", None, f64::exp),
    ("Log", None, f64::ln),
    ("Sqrt", None, f64::sqrt),
    ("Reciprocal", None, f64::recip),
    ("Sin", None, f64::sin),
    ("Cos", None, f64::cos),
    ("Tan", None, f64::tan),
    ("Asin", None, f64::asin),
    ("Acos", None, f64::acos),
    ("Atan", None, f64::atan),
    ("Sinh", None, f64::sinh),
    ("Cosh", None, f64::cosh),
    ("Tanh", None, f64::tanh),
    ("Asinh", None, f64::asinh),
    ("Acosh", None, f64::acosh),
    ("Atanh", None, f64::atanh),
    ("Erf", None, erf),
    ("Sigmoid", None, |x| 1.0 / (1.0 + (-x).exp())),
    ("Softplus", None, |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
    ("Elu", None, |x| if x < 0.0 { x.exp_m1() } else { x }),
    ("Gelu", None, |x| 0.5 * x * erfc(-x * std::f64::consts::FRAC_1_SQRT_2)),
    ("Gelu", Some(Setting::Tanh), |x| x / (1.0 + (-EIGHT_BY_PI.sqrt() * (x + 0.044_715 * x * x * x)).exp())),
    ("Swish", None, |x| x / (1.0 + (-x).exp())),
    ("Swish", Some(Setting::Alpha), |x| x / (1.0 + (-f64::from(ALPHA) * x).exp())),
    ("Mish", None, |x| x * (x.max(0.0) + (-x.abs()).exp().ln_1p()).tanh()),
];

/// By a series of which no term is negative, far out by 1 - [`erfc`].
fn erf(x: f64) -> f64 {
    if x.abs() > 2.0 {
        return (1.0 - erfc(x.abs())).copysign(x);
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..100 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
}

/// By a continued fraction far out.
fn erfc(x: f64) -> f64 {
    if x < 2.0 {
        return if x < -2.0 { 2.0 - erfc(-x) } else { 1.0 - erf(x) };
    }
    let fraction = (1..200).rev().fold(x, |rest, n| x + f64::from(n) / 2.0 / rest);
    (-x * x).exp() / fraction / std::f64::consts::PI.sqrt()
}

/// All exponents of both signs, what models compute with more closely, and numbers of a kind of their own. Without those
/// below the normal ones, which drivers take for zero or not.
fn samples() -> Vec<f32> {
    let bits = (0..100_000u32).map(|step| f32::from_bits(step.wrapping_mul(42_949)));
    let near = (-40_000..40_000).map(|step| step as f32 / 1_999.0);
    let ones = (0..24).flat_map(|power| [1.0, -1.0].map(|sign: f32| sign + 0.7 / (1u32 << power) as f32));
    let special = [0.0, -0.0, 1.0, -1.0, 88.72, 88.73, 89.41, -87.33, -103.0, 1e10, -1e10, f32::MAX, f32::MIN];
    let endless = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE];
    let all = bits.chain(near).chain(ones).chain(special).chain(endless);
    all.filter(|x| !x.is_subnormal()).collect()
}

/// How far a number is from what it should be, in units in the last place of that; nothing where both are too small, or
/// both no numbers.
fn ulps(found: f32, expected: f64) -> f64 {
    let nearest = expected as f32;
    let tiny = expected.abs() < f64::from(f32::MIN_POSITIVE) && found.abs() <= f32::MIN_POSITIVE;
    let endless = found.is_infinite() && expected.abs() > 3.402_82e38 && (found > 0.0) == (expected > 0.0);
    if found == nearest || found.is_nan() && expected.is_nan() || tiny || endless {
        return 0.0;
    }
    let size = nearest.abs().clamp(f32::MIN_POSITIVE, f32::MAX);
    let unit = f64::from(size) - f64::from(f32::from_bits(size.to_bits() - 1));
    let off = (f64::from(found) - expected).abs() / unit;
    if off.is_nan() { f64::INFINITY } else { off }
}

/// A function in a graph of its own: drivers take their time to compile each.
async fn apply(gpu: &GpuAccelerator, kind: &str, setting: Option<Setting>, x: &[f32]) -> Vec<f32> {
    let sketch = Sketch::new(kind).input("x", Element::Fp32, "?");
    let sketch = match setting {
        Some(setting) => sketch.op_with(kind, "x", "y", [setting.attribute()]),
        None => sketch.op(kind, "x", "y"),
    };
    let found = compute(gpu, sketch.output("y"), &[floats(&[x.len()], x)]).await.unwrap();
    found[0].to_vec::<f32>().unwrap()
}

#[tokio::test]
async fn functions_are_right_to_the_last_digits() {
    let samples = samples();
    for driver in DRIVERS {
        let Some(gpu) = open(driver).await else { continue };
        for (name, setting, function) in FUNCTIONS {
            for (&x, found) in samples.iter().zip(apply(&gpu, name, *setting, &samples).await) {
                // Below zero without end times nothing.
                let endless = x == f32::NEG_INFINITY && ["Gelu", "Swish", "Mish"].contains(name);
                let expected = if endless { f64::NAN } else { function(x.into()) };
                let off = ulps(found, expected);
                assert!(
                    off <= ULPS,
                    "{driver}: {name} {setting:?} of {x:e} is {found:e}, not {expected:e}: {off} units"
                );
            }
        }
    }
}

async fn binary(gpu: &GpuAccelerator, kind: &str, element: Element, inputs: &[Tensor]) -> Tensor {
    let sketch = Sketch::new(kind).input("x", element, "?").input("y", element, "?");
    let sketch = match kind {
        "Mod" => sketch.op_with(kind, "x y", "z", [("fmod", burst_host::nouns::Attribute::Int(1))]),
        _ => sketch.op(kind, "x y", "z"),
    };
    compute(gpu, sketch.output("z"), inputs).await.unwrap().remove(0)
}

#[tokio::test]
async fn powers_are_right_to_the_last_digits() {
    let far = samples();
    let count = far.len() as u32;
    let other = |step: u32| far[(step.wrapping_mul(48_271) % count) as usize];
    let mut pairs: Vec<(f32, f32)> = (0..count).map(|step| (far[step as usize], other(step))).collect();
    // Results within range: of bases from a millionth to a million, and next to one.
    pairs.extend((0..100_000u32).map(|step| ((other(step) % 13.0).exp(), other(step + 7) % 9.0)));
    pairs.extend((0..50_000u32).map(|step| (1.0 + (other(step) % 1.0) / 1024.0, other(step + 3) % 3e4)));
    pairs.extend([(f32::NAN, 2.0), (2.0, f32::NAN), (f32::NAN, 0.0), (1.0, f32::NAN), (-2.0, 3.0), (-2.0, 0.5)]);
    let (x, y): (Vec<f32>, Vec<f32>) =
        pairs.into_iter().filter(|(x, y)| !x.is_subnormal() && !y.is_subnormal()).unzip();
    for driver in DRIVERS {
        let Some(gpu) = open(driver).await else { continue };
        let inputs = [&x, &y].map(|values| floats(&[values.len()], values));
        let found = binary(&gpu, "Pow", Element::Fp32, &inputs).await.to_vec::<f32>().unwrap();
        for ((x, y), found) in x.iter().zip(&y).zip(found) {
            let expected = f64::from(*x).powf(f64::from(*y));
            let off = ulps(found, expected);
            assert!(off <= ULPS, "{driver}: {x:e} to {y:e} is {found:e}, not {expected:e}: {off} units");
        }
    }
}

/// The remainder of a division is a number of the same kind always: there is nothing to round.
#[tokio::test]
async fn remainders_are_exact() {
    let x = samples();
    let y: Vec<f32> = (0..x.len()).map(|at| x[at * 7_919 % x.len()]).collect();
    let hard = [(1.0, 0.1), (5.0, 0.1), (1e10, 3.0), (3e38, 1e-3), (1e20, 3.0), (-7.5, 2.0), (1.0, f32::INFINITY)];
    let (x, y): (Vec<f32>, Vec<f32>) = x.into_iter().zip(y).chain(hard).unzip();
    let same = |found: f64, expected: f64| found == expected || found.is_nan() && expected.is_nan();
    for driver in DRIVERS {
        let Some(gpu) = open(driver).await else { continue };
        let inputs = [&x, &y].map(|values| floats(&[values.len()], values));
        let found = binary(&gpu, "Mod", Element::Fp32, &inputs).await.to_vec::<f32>().unwrap();
        for ((x, y), found) in x.iter().zip(&y).zip(found) {
            assert!(same(found.into(), (x % y).into()), "{driver}: {x:e} by {y:e} leaves {found:e}, not {:e}", x % y);
        }
    }
    let Some(gpu) = open("llvmpipe").await else { return };
    let wide = |values: &[f32]| values.iter().map(|x| f64::from(*x) * 1.000_000_123).collect::<Vec<_>>();
    let (x, y) = (wide(&x), wide(&y));
    let inputs = [&x, &y].map(|values| Tensor::from_slice(Element::Fp64, [values.len()], values).unwrap());
    let found = binary(&gpu, "Mod", Element::Fp64, &inputs).await.to_vec::<f64>().unwrap();
    for ((x, y), found) in x.iter().zip(&y).zip(found) {
        assert!(same(found, x % y), "{x:e} by {y:e} leaves {found:e}, not {:e}", x % y);
    }
}
