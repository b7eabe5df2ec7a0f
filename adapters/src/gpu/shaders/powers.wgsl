// Powers and remainders.

// x^y for x > 0, after e_powf of fdlibm: log2(x), then its product with y, each as a sum of two.
fn power_of(x: f32, y: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let up = select(0u, countLeadingZeros(bits) - 8u, bits < 0x800000u);
    let rest = (bits << up) & 0x7fffffu;
    var k = f32(i32((bits << up) >> 23u) - 127 - i32(up));
    var m = rest | 0x3f800000u;
    let middle = rest > 0x1cc471u && rest < 0x5db3d7u;
    if rest >= 0x5db3d7u {
        k += 1.0;
        m -= 0x800000u;
    }
    let ax = bitcast<f32>(m);
    let base = select(1.0, 1.5, middle);
    let u = ax - base;
    let v = 1.0 / (ax + base);
    let s = u * v;
    let s_high = upper(s);
    let t_high = bitcast<f32>((((m >> 1u) & 0xfffff000u) | 0x20000000u) + 0x400000u + select(0u, 0x200000u, middle));
    let t_low = ax - (t_high - base);
    let s_low = v * ((u - s_high * t_high) - s_high * t_low);
    let z = s * s;
    let r = z * z * (6.0000002384e-1 + z * (4.2857143283e-1 + z * (3.3333334327e-1 + z * (2.7272811532e-1
        + z * (2.3066075146e-1 + z * 2.0697501302e-1))))) + s_low * (s_high + s);
    let square = s_high * s_high;
    let c_high = upper(3.0 + square + r);
    let c_low = r - (held(c_high - 3.0) - square);
    let w = s_low * c_high + c_low * s;
    let p_high = upper(s_high * c_high + w);
    let p_low = w - (p_high - s_high * c_high);
    // 2 / (3 ln 2)
    let high = 9.6191406250e-1 * p_high;
    let low = -1.1736857402e-4 * p_high + p_low * 9.6179670095e-1 + select(0.0, 1.56322085e-6, middle);
    let step = select(0.0, 5.84960938e-1, middle);
    let log_high = upper(((high + low) + step) + k);
    let log_low = low - ((held(log_high - k) - step) - high);
    // An exponent that is larger makes nothing but 0 or infinity of what is not 1.
    let power = clamp(y, -4e9, 4e9);
    let y_high = upper(power);
    let by_low = (power - y_high) * log_high + power * log_low;
    let by_high = y_high * log_high;
    let whole = clamp(by_high + by_low, -160.0, 140.0);
    let n = round(whole);
    let inside = whole == by_high + by_low;
    let fraction = select(0.0, (by_high - n) + by_low, inside);
    let f_high = upper(fraction);
    let f_low = select(0.0, by_low - (f_high - held(by_high - n)), inside);
    let near = f_high * 6.93145752e-1 + (f_low * 6.9314718246e-1 + f_high * 1.42860654e-6);
    return scaled(1.0 + exp_near_zero(near), i32(n));
}

fn power(x: f32, y: f32) -> f32 {
    let a = abs(x);
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if is_nan(x) || is_nan(y) {
        return not_a_number(x + y);
    }
    let whole = y == trunc(y);
    let odd = whole && is_odd(y);
    var size = 0.0;
    if a == 0.0 || infinite(x) {
        size = select(0.0, bitcast<f32>(0x7f800000u), (a == 0.0) == (y < 0.0));
    } else if infinite(y) {
        size = select(select(0.0, bitcast<f32>(0x7f800000u), (a > 1.0) == (y > 0.0)), 1.0, a == 1.0);
    } else if x < 0.0 && !whole {
        return not_a_number(x);
    } else {
        size = power_of(a, y);
    }
    return select(size, -size, odd && bitcast<u32>(x) >= 0x80000000u);
}

// Whether a whole number is odd.
fn is_odd(y: f32) -> bool {
    return abs(y) < 16777216.0 && abs(y - 2.0 * trunc(y * 0.5)) == 1.0;
}

// The significand and the exponent of a magnitude, which count alike for subnormal numbers.
fn whole_and_exponent(bits: u32) -> vec2<u32> {
    let small = bits < 0x800000u;
    return vec2((bits & 0x7fffffu) | select(0x800000u, 0u, small), select(bits >> 23u, 1u, small));
}

// What division leaves of x, exactly: the sign is that of x.
fn trunc_mod(x: f32, y: f32) -> f32 {
    let a = bitcast<u32>(x) & 0x7fffffffu;
    let b = bitcast<u32>(y) & 0x7fffffffu;
    if b == 0u || a >= 0x7f800000u || b > 0x7f800000u {
        return not_a_number(x);
    }
    if a < b {
        return x;
    }
    let top = whole_and_exponent(a);
    let bottom = whole_and_exponent(b);
    var rest = top.x % bottom.x;
    for (var left = top.y - bottom.y; left > 0u; left -= min(left, 8u)) {
        rest = (rest << min(left, 8u)) % bottom.x;
    }
    let zeros = countLeadingZeros(rest) - 8u;
    var made = rest << (bottom.y - 1u);
    if rest == 0u {
        made = 0u;
    } else if bottom.y > zeros {
        made = ((rest << zeros) & 0x7fffffu) | ((bottom.y - zeros) << 23u);
    }
    return bitcast<f32>(made | (bitcast<u32>(x) & 0x80000000u));
}

// The rest has the sign of y.
fn floor_mod(x: f32, y: f32) -> f32 {
    let rest = trunc_mod(x, y);
    if (bitcast<u32>(rest) & 0x7fffffffu) == 0u {
        return with_sign_of(rest, y);
    }
    return select(rest, rest + y, (rest < 0.0) != (y < 0.0));
}

// Operators that are made of them.
fn of_two(op: u32, x: f32, y: f32) -> f32 {
    switch op {
        case 9u: { return power(x, y); }
        case 10u: { return power(y, x); }
        case 20u: { return trunc_mod(x, y); }
        case 21u: { return floor_mod(x, y); }
        case 22u: { return trunc_mod(y, x); }
        case 23u: { return floor_mod(y, x); }
        default: { return x; }
    }
}
