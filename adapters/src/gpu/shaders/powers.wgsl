// Powers and remainders.

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
