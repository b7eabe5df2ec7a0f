// Arithmetic in f64. Drivers offer no more of it than the basic operations and square roots: the rest is made of those.
alias Lane = f64;

fn long(low: u32, high: u32) -> u64 {
    return u64(low) | (u64(high) << 32u);
}

fn decode(element: u32, low: u32, high: u32, index: u32) -> f64 {
    switch element {
        case FP64: { return bitcast<f64>(long(low, high)); }
        case FP32: { return f64(bitcast<f32>(low)); }
        case FP16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1: {
            return f64(from_narrow(element, low, index));
        }
        case I64: { return f64(bitcast<i64>(long(low, high))); }
        case U64: { return f64(long(low, high)); }
        case U32: { return f64(low); }
        default: { return f64(small_int(element, low, index)); }
    }
}

// Rounded to odd, so that rounding once more, to something narrower, is as if it were rounded once.
fn to_odd(x: f64) -> f32 {
    let near = f32(x);
    let bits = bitcast<u32>(near);
    if f64(near) == x || is_nan(x) {
        return near;
    }
    let beyond = abs(f64(near)) > abs(x);
    return bitcast<f32>(select(bits, bits - 1u, beyond) | 1u);
}

fn words(element: u32, x: f64) -> u64 {
    switch element {
        case FP64: { return bitcast<u64>(x); }
        case U64: { return u64(x); }
        default: { return bitcast<u64>(i64(x)); }
    }
}

// The low word of an element.
fn encode(element: u32, x: f64, index: u32) -> u32 {
    switch element {
        case FP32: { return bitcast<u32>(f32(x)); }
        case FP16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1: {
            return to_narrow(element, to_odd(x), index);
        }
        case BOOL: { return small_bits(element, select(0u, 1u, x != 0.0lf || is_nan(x)), index); }
        default: { return small_bits(element, u32(words(element, x) & 0xfffffffflu), index); }
    }
}

fn encode_high(element: u32, x: f64) -> u32 {
    return u32(words(element, x) >> 32u);
}

fn magnitude(x: f64) -> u64 {
    return bitcast<u64>(x) & 0x7ffffffffffffffflu;
}

// Bit tests: `x != x` is false for NaN here.
fn is_nan(x: f64) -> bool {
    return magnitude(x) > 0x7ff0000000000000lu;
}

fn infinite(x: f64) -> bool {
    return magnitude(x) == 0x7ff0000000000000lu;
}

fn truth(x: bool) -> f64 {
    return select(0.0lf, 1.0lf, x);
}

// A NaN is above every number.
fn less(x: f64, y: f64) -> bool {
    return !is_nan(x) && (x < y || is_nan(y));
}

// The same where a NaN is below every number.
fn less_or_nan(x: f64, y: f64) -> bool {
    return !is_nan(y) && (x < y || is_nan(x));
}

fn power_of_two(k: i32) -> f64 {
    return bitcast<f64>(u64(k + 1023) << 52u);
}

// fdlibm's e_exp (Sun Microsystems, 1993): x = k·ln 2 + r, and a rational approximation for the small r.
fn exp_of(x: f64) -> f64 {
    if is_nan(x) {
        return x;
    }
    let held = clamp(x, -746.0lf, 710.0lf);
    let k = round(held * 1.4426950408889634lf);
    let high = held - k * 6.93147180369123816490e-01lf;
    let low = k * 1.90821492927058770002e-10lf;
    let r = high - low;
    let t = r * r;
    let c = r - t * (1.66666666666666019037e-01lf + t * (-2.77777777770155933842e-03lf
        + t * (6.61375632143793436117e-05lf + t * (-1.65339022054652515390e-06lf + t * 4.13813679705723846039e-08lf))));
    let near = 1.0lf - ((low - r * c / (2.0lf - c)) - high);
    // In two steps: beyond the largest power there are numbers still.
    let half = i32(k) / 2;
    return near * power_of_two(half) * power_of_two(i32(k) - half);
}

// log(2^k · (1 + f)) as fdlibm's e_log (Sun Microsystems, 1993) has it.
fn log_near_one(f: f64, k: f64) -> f64 {
    let s = f / (2.0lf + f);
    let z = s * s;
    let r = z * (6.666666666666735130e-01lf + z * (3.999999999940941908e-01lf + z * (2.857142874366239149e-01lf
        + z * (2.222219843214978396e-01lf + z * (1.818357216161805012e-01lf + z * (1.531383769920937332e-01lf
        + z * 1.479819860511658591e-01lf))))));
    let h = 0.5lf * f * f;
    return k * 6.93147180369123816490e-01lf - ((h - (s * (h + r) + k * 1.90821492927058770002e-10lf)) - f);
}

fn log_of(x: f64) -> f64 {
    if x <= 0.0lf {
        // -inf, or NaN.
        return select(bitcast<f64>(long(0u, 0x7ff80000u)), bitcast<f64>(long(0u, 0xfff00000u)), x == 0.0lf);
    }
    if is_nan(x) || infinite(x) {
        return x;
    }
    let subnormal = x < 2.2250738585072014e-308lf;
    let bits = bitcast<u64>(select(x, x * 18014398509481984.0lf, subnormal));
    var k = i32(bits >> 52u) - select(1023, 1077, subnormal);
    var m = bitcast<f64>((bits & 0xffffffffffffflu) | 0x3ff0000000000000lu);
    if m > 1.4142135623730951lf {
        m *= 0.5lf;
        k++;
    }
    return log_near_one(m - 1.0lf, f64(k));
}

fn softplus(x: f64) -> f64 {
    let rest = exp_of(-abs(x));
    if rest < 0.25lf {
        return max(x, 0.0lf) + log_near_one(rest, 0.0lf);
    }
    return max(x, 0.0lf) + log_of(1.0lf + rest);
}

// Near zero Lambert's continued fraction.
fn tanh_of(x: f64) -> f64 {
    if abs(x) < 0.5lf {
        let z = x * x;
        return x / (1.0lf + z / (3.0lf + z / (5.0lf + z / (7.0lf + z / (9.0lf + z / (11.0lf + z / (13.0lf + z / 15.0lf)))))));
    }
    return 1.0lf - 2.0lf / (exp_of(2.0lf * x) + 1.0lf);
}

fn sigmoid(x: f64) -> f64 {
    return 1.0lf / (1.0lf + exp_of(-x));
}

// Halves go to the even side.
fn round_even(x: f64) -> f64 {
    let size = abs(x);
    let whole = trunc(size);
    let rest = size - whole;
    let odd = whole != 2.0lf * trunc(whole / 2.0lf);
    let rounded = whole + select(0.0lf, 1.0lf, rest > 0.5lf || (rest == 0.5lf && odd));
    return select(with_sign_of(rounded, x), x, is_nan(x) || infinite(x));
}

fn with_sign_of(x: f64, sign: f64) -> f64 {
    return bitcast<f64>((bitcast<u64>(x) & 0x7ffffffffffffffflu) | (bitcast<u64>(sign) & 0x8000000000000000lu));
}

fn not_a_number() -> f64 {
    return bitcast<f64>(0x7ff8000000000000lu);
}

fn infinity() -> f64 {
    return bitcast<f64>(0x7ff0000000000000lu);
}

fn power(x: f64, y: f64) -> f64 {
    let a = abs(x);
    if x == 1.0lf || y == 0.0lf {
        return 1.0lf;
    }
    if is_nan(x) || is_nan(y) {
        return x + y;
    }
    let whole = infinite(y) || y == trunc(y);
    let odd = whole && abs(y) < 9007199254740992.0lf && (u64(abs(y)) & 1lu) == 1lu;
    var size = 0.0lf;
    if a == 0.0lf || infinite(x) {
        size = select(0.0lf, infinity(), (a == 0.0lf) == (y < 0.0lf));
    } else if infinite(y) {
        size = select(select(0.0lf, infinity(), (a > 1.0lf) == (y > 0.0lf)), 1.0lf, a == 1.0lf);
    } else if x < 0.0lf && !whole {
        return not_a_number();
    } else {
        size = power_of(a, y);
    }
    return select(size, with_sign_of(size, -1.0lf), odd && with_sign_of(1.0lf, x) < 0.0lf);
}

// x^y for x > 0: whole powers by squares, halves and quarters of them by roots, which are exact where they are whole,
// and the others by logarithms.
fn power_of(x: f64, y: f64) -> f64 {
    var base = x;
    var exponent = y;
    for (var root = 0u; root < 4u && exponent != trunc(exponent); root++) {
        base = sqrt(base);
        exponent *= 2.0lf;
    }
    if exponent != trunc(exponent) || abs(exponent) > 1024.0lf {
        return exp_of(y * log_of(x));
    }
    var result = 1.0lf;
    for (var left = u32(abs(exponent)); left > 0u; left >>= 1u) {
        if (left & 1u) == 1u {
            result *= base;
        }
        base *= base;
    }
    return select(result, 1.0lf / result, exponent < 0.0lf);
}

// The significand and the exponent of a magnitude, which count alike for subnormal numbers.
fn significand(bits: u64) -> u64 {
    return (bits & 0xffffffffffffflu) | select(0x10000000000000lu, 0lu, bits < 0x10000000000000lu);
}

fn exponent(bits: u64) -> u32 {
    return max(u32(bits >> 52u), 1u);
}

// What division leaves of x, exactly: the sign is that of x.
fn trunc_mod(x: f64, y: f64) -> f64 {
    let a = magnitude(x);
    let b = magnitude(y);
    if b == 0lu || a >= 0x7ff0000000000000lu || b > 0x7ff0000000000000lu {
        return bitcast<f64>(bitcast<u64>(x) | 0x7ff8000000000000lu);
    }
    if a < b {
        return x;
    }
    let bottom = significand(b);
    var rest = significand(a) % bottom;
    for (var left = exponent(a) - exponent(b); left > 0u; left -= min(left, 11u)) {
        rest = (rest << min(left, 11u)) % bottom;
    }
    // In two steps: beyond the smallest power there are numbers still.
    let k = i32(exponent(b)) - 1075;
    let half = k / 2;
    let size = f64(rest) * power_of_two(half) * power_of_two(k - half);
    return bitcast<f64>(bitcast<u64>(size) | (bitcast<u64>(x) & 0x8000000000000000lu));
}

// The rest has the sign of y.
fn floor_mod(x: f64, y: f64) -> f64 {
    let rest = trunc_mod(x, y);
    if rest == 0.0lf {
        return bitcast<f64>(bitcast<u64>(y) & 0x8000000000000000lu);
    }
    return select(rest, rest + y, (rest < 0.0lf) != (y < 0.0lf));
}

// Operators by the numbers of lower/pointwise.rs; those that are not here it refuses. `a` and `b` are an operator's two
// attributes.
fn apply(op: u32, x: f64, y: f64, a: f32, b: f32) -> f64 {
    let p = f64(a);
    let q = f64(b);
    switch op {
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
        case 19u: { return select(x, x * y, x < 0.0lf); }
        case 20u: { return trunc_mod(x, y); }
        case 21u: { return floor_mod(x, y); }
        case 22u: { return trunc_mod(y, x); }
        case 23u: { return floor_mod(y, x); }
        case 32u: { return abs(x); }
        case 33u: { return -x; }
        case 34u: { return select(sign(x), x, is_nan(x)); }
        case 35u: { return floor(x); }
        case 36u: { return ceil(x); }
        case 37u: { return round_even(x); }
        case 38u: { return 1.0lf / x; }
        case 39u: { return sqrt(x); }
        case 40u: { return exp_of(x); }
        case 41u: { return log_of(x); }
        case 50u: { return tanh_of(x); }
        case 55u: { return sigmoid(x); }
        case 56u: { return select(x, 0.0lf, x < 0.0lf); }
        case 57u: { return select(x, p * x, x < 0.0lf); }
        case 58u: { return select(x, p * (exp_of(x) - 1.0lf), x < 0.0lf); }
        case 59u: { return select(q * x, q * p * (exp_of(x) - 1.0lf), x < 0.0lf); }
        case 60u: { return select(x, p * (exp_of(x / p) - 1.0lf), x < 0.0lf); }
        case 61u: { return select(clamp(p * x + q, 0.0lf, 1.0lf), x, is_nan(x)); }
        case 62u: { return x * clamp(x / 6.0lf + 0.5lf, 0.0lf, 1.0lf); }
        case 63u: { return softplus(x); }
        case 64u: { return x / (1.0lf + abs(x)); }
        case 65u: { return x * tanh_of(softplus(x)); }
        case 68u: { return select(0.0lf, x, x > p); }
        case 69u: { return select(select(0.0lf, x - q, x > p), x + q, x < -p); }
        case 70u: { return truth(is_nan(x)); }
        case 71u: { return truth(infinite(x) && ((x > 0.0lf && p != 0.0lf) || (x < 0.0lf && q != 0.0lf))); }
        case 73u: { return x * sigmoid(p * x); }
        case 75u: { return x * x; }
        case 76u: { return x * x * x; }
        case 77u: { return select(0.0lf, not_a_number(), is_nan(x) || infinite(x)); }
        default: { return x; }
    }
}
