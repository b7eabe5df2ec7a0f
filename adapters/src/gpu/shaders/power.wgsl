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
