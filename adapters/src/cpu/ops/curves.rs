//! Activations, to a few units in the last place, and those that tract lets overflow. Written without branches, for
//! compilers to vectorise.

use super::{Built, built, like_input};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_hir::{
        internal::*,
        tract_core::{
            element_wise,
            ops::{
                element_wise::{ElementWiseMiniOp, ElementWiseOp},
                nn::leaky_relu as leaky_relu_op,
            },
        },
    },
};

/// e^x, to 2 units in the last place where it is a normal number; below, zero.
///
/// Source of the polynomial: Cephes, `expf.c`.
fn exp(x: f32) -> f32 {
    // Adding and taking it off again rounds to a whole number.
    const WHOLE: f32 = 12_582_912.0;
    let near = if x < -87.3 { -87.3 } else { x };
    let near = if near > 88.7 { 88.7 } else { near };
    let power = near * std::f32::consts::LOG2_E + WHOLE;
    let bits = power.to_bits() << 23;
    let power = power - WHOLE;
    let rest = near - power * 0.693_359_4;
    let rest = rest + power * 2.121_944_4e-4;
    let series = 1.987_569_1e-4;
    let series = series * rest + 1.398_2e-3;
    let series = series * rest + 8.333_452e-3;
    let series = series * rest + 4.166_579_6e-2;
    let series = series * rest + 1.666_666_5e-1;
    let series = series * rest + 0.5;
    let value = f32::from_bits((series * rest * rest + rest + 1.0).to_bits().wrapping_add(bits));
    let value = if x < -87.3 { 0.0 } else { value };
    let value = if x > 88.7 { f32::INFINITY } else { value };
    if x.is_nan() { x } else { value }
}

fn sigmoid_of(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Source of the polynomial: Cephes, `tanhf.c`.
fn tanh_of(x: f32) -> f32 {
    let size = x.abs();
    let far = 1.0 - 2.0 / (exp(2.0 * size) + 1.0);
    let square = x * x;
    let series = -5.704_988_7e-3;
    let series = series * square + 2.063_909e-2;
    let series = series * square - 5.373_971_5e-2;
    let series = series * square + 1.333_144_2e-1;
    let series = series * square - 3.333_328e-1;
    let near = series * square * x + x;
    let value = if size > 0.625 { far } else { near };
    if x.is_nan() { x } else { value.copysign(x) }
}

/// Source of the polynomials: N. Juffa, an `erff` with at most 1 unit of error, published under the BSD licence.
pub(super) fn erf_of(x: f32) -> f32 {
    let size = if x.abs() > 4.0 { 4.0 } else { x.abs() };
    let square = size * size;
    let first = -1.728_534_7e-5 * size + 3.831_97e-4;
    let second = -3.883_964_4e-3 * size + 2.425_462_2e-2;
    let far = first * square + second;
    let far = far * size - 1.067_778_8e-1;
    let far = far * size - 6.348_469e-1;
    let far = far * size - 1.287_175_1e-1;
    let far = (1.0 - exp(far * size - size)).copysign(x);
    let near = -5.967_617e-4;
    let near = near * square + 4.991_194_2e-3;
    let near = near * square - 2.676_813_5e-2;
    let near = near * square + 1.128_199_26e-1;
    let near = near * square - 3.761_253_4e-1;
    let near = near * square + 1.283_791_7e-1;
    let near = near * x + x;
    let value = if size > 0.927_734_4 { far } else { near };
    if x.is_nan() { x } else { value }
}

/// ln(1 + e^x), which is x where that is large.
fn softplus_of(x: f64) -> f64 {
    let tail = (-x.abs()).exp().ln_1p();
    if x > 0.0 { x + tail } else { tail }
}

/// From here on the logarithm of twice the number, to all digits: its square would overflow.
const HUGE: f64 = 1e16;

fn asinh_of(x: f64) -> f64 {
    let huge = (x.abs().ln() + std::f64::consts::LN_2).copysign(x);
    if x.abs() > HUGE { huge } else { x.asinh() }
}

fn acosh_of(x: f64) -> f64 {
    if x > HUGE { x.ln() + std::f64::consts::LN_2 } else { x.acosh() }
}

/// x · tanh(ln(1 + e^x)), written out in e^x. From 20 on it is x to all digits of a single.
fn mish_of(x: f32) -> f32 {
    let power = exp(if x > 20.0 { 20.0 } else { x });
    let square = power * (power + 2.0);
    x * (square / (square + 2.0))
}

/// x · Φ(x), by the error function.
fn gelu_of(x: f32) -> f32 {
    0.5 * x * (1.0 + erf_of(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The same by a hyperbolic tangent: -∞ comes to no number, as in the standard's formula.
fn tanh_gelu_of(x: f32) -> f32 {
    // sqrt(2 / π)
    0.5 * x * (1.0 + tanh_of(0.797_884_6 * (x + 0.044_715 * x * x * x)))
}

fn double_tanh_gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
}

/// x to the power of a half, which differs from the root at -∞ and -0.
fn half_power(x: f64) -> f64 {
    if x == f64::NEG_INFINITY { f64::INFINITY } else { x.sqrt() + 0.0 }
}

/// The same for doubles, whose last digits ask for a series of their own: by the incomplete gamma function.
fn double_erf(x: f64) -> f64 {
    let square = x * x;
    if square > 36.0 {
        return 1f64.copysign(x);
    }
    if square < 6.0 {
        let (mut term, mut sum, mut order) = (x, x, 0.0);
        while term.abs() > 1e-18 * sum.abs() {
            order += 1.0;
            term *= -square / order;
            sum += term / (2.0 * order + 1.0);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let tail = (1..=60).rev().fold(x.abs(), |tail, order| x.abs() + f64::from(order) / 2.0 / tail);
    (1.0 - (-square).exp() / tail * std::f64::consts::FRAC_2_SQRT_PI / 2.0).copysign(x)
}

/// Defines an element-wise operator by its function of singles and of doubles.
macro_rules! curve {
    ($make:ident, $Op:ident, $single:expr, $double:expr) => {
        element_wise!($make, $Op,
        [f32] => |_, values| {
            let single: fn(f32) -> f32 = $single;
            values.iter_mut().for_each(|value| *value = single(*value));
            Ok(())
        },
        [f64] => |_, values| {
            let double: fn(f64) -> f64 = $double;
            values.iter_mut().for_each(|value| *value = double(*value));
            Ok(())
        },
        [f16] => |_, values| {
            let single: fn(f32) -> f32 = $single;
            values.iter_mut().for_each(|value| *value = f16::from_f32(single(value.to_f32())));
            Ok(())
        });
    };
}

element_wise!(exact_sigmoid, ExactSigmoid,
[f32] => |_, values| {
    values.iter_mut().for_each(|value| *value = sigmoid_of(*value));
    Ok(())
},
[f64] => |_, values| {
    values.iter_mut().for_each(|value| *value = 1.0 / (1.0 + (-*value).exp()));
    Ok(())
},
[f16] => |_, values| {
    values.iter_mut().for_each(|value| *value = f16::from_f32(sigmoid_of(value.to_f32())));
    Ok(())
});

element_wise!(exact_tanh, ExactTanh,
[f32] => |_, values| {
    values.iter_mut().for_each(|value| *value = tanh_of(*value));
    Ok(())
},
[f64] => |_, values| {
    values.iter_mut().for_each(|value| *value = value.tanh());
    Ok(())
},
[f16] => |_, values| {
    values.iter_mut().for_each(|value| *value = f16::from_f32(tanh_of(value.to_f32())));
    Ok(())
});

element_wise!(exact_erf, ExactErf,
[f32] => |_, values| {
    values.iter_mut().for_each(|value| *value = erf_of(*value));
    Ok(())
},
[f64] => |_, values| {
    values.iter_mut().for_each(|value| *value = double_erf(*value));
    Ok(())
},
[f16] => |_, values| {
    values.iter_mut().for_each(|value| *value = f16::from_f32(erf_of(value.to_f32())));
    Ok(())
});

curve!(exact_acosh, ExactAcosh, |x| acosh_of(f64::from(x)) as f32, acosh_of);
curve!(exact_asinh, ExactAsinh, |x| asinh_of(f64::from(x)) as f32, asinh_of);
curve!(exact_gelu, ExactGelu, gelu_of, |x| 0.5 * x * (1.0 + double_erf(x * std::f64::consts::FRAC_1_SQRT_2)));
curve!(tanh_gelu, TanhGelu, tanh_gelu_of, double_tanh_gelu);
curve!(even_round, EvenRound, f32::round_ties_even, f64::round_ties_even);
curve!(exact_mish, ExactMish, mish_of, |x| x * softplus_of(x).tanh());

element_wise!(exact_root, ExactRoot,
[f32] => |_, values| {
    values.iter_mut().for_each(|value| {
        *value = if *value == f32::NEG_INFINITY { f32::INFINITY } else { value.sqrt() + 0.0 };
    });
    Ok(())
},
[f64] => |_, values| {
    values.iter_mut().for_each(|value| *value = half_power(*value));
    Ok(())
},
[f16] => |_, values| {
    values.iter_mut().for_each(|value| *value = f16::from_f64(half_power(value.to_f64())));
    Ok(())
});

curve!(exact_softplus, ExactSoftplus, |x| softplus_of(f64::from(x)) as f32, softplus_of);

element_wise!(double_leaky, DoubleLeaky { alpha: f32 },
[f64] => |op, values| {
    values.iter_mut().for_each(|value| *value = if *value < 0.0 { f64::from(op.alpha) * *value } else { *value });
    Ok(())
});

element_wise!(hard, Hard { alpha: f32, beta: f32 },
[f32] => |op, values| {
    values.iter_mut().for_each(|value| *value = line(f64::from(*value), op) as f32);
    Ok(())
},
[f64] => |op, values| {
    values.iter_mut().for_each(|value| *value = line(*value, op));
    Ok(())
},
[f16] => |op, values| {
    values.iter_mut().for_each(|value| *value = f16::from_f64(line(value.to_f64(), op)));
    Ok(())
});

/// A line between 0 and 1.
fn line(x: f64, op: &Hard) -> f64 {
    let y = f64::from(op.alpha) * x + f64::from(op.beta);
    let y = if y < 0.0 { 0.0 } else { y };
    if y > 1.0 { 1.0 } else { y }
}

curve!(exact_celu, ExactCelu, |x| if x > 0.0 { x } else { x.exp_m1() }, |x| if x > 0.0 { x } else { x.exp_m1() });

pub(super) fn acosh(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Curve(exact_acosh().0))
}

pub(super) fn asinh(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Curve(exact_asinh().0))
}

pub(super) fn mish(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Curve(exact_mish().0))
}

pub(super) fn gelu(_: &ParsingContext, node: &NodeProto) -> Built {
    let tanh = node.get_attr_opt::<String>("approximate")?.is_some_and(|kind| kind == "tanh");
    built(Curve(if tanh { tanh_gelu().0 } else { exact_gelu().0 }))
}

/// tract has none of FP64.
pub(super) fn leaky_relu(_: &ParsingContext, node: &NodeProto) -> Built {
    built(Leaky { alpha: node.get_attr_opt("alpha")?.unwrap_or(0.01) })
}

pub(super) fn round(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Curve(even_round().0))
}

pub(super) fn sigmoid(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Curve(exact_sigmoid().0))
}

pub(super) fn tanh(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Curve(exact_tanh().0))
}

pub(super) fn erf(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Curve(exact_erf().0))
}

pub(super) fn softplus(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Curve(exact_softplus().0))
}

/// With an α of 1: others are written out before they come here.
pub(super) fn celu(_: &ParsingContext, _: &NodeProto) -> Built {
    built(Curve(exact_celu().0))
}

pub(super) fn hard_sigmoid(_: &ParsingContext, node: &NodeProto) -> Built {
    let (alpha, beta) = (node.get_attr_opt("alpha")?.unwrap_or(0.2), node.get_attr_opt("beta")?.unwrap_or(0.5));
    built(Curve(hard(alpha, beta).0))
}

/// An element-wise operator.
#[derive(Clone, Debug)]
struct Curve(Box<dyn ElementWiseMiniOp>);

impl Expansion for Curve {
    fn name(&self) -> StaticName {
        self.0.name().into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        like_input(s, inputs, outputs)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        model.wire_node(name, ElementWiseOp(self.0.clone(), None), inputs)
    }
}

#[derive(Clone, Debug)]
struct Leaky {
    alpha: f32,
}

impl Expansion for Leaky {
    fn name(&self) -> StaticName {
        "LeakyRelu".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        like_input(s, inputs, outputs)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let double = model.outlet_fact(inputs[0])?.datum_type == DatumType::F64;
        let op = if double { double_leaky(self.alpha) } else { leaky_relu_op(self.alpha) };
        model.wire_node(name, op, inputs)
    }
}
