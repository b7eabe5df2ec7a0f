// Elementary functions in f32 out of sums, products, quotients and integers alone: what drivers have built in is wrong in
// other places on each. Within 4 units in the last place; what is below the normal numbers a driver may take for zero.
// After Cephes (Moshier, 1989) and fdlibm (Sun Microsystems, 1993).

// Bit tests: `x != x` is false for NaN here.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) < 0x7f800000u;
}

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

fn tanh_of(x: f32) -> f32 {
    let a = abs(x);
    if is_nan(x) {
        return x;
    }
    if a < 0.625 {
        let z = x * x;
        let p = -3.33332819422e-1 + z * (1.33314422036e-1 + z * (-5.37397155531e-2 + z * (2.06390887954e-2 + z * -5.70498872745e-3)));
        return with_sign_of(x + x * z * p, x);
    }
    return with_sign_of(1.0 - 2.0 / (exp_of(2.0 * a) + 1.0), x);
}
