// Arithmetic in f32. Narrower floats are widened; integers are read as numbers.
alias Lane = f32;

fn decode(element: u32, low: u32, high: u32, index: u32) -> f32 {
    switch element {
        case FP32: { return bitcast<f32>(low); }
        case FP16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1: {
            return from_narrow(element, low, index);
        }
        case U32: { return f32(low); }
        case I64: { return from_long(low, high); }
        case U64: { return f32(high) * 4294967296.0 + f32(low); }
        default: { return f32(small_int(element, low, index)); }
    }
}

// The magnitude, then its sign: beside a negative high word the low one of a small number would be lost.
fn from_long(low: u32, high: u32) -> f32 {
    if (high >> 31u) == 0u {
        return f32(high) * 4294967296.0 + f32(low);
    }
    return -(f32(~high + select(0u, 1u, low == 0u)) * 4294967296.0 + f32(~low + 1u));
}

// Bit tests: `x != x` is false for NaN here.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// The low word of an element.
fn encode(element: u32, x: f32, index: u32) -> u32 {
    switch element {
        case FP32: { return bitcast<u32>(x); }
        case FP16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1: {
            return to_narrow(element, x, index);
        }
        case BOOL: { return small_bits(element, select(0u, 1u, x != 0.0 || is_nan(x)), index); }
        case U32: { return u32(x); }
        case U8, U16: { return small_bits(element, bitcast<u32>(i32(x)), index); }
        case I64, U64: { return to_long(x).x; }
        default: { return small_bits(element, bitcast<u32>(i32(x)), index); }
    }
}

fn encode_high(element: u32, x: f32) -> u32 {
    return to_long(x).y;
}

// The magnitude in two words, then its sign: a negative low word is no f32.
fn to_long(x: f32) -> vec2<u32> {
    let magnitude = trunc(abs(x));
    let high = floor(magnitude / 4294967296.0);
    let words = vec2(u32(magnitude - high * 4294967296.0), u32(high));
    return select(words, vec2(~words.x + 1u, ~words.y + select(0u, 1u, words.x == 0u)), x < 0.0);
}

fn truth(x: bool) -> f32 {
    return select(0.0, 1.0, x);
}

// A NaN is above every number.
fn less(x: f32, y: f32) -> bool {
    return !is_nan(x) && (x < y || is_nan(y));
}

// Below 0.84375 the rational approximation of fdlibm (Sun Microsystems, 1993), above it erfcc of Press et al.,
// Numerical Recipes: 1 - t·exp(-a² + P(t)), t = 1 / (1 + a / 2). Within 2e-7 of the truth.
fn erf(x: f32) -> f32 {
    let a = abs(x);
    if a < 0.84375 {
        let z = x * x;
        let r = 1.28379166e-1 + z * (-3.25042099e-1 + z * (-2.84817480e-2 + z * (-5.77027029e-3 + z * -2.37630162e-5)));
        let s = 1.0 + z * (3.97917223e-1 + z * (6.50222495e-2 + z * (5.08130621e-3 + z * (1.32494739e-4 + z * -3.96022824e-6))));
        return x + x * (r / s);
    }
    if a >= 4.0 {
        return sign(x);
    }
    let t = 1.0 / (1.0 + 0.5 * a);
    let p = t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * (0.27886807
        + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
    return sign(x) * (1.0 - t * exp(-a * a - 1.26551223 + p));
}

fn round_even(x: f32) -> f32 {
    return round(x);
}

fn power(x: f32, y: f32) -> f32 {
    if y == 0.0 {
        return 1.0;
    }
    if x < 0.0 && y == trunc(y) {
        let odd = abs(y - 2.0 * trunc(y / 2.0)) == 1.0;
        return select(1.0, -1.0, odd) * pow(-x, y);
    }
    return pow(x, y);
}

// log(1 + x) for small x too: there by its series, because drivers simplify what would save the digits.
fn log_one_plus(x: f32) -> f32 {
    if abs(x) < 0.03125 {
        return x * (1.0 - x * (0.5 - x * (0.33333334 - x * (0.25 - x * 0.2))));
    }
    return log(1.0 + x);
}

fn softplus(x: f32) -> f32 {
    return max(x, 0.0) + log_one_plus(exp(-abs(x)));
}

fn infinite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u;
}

// The rest has y's sign; by an infinite y nothing is divided.
fn floor_mod(x: f32, y: f32) -> f32 {
    if infinite(y) && !infinite(x) && !is_nan(x) {
        return select(x, y, x != 0.0 && (x < 0.0) != (y < 0.0));
    }
    return x - y * floor(x / y);
}

fn trunc_mod(x: f32, y: f32) -> f32 {
    if infinite(y) && !infinite(x) {
        return x;
    }
    return x - y * trunc(x / y);
}

// Some drivers compute it from exponentials, which overflow far out and lose every digit near zero.
fn tanh_clamped(x: f32) -> f32 {
    if abs(x) < 0.125 {
        let z = x * x;
        return x * (1.0 - z * (0.33333334 - z * (0.13333334 - z * 0.053968254)));
    }
    return tanh(clamp(x, -15.0, 15.0));
}

fn sinh_near(x: f32) -> f32 {
    if abs(x) < 0.125 {
        let z = x * x;
        return x * (1.0 + z * (0.16666667 + z * 0.008333334));
    }
    return 0.5 * (exp(x) - exp(-x));
}

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-x));
}

// Operators by the numbers of lower/pointwise.rs. `p` and `q` are an operator's two attributes.
fn apply(op: u32, x: f32, y: f32, p: f32, q: f32) -> f32 {
    switch op {
        case 0u: { return x; }
        case 1u: { return x + y; }
        case 2u: { return x - y; }
        case 3u: { return y - x; }
        case 4u: { return x * y; }
        case 5u: { return x / y; }
        case 6u: { return y / x; }
        case 7u: { return select(max(x, y), x + y, is_nan(x) || is_nan(y)); }
        case 8u: { return select(min(x, y), x + y, is_nan(x) || is_nan(y)); }
        case 9u: { return power(x, y); }
        case 10u: { return power(y, x); }
        case 11u: { return truth(x == y && !is_nan(x) && !is_nan(y)); }
        case 12u: { return truth(x < y && !is_nan(x) && !is_nan(y)); }
        case 13u: { return truth(x > y && !is_nan(x) && !is_nan(y)); }
        case 14u: { return truth(x <= y && !is_nan(x) && !is_nan(y)); }
        case 15u: { return truth(x >= y && !is_nan(x) && !is_nan(y)); }
        case 16u: { return truth(x != 0.0 && y != 0.0); }
        case 17u: { return truth(x != 0.0 || y != 0.0); }
        case 18u: { return truth((x != 0.0) != (y != 0.0)); }
        case 19u: { return select(x, x * y, x < 0.0); }
        case 20u: { return trunc_mod(x, y); }
        case 21u: { return floor_mod(x, y); }
        case 22u: { return trunc_mod(y, x); }
        case 23u: { return floor_mod(y, x); }
        case 32u: { return abs(x); }
        case 33u: { return -x; }
        case 34u: { return sign(x); }
        case 35u: { return floor(x); }
        case 36u: { return ceil(x); }
        case 37u: { return round_even(x); }
        case 38u: { return 1.0 / x; }
        case 39u: { return sqrt(x); }
        case 40u: { return exp(x); }
        case 41u: { return log(x); }
        case 42u: { return sin(x); }
        case 43u: { return cos(x); }
        case 44u: { return tan(x); }
        case 45u: { return asin(x); }
        case 46u: { return acos(x); }
        case 47u: { return atan(x); }
        case 48u: { return sinh_near(x); }
        case 49u: { return 0.5 * (exp(x) + exp(-x)); }
        case 50u: { return tanh_clamped(x); }
        case 51u: { return sign(x) * log(abs(x) + sqrt(x * x + 1.0)); }
        case 52u: { return log(x + sqrt(x * x - 1.0)); }
        case 53u: { return 0.5 * log((1.0 + x) / (1.0 - x)); }
        case 54u: { return erf(x); }
        case 55u: { return sigmoid(x); }
        case 56u: { return select(x, 0.0, x < 0.0); }
        case 57u: { return select(x, p * x, x < 0.0); }
        case 58u: { return select(x, p * (exp(x) - 1.0), x < 0.0); }
        case 59u: { return select(q * x, q * p * (exp(x) - 1.0), x < 0.0); }
        case 60u: { return max(0.0, x) + min(0.0, p * (exp(x / p) - 1.0)); }
        case 61u: { return clamp(p * x + q, 0.0, 1.0); }
        case 62u: { return x * clamp(x / 6.0 + 0.5, 0.0, 1.0); }
        case 63u: { return softplus(x); }
        case 64u: { return x / (1.0 + abs(x)); }
        case 65u: { return x * tanh_clamped(softplus(x)); }
        case 66u: { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }
        case 67u: { return 0.5 * x * (1.0 + tanh_clamped(0.79788456 * (x + 0.044715 * x * x * x))); }
        case 68u: { return select(0.0, x, x > p); }
        case 69u: { return select(select(0.0, x - q, x > p), x + q, x < -p); }
        case 70u: { return truth(is_nan(x)); }
        case 71u: { return truth((x == bitcast<f32>(0x7f800000u) && p != 0.0) || (x == bitcast<f32>(0xff800000u) && q != 0.0)); }
        case 72u: { return truth(x == 0.0); }
        case 73u: { return x * sigmoid(p * x); }
        default: { return x; }
    }
}
