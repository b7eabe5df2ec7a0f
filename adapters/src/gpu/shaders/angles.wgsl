// Functions of angles, round and hyperbolic.

// 32 x 32 bits to 64, in halves: the low word, then the high one.
fn widened_product(x: u32, y: u32) -> vec2<u32> {
    let low = (x & 0xffffu) * (y & 0xffffu);
    let cross = (x >> 16u) * (y & 0xffffu) + (low >> 16u);
    let other = (x & 0xffffu) * (y >> 16u) + (cross & 0xffffu);
    return vec2((other << 16u) | (low & 0xffffu), (x >> 16u) * (y >> 16u) + (cross >> 16u) + (other >> 16u));
}

// 2 / pi after a word of zeros.
fn inverse_quarter(word: u32) -> u32 {
    switch word {
        case 0u: { return 0u; }
        case 1u: { return 0xa2f9836eu; }
        case 2u: { return 0x4e441529u; }
        case 3u: { return 0xfc2757d1u; }
        case 4u: { return 0xf534ddc0u; }
        case 5u: { return 0xdb629599u; }
        case 6u: { return 0x3c439041u; }
        default: { return 0xfe5163abu; }
    }
}

// Quarters of a turn, and what is left of an angle.
struct Turn {
    quarters: u32,
    rest: f32,
}

// Payne and Hanek, "Radian reduction for trigonometric functions" (1983): only those 96 bits of 2 / pi are multiplied that
// make fewer than four quarters and are not too small to matter.
fn turned(x: f32) -> Turn {
    let bits = bitcast<u32>(x) & 0x7fffffffu;
    if bits < 0x3f490fdbu {
        return Turn(0u, x);
    }
    let significand = (bits & 0x7fffffu) | 0x800000u;
    let first = (bits >> 23u) - 120u;
    let word = first / 32u;
    let by = first % 32u;
    var window = vec3(inverse_quarter(word), inverse_quarter(word + 1u), inverse_quarter(word + 2u));
    if by > 0u {
        let next = vec3(window.y, window.z, inverse_quarter(word + 3u));
        window = (window << vec3(by)) | (next >> vec3(32u - by));
    }
    let low = widened_product(significand, window.z);
    let middle = widened_product(significand, window.y);
    let mid = low.y + middle.x;
    let high = middle.y + significand * window.x + select(0u, 1u, mid < low.y);
    var quarters = high >> 30u;
    var fraction = vec2((high << 2u) | (mid >> 30u), mid << 2u);
    let over = fraction.x >= 0x80000000u;
    if over {
        quarters += 1u;
        fraction = vec2(~fraction.x + select(0u, 1u, fraction.y == 0u), ~fraction.y + 1u);
    }
    let zeros = select(countLeadingZeros(fraction.x), 32u + countLeadingZeros(fraction.y), fraction.x == 0u);
    var top = fraction.x;
    if zeros >= 32u {
        top = fraction.y << (zeros % 32u);
    } else if zeros > 0u {
        top = (fraction.x << zeros) | (fraction.y >> (32u - zeros));
    }
    // 24 bits, and the 8 below them.
    let unit = bitcast<f32>((127u - 24u - min(zeros, 64u)) << 23u);
    let rest = (f32(top >> 8u) * 1.57079637 + (f32(top & 0xffu) * 0.0061359233 - f32(top >> 8u) * 4.37113883e-8)) * unit;
    let down = over != (bitcast<u32>(x) >= 0x80000000u);
    return Turn(select(quarters, 0u - quarters, bitcast<u32>(x) >= 0x80000000u) & 3u, select(rest, -rest, down));
}

fn sin_near_zero(x: f32) -> f32 {
    let z = x * x;
    let y = x + x * z * (-1.6666654611e-1 + z * (8.3321608736e-3 + z * -1.9515295891e-4));
    return with_sign_of(y, x);
}

fn cos_near_zero(x: f32) -> f32 {
    let z = x * x;
    return 1.0 - (0.5 * z - z * z * (4.166664568298827e-2 + z * (-1.388731625493765e-3 + z * 2.443315711809948e-5)));
}

// The sine, or that of a quarter more.
fn wave(x: f32, more: u32) -> f32 {
    if (bitcast<u32>(x) & 0x7fffffffu) >= 0x7f800000u {
        return not_a_number(x);
    }
    let turn = turned(x);
    let quarters = turn.quarters + more;
    let size = select(sin_near_zero(turn.rest), cos_near_zero(turn.rest), (quarters & 1u) == 1u);
    return select(size, -size, (quarters & 2u) == 2u);
}

fn tan_of(x: f32) -> f32 {
    if (bitcast<u32>(x) & 0x7fffffffu) >= 0x7f800000u {
        return not_a_number(x);
    }
    let turn = turned(x);
    let z = turn.rest * turn.rest;
    let p = 3.33331568548e-1 + z * (1.33387994085e-1 + z * (5.34112807005e-2 + z * (2.44301354525e-2 + z * (3.11992232697e-3
        + z * 9.38540185543e-3))));
    let tangent = turn.rest + turn.rest * z * p;
    return select(tangent, -1.0 / tangent, (turn.quarters & 1u) == 1u);
}

// For |x| up to a half.
fn asin_near_zero(x: f32) -> f32 {
    let z = x * x;
    let p = 1.6666752422e-1 + z * (7.4953002686e-2 + z * (4.5470025998e-2 + z * (2.4181311049e-2 + z * 4.2163199048e-2)));
    return x + x * z * p;
}

fn asin_of(x: f32) -> f32 {
    let a = abs(x);
    if is_nan(x) || a > 1.0 {
        return not_a_number(x);
    }
    if a <= 0.5 {
        return asin_near_zero(x);
    }
    return with_sign_of(1.57079637 - (2.0 * asin_near_zero(sqrt(0.5 - 0.5 * a)) + 4.37113883e-8), x);
}

fn acos_of(x: f32) -> f32 {
    let a = abs(x);
    if is_nan(x) || a > 1.0 {
        return not_a_number(x);
    }
    if a <= 0.5 {
        return 1.57079637 - (asin_near_zero(x) + 4.37113883e-8);
    }
    let near = 2.0 * asin_near_zero(sqrt(0.5 - 0.5 * a));
    return select(near, 3.14159274 - (near + 8.74227766e-8), x < 0.0);
}

fn atan_of(x: f32) -> f32 {
    if is_nan(x) {
        return x;
    }
    let a = abs(x);
    var start = vec2(0.0);
    var t = a;
    if a > 2.41421356 {
        start = vec2(1.57079637, -4.37113883e-8);
        t = -1.0 / a;
    } else if a > 0.41421356 {
        start = vec2(0.785398185, -2.18556941e-8);
        t = (a - 1.0) / (a + 1.0);
    }
    let z = t * t;
    let p = -3.33329491539e-1 + z * (1.99777106478e-1 + z * (-1.38776856032e-1 + z * 8.05374449538e-2));
    return with_sign_of(start.x + (start.y + t * z * p + t), x);
}

fn sinh_of(x: f32) -> f32 {
    let a = abs(x);
    if is_nan(x) {
        return x;
    }
    if a < 1.0 {
        let z = x * x;
        return x + x * z * (1.66667160211e-1 + z * (8.33028376239e-3 + z * 2.03721912945e-4));
    }
    let half = exp_sum(a, 0.0, -1);
    return with_sign_of(half - 0.25 / half, x);
}

fn cosh_of(x: f32) -> f32 {
    let half = exp_sum(abs(x), 0.0, -1);
    return half + 0.25 / half;
}

fn asinh_of(x: f32) -> f32 {
    let a = abs(x);
    if is_nan(x) {
        return x;
    }
    if a < 0.5 {
        let z = x * x;
        let y = x + x * z * (-1.6666288134e-1 + z * (7.4847586088e-2 + z * (-4.2699340972e-2 + z * 2.0122003309e-2)));
        return with_sign_of(y, x);
    }
    if a > 1e4 {
        return with_sign_of(log_of(a) + 0.693147182, x);
    }
    let z = a * a;
    return with_sign_of(log_one_plus(a + z / (1.0 + sqrt(z + 1.0))), x);
}

fn acosh_of(x: f32) -> f32 {
    if is_nan(x) || x < 1.0 {
        return not_a_number(x);
    }
    if x > 1e4 {
        return log_of(x) + 0.693147182;
    }
    let t = held(x - 1.0);
    return log_one_plus(t + sqrt(2.0 * t + t * t));
}

fn atanh_of(x: f32) -> f32 {
    let a = abs(x);
    if is_nan(x) || a > 1.0 {
        return not_a_number(x);
    }
    if a < 0.5 {
        let z = x * x;
        let p = 3.33337300303e-1 + z * (1.99782164500e-1 + z * (1.46691431730e-1 + z * (8.24370301058e-2 + z * 1.81740078349e-1)));
        return x + x * z * p;
    }
    return with_sign_of(0.5 * log_one_plus(2.0 * a / (1.0 - a)), x);
}

// Operators that are made of them.
fn angular(op: u32, x: f32) -> f32 {
    switch op {
        case 42u: { return wave(x, 0u); }
        case 43u: { return wave(x, 1u); }
        case 44u: { return tan_of(x); }
        case 45u: { return asin_of(x); }
        case 46u: { return acos_of(x); }
        case 47u: { return atan_of(x); }
        case 48u: { return sinh_of(x); }
        case 49u: { return cosh_of(x); }
        case 51u: { return asinh_of(x); }
        case 52u: { return acosh_of(x); }
        case 53u: { return atanh_of(x); }
        default: { return x; }
    }
}
