// Arithmetic in f32. Narrower floats are widened; integers are read as numbers.
alias Lane = f32;

fn decode(element: u32, low: u32, high: u32, index: u32) -> f32 {
    switch element {
        case FP32: { return bitcast<f32>(low); }
        case FP16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1: {
            return from_narrow(element, low, index);
        }
        case U32: { return from_words(low, 0u); }
        case I64: { return from_long(low, high); }
        case U64: { return from_words(low, high); }
        default: { return f32(small_int(element, low, index)); }
    }
}

// 64 bits, rounded once to nearest, ties to even.
fn from_words(low: u32, high: u32) -> f32 {
    let zeros = select(countLeadingZeros(high), 32u + countLeadingZeros(low), high == 0u);
    if zeros == 64u {
        return 0.0;
    }
    var top = low << (zeros % 32u);
    var rest = 0u;
    if zeros < 32u {
        rest = top;
        top = high << zeros;
        if zeros > 0u {
            top |= low >> (32u - zeros);
        }
    }
    let below = (top & 0xffu) | select(0u, 1u, rest != 0u);
    let kept = top >> 8u;
    let up = (top & 0x80u) != 0u && ((below & 0x7fu) != 0u || (kept & 1u) == 1u);
    return f32(kept + select(0u, 1u, up)) * bitcast<f32>((127u + 40u - zeros) << 23u);
}

// The magnitude, then its sign.
fn from_long(low: u32, high: u32) -> f32 {
    if (high >> 31u) == 0u {
        return from_words(low, high);
    }
    return -from_words(~low + 1u, ~high + select(0u, 1u, low == 0u));
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
        case I64, U64: { return to_long(element, x).x; }
        default: { return small_bits(element, bitcast<u32>(i32(x)), index); }
    }
}

fn encode_high(element: u32, x: f32) -> u32 {
    return to_long(element, x).y;
}

// The magnitude in two words, then its sign: a negative low word is no f32. What is too large becomes the largest.
fn to_long(element: u32, x: f32) -> vec2<u32> {
    if is_nan(x) {
        return vec2(0u);
    }
    if x >= select(9223372036854775808.0, 18446744073709551616.0, element == U64) {
        return vec2(0xffffffffu, select(0x7fffffffu, 0xffffffffu, element == U64));
    }
    if x <= -9223372036854775808.0 {
        return vec2(0u, 0x80000000u);
    }
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

// The same where a NaN is below every number.
fn less_or_nan(x: f32, y: f32) -> bool {
    return !is_nan(y) && (x < y || is_nan(x));
}

fn round_even(x: f32) -> f32 {
    return round(x);
}

fn infinite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u;
}

// Between two bounds; a NaN stays one.
fn held_to(x: f32, low: f32, high: f32) -> f32 {
    return select(clamp(x, low, high), x, is_nan(x));
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
        case 11u: { return truth(x == y && !is_nan(x) && !is_nan(y)); }
        case 12u: { return truth(x < y && !is_nan(x) && !is_nan(y)); }
        case 13u: { return truth(x > y && !is_nan(x) && !is_nan(y)); }
        case 14u: { return truth(x <= y && !is_nan(x) && !is_nan(y)); }
        case 15u: { return truth(x >= y && !is_nan(x) && !is_nan(y)); }
        case 16u: { return truth(x != 0.0 && y != 0.0); }
        case 17u: { return truth(x != 0.0 || y != 0.0); }
        case 18u: { return truth((x != 0.0) != (y != 0.0)); }
        case 19u: { return select(x, x * y, x < 0.0); }
        case 32u: { return abs(x); }
        case 33u: { return -x; }
        case 34u: { return select(sign(x), x, is_nan(x)); }
        case 35u: { return floor(x); }
        case 36u: { return ceil(x); }
        case 37u: { return round_even(x); }
        case 38u: { return 1.0 / x; }
        case 39u: { return select(sqrt(x), bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u), x < 0.0); }
        case 56u: { return select(x, 0.0, x < 0.0); }
        case 57u: { return select(x, p * x, x < 0.0); }
        case 61u: { return held_to(p * x + q, 0.0, 1.0); }
        case 62u: { return x * held_to(x / 6.0 + 0.5, 0.0, 1.0); }
        case 64u: { return x / (1.0 + abs(x)); }
        case 68u: { return select(0.0, x, x > p); }
        case 69u: { return select(select(0.0, x - q, x > p), x + q, x < -p); }
        case 70u: { return truth(is_nan(x)); }
        case 71u: { return truth((x == bitcast<f32>(0x7f800000u) && p != 0.0) || (x == bitcast<f32>(0xff800000u) && q != 0.0)); }
        case 72u: { return truth(x == 0.0); }
        case 75u: { return x * x; }
        case 76u: { return x * x * x; }
        case 77u: { return select(0.0, not_a_number(x), is_nan(x) || infinite(x)); }
        case 9u, 10u, 20u, 21u, 22u, 23u: { return of_two(op, x, y); }
        case 42u, 43u, 44u, 45u, 46u, 47u, 48u, 49u, 51u, 52u, 53u: { return angular(op, x); }
        default: { return exponential(op, x, p, q); }
    }
}
