// More elementary functions, as right as those that they are made of: what operators on single elements need.

// A power of two by which small numbers are kept from becoming too small on the way.
const UNIT = 5.9604645e-8;

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

// x · (1 + erf(x / root of 2)) / 2, which is not 1 - 1 far below zero: there |x| · exp(-x² / 2) · erfcx(|x| / root of 2) / 2
// is taken off, of which all but the power is a polynomial in (|x| - 2) / (|x| + 2).
fn gelu(x: f32) -> f32 {
    let a = min(abs(x), 15.0);
    if a < 0.75 {
        let z = x * x;
        let p = 0.797884559 + z * (-0.132980594 + z * (0.0199447311 + z * (-0.00236266409 + z * 0.000205964363)));
        return 0.5 * x * (1.0 + x * p);
    }
    let q = (a - 2.0) / (a + 2.0);
    let p = 0.336203992 + q * (0.170501798 + q * (-0.151303664 + q * (0.0327572003 + q * (0.0181279033 + q * (-0.00358832767
        + q * (-0.00437550293 + q * (-0.000622347696 + q * (0.000982444501 + q * (0.000540611218 + q * -0.000277292624)))))))));
    let b = upper(a);
    // Beyond 14.5 it is too small for any number.
    let taken = select(exp_sum(-0.5 * b * b, -0.5 * (a - b) * (a + b), 24) * p, 0.0, a > 14.5);
    // Below zero without end times nothing.
    let without = select(0.0, not_a_number(x), bitcast<u32>(x) == 0xff800000u);
    return select(x, without, x < 0.0) - taken * UNIT;
}

fn to_grid(x: f32) -> f32 {
    return floor(x * 4096.0) * 2.44140625e-4;
}

// x · (1 + tanh(z / 2)) / 2 = x / (1 + exp(-z)) for z = root of (8 / pi) · (x + 0.044715 · x³). Far below zero the power
// needs more digits of z than a number has: those that 12 bits of |x| come to are exact, the rest is added to the power.
fn gelu_by_tanh(x: f32) -> f32 {
    let a = min(abs(x), 12.0);
    let b = upper(a);
    let square = b * b;
    let cube = upper(square) * b;
    let linear = 1.59570312 * b;
    let cubic = 0.0713500977 * upper(cube);
    let high = to_grid(linear) + to_grid(cubic);
    var low = 6.59966026e-5 * b + 4.71861631e-6 * cube;
    low += 0.0713500977 * (cube - upper(cube)) + 0.0713548139 * (square - upper(square)) * b;
    low += (a - b) * (1.59576917 + 0.0713548139 * (a * a + a * b + square));
    // Held: a driver would add what is large first.
    low += held(linear - to_grid(linear)) + held(cubic - to_grid(cubic));
    let negative = x < 0.0;
    return times_sigmoid(x, select(high, -high, negative), select(low, -low, negative));
}

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp_of(-x));
}

// x · sigmoid(p · x), with the digits of p · x that a number has no room for.
fn swish(x: f32, p: f32) -> f32 {
    let z = held(p * x);
    let lost = (upper(p) * upper(x) - z) + upper(p) * (x - upper(x)) + (p - upper(p)) * x;
    return times_sigmoid(x, z, select(lost, 0.0, abs(z) > 200.0));
}

// x / (1 + exp(-(z + low))), far below zero too, where that power is no number any more.
fn times_sigmoid(x: f32, z: f32, low: f32) -> f32 {
    if z < -60.0 {
        return x * select(exp_sum(z, low, 24), 0.0, z < -110.0) * UNIT;
    }
    if z < -1.0 {
        // A quotient is off by more than a product: here it is taken off, and small.
        let e = exp_sum(z, low, 0);
        return x * (e - e * (e / (1.0 + e)));
    }
    return x / (1.0 + exp_sum(-z, -low, 0));
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
        return times_sigmoid(x, x, 0.0);
    }
    let e = exp_of(x);
    let n = e * (e + 2.0);
    if n < 1.0 {
        let half = 0.5 * n;
        return x * (half - half * (n / (n + 2.0)));
    }
    return x * (n / (n + 2.0));
}
