// Elementary functions in f32 out of sums, products, quotients, square roots and integers alone: what drivers have built in is
// wrong in other places on each. Within 4 units in the last place, gelu within 5; what is below the normal numbers a driver may take for zero.
// After Cephes (Moshier, 1989) and fdlibm (Sun Microsystems, 1993).

// Powers of two by which small numbers are kept from becoming too small on the way.
const UNIT = 5.9604645e-8;
const HALF_UNIT = 2.98023224e-8;

// The same number, but drivers do not know that it is: they would take (1 + x) - 1 for x.
fn held(x: f32) -> f32 {
    return bitcast<f32>(min(bitcast<u32>(x), 0xfffffffeu));
}

fn not_a_number(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u);
}

fn with_sign_of(x: f32, sign: f32) -> f32 {
    return bitcast<f32>((bitcast<u32>(x) & 0x7fffffffu) | (bitcast<u32>(sign) & 0x80000000u));
}

// The upper 12 bits of a significand: two of them multiply exactly.
fn upper(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
}

// x · 2^k in two steps: beyond the largest power there are numbers still.
fn scaled(x: f32, k: i32) -> f32 {
    let half = k >> 1u;
    return x * bitcast<f32>(u32(half + 127) << 23u) * bitcast<f32>(u32(k - half + 127) << 23u);
}

// exp(r) - 1 for |r| up to half of ln 2.
fn exp_near_zero(r: f32) -> f32 {
    let p = 0.5 + r * (1.6666665459e-1 + r * (4.1665795894e-2 + r * (8.3334519073e-3 + r * (1.3981999507e-3 + r * 1.9875691500e-4))));
    return r + r * r * p;
}

// exp(x + low) · 2^shift, where low is much smaller than x.
fn exp_sum(x: f32, low: f32, shift: i32) -> f32 {
    if is_nan(x) {
        return x;
    }
    let inside = clamp(x, -105.0, 91.0);
    let k = round(inside * 1.44269504);
    let r = ((inside - k * 0.693359375) - k * -2.12194440e-4) + low;
    return scaled(1.0 + exp_near_zero(r), i32(k) + shift);
}

fn exp_of(x: f32) -> f32 {
    return exp_sum(x, 0.0, 0);
}

fn exp_minus_one(x: f32) -> f32 {
    if is_nan(x) {
        return x;
    }
    let inside = clamp(x, -40.0, 91.0);
    let k = round(inside * 1.44269504);
    let t = exp_near_zero((inside - k * 0.693359375) - k * -2.12194440e-4);
    if k > 25.0 {
        return scaled(1.0 + t, i32(k));
    }
    let size = bitcast<f32>(u32(i32(k) + 127) << 23u);
    return select(size * t + (size - 1.0), t, k == 0.0);
}

// log(1 + f) + k · ln 2 for 1 + f from the root of a half to the root of two.
fn log_near_one(f: f32, k: f32) -> f32 {
    let z = f * f;
    var p = 3.3333331174e-1 + f * (-2.4999993993e-1 + f * (2.0000714765e-1 + f * (-1.6668057665e-1 + f * (1.4249322787e-1
        + f * (-1.2420140846e-1 + f * (1.1676998740e-1 + f * (-1.1514610310e-1 + f * 7.0376836292e-2)))))));
    p = f * z * p + k * -2.12194440e-4 - 0.5 * z;
    return (f + p) + k * 0.693359375;
}

// A positive number as (1 + f) · 2^k: f, and k as a float.
fn parts_of(bits: u32) -> vec2<f32> {
    // Subnormal ones are brought up first.
    let up = select(0u, countLeadingZeros(bits) - 8u, bits < 0x800000u);
    let moved = (bits << up) + (0x3f800000u - 0x3f3504f3u);
    let k = i32(moved >> 23u) - 127 - i32(up);
    return vec2(bitcast<f32>((moved & 0x7fffffu) + 0x3f3504f3u) - 1.0, f32(k));
}

fn log_of(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    if (bits & 0x7fffffffu) == 0u {
        return bitcast<f32>(bits | 0xff800000u);
    }
    if bits >= 0x7f800000u {
        return select(x, not_a_number(x), bits != 0x7f800000u);
    }
    let parts = parts_of(bits);
    return log_near_one(parts.x, parts.y);
}

fn log_one_plus(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    if bits >= 0xbf800000u {
        return select(not_a_number(x), bitcast<f32>(0xff800000u), bits == 0xbf800000u);
    }
    if (bits & 0x7fffffffu) >= 0x7f800000u {
        return x;
    }
    let sum = held(1.0 + x);
    let parts = parts_of(bitcast<u32>(sum));
    if parts.y == 0.0 {
        return log_near_one(x, 0.0);
    }
    // What was lost when 1 was added.
    let lost = select(x - (sum - 1.0), 1.0 - (sum - x), parts.y > 1.0) / sum;
    return log_near_one(parts.x, parts.y) + lost;
}

fn tanh_of(x: f32) -> f32 {
    let a = abs(x);
    if is_nan(x) {
        return x;
    }
    if a < 0.625 {
        let z = x * x;
        let p = -3.33332819422e-1 + z * (1.33314422036e-1 + z * (-5.37397155531e-2 + z * (2.06390887954e-2 + z * -5.70498872745e-3)));
        return x + x * z * p;
    }
    return with_sign_of(1.0 - 2.0 / (exp_of(2.0 * a) + 1.0), x);
}

// exp(high + low) · 2^shift · erfcx(a) for a = 0 and above: with -a² in two parts, 1 - erf(a). A polynomial in
// (a - 3) / (a + 3).
fn tail(a: f32, high: f32, low: f32, shift: i32) -> f32 {
    let q = (a - 3.0) / (a + 3.0);
    let p = 1.25300806 + q * (-0.135621146 + q * (-0.0475623863 + q * (0.129646598 + q * (-0.119270996 + q * (0.0682944779
        + q * (-0.0237984651 + q * (0.00256987712 + q * (0.00200512455 + q * (-0.000777033474 + q * -0.000268560774)))))))));
    return exp_sum(high, low, shift) * (p / (1.0 + 2.0 * a));
}

fn erf(x: f32) -> f32 {
    let a = abs(x);
    if is_nan(x) {
        return x;
    }
    if a < 0.84375 {
        let z = x * x;
        let r = 1.28379166e-1 + z * (-3.25042099e-1 + z * (-2.84817480e-2 + z * (-5.77027029e-3 + z * -2.37630162e-5)));
        let s = 1.0 + z * (3.97917223e-1 + z * (6.50222495e-2 + z * (5.08130621e-3 + z * (1.32494739e-4 + z * -3.96022824e-6))));
        return x * (1.0 + r / s);
    }
    let b = min(a, 4.0);
    return with_sign_of(1.0 - tail(b, -b * b, 0.0, 0), x);
}

// x · (1 + erf(x / root of 2)) / 2, which is not 1 - 1 far below zero.
fn gelu(x: f32) -> f32 {
    if abs(x) < 0.75 {
        let z = x * x;
        let p = 0.797884559 + z * (-0.132980594 + z * (0.0199447311 + z * (-0.00236266409 + z * 0.000205964363)));
        return 0.5 * x * (1.0 + x * p);
    }
    let a = min(abs(x), 15.0);
    let b = upper(a);
    // Beyond 14.5 it is too small for any number.
    let half = select(tail(a * 0.707106781, -0.5 * b * b, -0.5 * (a - b) * (a + b), 24), 0.0, a > 14.5);
    return select(x * half * HALF_UNIT, x * (1.0 - half * HALF_UNIT), x > 0.0);
}

// x · (1 + tanh(c · (x + 0.044715 · x³))) / 2
fn gelu_by_tanh(x: f32) -> f32 {
    return times_sigmoid(x, 1.59576912 * (x + 0.044715 * x * x * x));
}

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp_of(-x));
}

// x / (1 + exp(-z)), far below zero too, where that power is no number any more.
fn times_sigmoid(x: f32, z: f32) -> f32 {
    if z < -60.0 {
        return x * select(exp_sum(z, 0.0, 24), 0.0, z < -110.0) * UNIT;
    }
    return x / (1.0 + exp_of(-z));
}

fn softplus(x: f32) -> f32 {
    return max(x, 0.0) + log_one_plus(exp_of(-abs(x)));
}

// x · tanh(softplus(x))
fn mish(x: f32) -> f32 {
    if x > 20.0 {
        return x;
    }
    if x < -60.0 {
        return times_sigmoid(x, x);
    }
    let e = exp_of(x);
    let n = e * (e + 2.0);
    return x * (n / (n + 2.0));
}
