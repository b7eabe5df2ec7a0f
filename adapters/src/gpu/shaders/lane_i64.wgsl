// Arithmetic in 64 bits out of two words: low, high.
override UNSIGNED: bool = false;

alias Lane = vec2<u32>;

fn decode(element: u32, low: u32, high: u32, index: u32) -> vec2<u32> {
    if element == I64 || element == U64 {
        return vec2(low, high);
    }
    let x = small_int(element, low, index);
    return vec2(bitcast<u32>(x), select(0u, 0xffffffffu, x < 0 && element != U32));
}

fn encode(element: u32, x: vec2<u32>, index: u32) -> u32 {
    if element == BOOL {
        return small_bits(element, select(0u, 1u, any(x != vec2(0u))), index);
    }
    return small_bits(element, x.x, index);
}

fn encode_high(element: u32, x: vec2<u32>) -> u32 {
    return x.y;
}

fn truth(x: bool) -> vec2<u32> {
    return vec2(select(0u, 1u, x), 0u);
}

fn add(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let low = x.x + y.x;
    return vec2(low, x.y + y.y + select(0u, 1u, low < x.x));
}

fn negate(x: vec2<u32>) -> vec2<u32> {
    return add(~x, vec2(1u, 0u));
}

fn negative(x: vec2<u32>) -> bool {
    return !UNSIGNED && (x.y >> 31u) == 1u;
}

fn magnitude(x: vec2<u32>) -> vec2<u32> {
    return select(x, negate(x), negative(x));
}

fn below(x: vec2<u32>, y: vec2<u32>) -> bool {
    return x.y < y.y || (x.y == y.y && x.x < y.x);
}

fn less(x: vec2<u32>, y: vec2<u32>) -> bool {
    if negative(x) != negative(y) {
        return negative(x);
    }
    return below(x, y);
}

// There is no NaN.
fn less_or_nan(x: vec2<u32>, y: vec2<u32>) -> bool {
    return less(x, y);
}

// 32 x 32 bits to 64, in halves.
fn widen(x: u32, y: u32) -> vec2<u32> {
    let low = (x & 0xffffu) * (y & 0xffffu);
    let cross = (x >> 16u) * (y & 0xffffu) + (low >> 16u);
    let other = (x & 0xffffu) * (y >> 16u) + (cross & 0xffffu);
    return vec2((other << 16u) | (low & 0xffffu), (x >> 16u) * (y >> 16u) + (cross >> 16u) + (other >> 16u));
}

fn multiply(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let low = widen(x.x, y.x);
    return vec2(low.x, low.y + x.x * y.y + x.y * y.x);
}

// Long division, bit by bit: quotient in xy, rest in zw.
fn divide_magnitudes(x: vec2<u32>, y: vec2<u32>) -> vec4<u32> {
    var quotient = vec2(0u);
    var rest = vec2(0u);
    for (var step = 0u; step < 64u; step++) {
        let bit = 63u - step;
        let next = select(x.x >> bit, x.y >> (bit - 32u), bit >= 32u) & 1u;
        rest = vec2((rest.x << 1u) | next, (rest.y << 1u) | (rest.x >> 31u));
        if !below(rest, y) {
            rest = add(rest, negate(y));
            quotient |= select(vec2(1u << (bit % 32u), 0u), vec2(0u, 1u << (bit % 32u)), bit >= 32u);
        }
    }
    return vec4(quotient, rest);
}

fn divide(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    if all(y == vec2(0u)) {
        return y;
    }
    let quotient = divide_magnitudes(magnitude(x), magnitude(y)).xy;
    return select(quotient, negate(quotient), negative(x) != negative(y));
}

fn rest_of(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    return add(x, negate(multiply(divide(x, y), y)));
}

fn floor_mod(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    let rest = rest_of(x, y);
    return select(rest, add(rest, y), any(rest != vec2(0u)) && negative(rest) != negative(y));
}

// An amount beyond the width, negative ones too, leaves nothing but the sign.
fn shift(x: vec2<u32>, y: vec2<u32>, right: bool) -> vec2<u32> {
    let by = y.x;
    let sign = select(0u, 0xffffffffu, right && negative(x));
    if by > 63u || y.y != 0u {
        return vec2(sign);
    }
    if by == 0u {
        return x;
    }
    if right && by >= 32u {
        let high = select(x.y >> (by % 32u), bitcast<u32>(bitcast<i32>(x.y) >> (by % 32u)), negative(x));
        return vec2(high, sign);
    }
    if right {
        let high = select(x.y >> by, bitcast<u32>(bitcast<i32>(x.y) >> by), negative(x));
        return vec2((x.x >> by) | (x.y << (32u - by)), high);
    }
    return select(vec2(x.x << by, (x.y << by) | (x.x >> (32u - by))), vec2(0u, x.x << (by - 32u)), by >= 32u);
}

// By a negative power nothing is whole but 1 and -1.
fn power(x: vec2<u32>, y: vec2<u32>) -> vec2<u32> {
    if negative(y) {
        let odd = all(x == vec2(0xffffffffu)) && (y.x & 1u) == 1u;
        let one = all(magnitude(x) == vec2(1u, 0u));
        return select(truth(one), x, odd);
    }
    var result = vec2(1u, 0u);
    var base = x;
    var left = y;
    for (var bit = 0u; bit < 64u && any(left != vec2(0u)); bit++) {
        if (left.x & 1u) == 1u {
            result = multiply(result, base);
        }
        base = multiply(base, base);
        left = vec2((left.x >> 1u) | (left.y << 31u), left.y >> 1u);
    }
    return result;
}

fn signum(x: vec2<u32>) -> vec2<u32> {
    return select(truth(any(x != vec2(0u))), vec2(0xffffffffu), negative(x));
}

// Operators by the numbers of lower/pointwise.rs.
fn apply(op: u32, x: vec2<u32>, y: vec2<u32>, p: f32, q: f32) -> vec2<u32> {
    switch op {
        case 1u: { return add(x, y); }
        case 2u: { return add(x, negate(y)); }
        case 3u: { return add(y, negate(x)); }
        case 4u: { return multiply(x, y); }
        case 5u: { return divide(x, y); }
        case 6u: { return divide(y, x); }
        case 7u: { return select(x, y, less(x, y)); }
        case 8u: { return select(y, x, less(x, y)); }
        case 9u: { return power(x, y); }
        case 10u: { return power(y, x); }
        case 11u: { return truth(all(x == y)); }
        case 12u: { return truth(less(x, y)); }
        case 13u: { return truth(less(y, x)); }
        case 14u: { return truth(!less(y, x)); }
        case 15u: { return truth(!less(x, y)); }
        case 19u: { return select(x, multiply(x, y), negative(x)); }
        case 20u: { return rest_of(x, y); }
        case 21u: { return floor_mod(x, y); }
        case 22u: { return rest_of(y, x); }
        case 23u: { return floor_mod(y, x); }
        case 24u: { return x & y; }
        case 25u: { return x | y; }
        case 26u: { return x ^ y; }
        case 27u: { return shift(x, y, false); }
        case 28u: { return shift(x, y, true); }
        case 29u: { return shift(y, x, false); }
        case 30u: { return shift(y, x, true); }
        case 32u: { return magnitude(x); }
        case 33u: { return negate(x); }
        case 34u: { return signum(x); }
        case 56u: { return select(x, vec2(0u), negative(x)); }
        case 72u: { return truth(all(x == vec2(0u))); }
        case 74u: { return ~x; }
        default: { return x; }
    }
}
