// Arithmetic in 32 bits; the wrapping is that of the element.
override UNSIGNED: bool = false;

alias Lane = i32;

fn decode(element: u32, low: u32, high: u32, index: u32) -> i32 {
    return small_int(element, low, index);
}

fn encode(element: u32, x: i32, index: u32) -> u32 {
    if element == BOOL {
        return small_bits(element, select(0u, 1u, x != 0), index);
    }
    return small_bits(element, bitcast<u32>(x), index);
}

fn encode_high(element: u32, x: i32) -> u32 {
    return select(0u, 0xffffffffu, !UNSIGNED && element == I64 && x < 0);
}

fn truth(x: bool) -> i32 {
    return select(0, 1, x);
}

fn less(x: i32, y: i32) -> bool {
    return select(x < y, bitcast<u32>(x) < bitcast<u32>(y), UNSIGNED);
}

// There is no NaN.
fn less_or_nan(x: i32, y: i32) -> bool {
    return less(x, y);
}

fn divide(x: i32, y: i32) -> i32 {
    if y == 0 {
        return 0;
    }
    if UNSIGNED {
        return bitcast<i32>(bitcast<u32>(x) / bitcast<u32>(y));
    }
    return select(x / y, -x, y == -1);
}

fn floor_mod(x: i32, y: i32) -> i32 {
    let rest = x - divide(x, y) * y;
    return select(rest, rest + y, !UNSIGNED && rest != 0 && (rest < 0) != (y < 0));
}

// An amount beyond the width, negative ones too, leaves nothing but the sign.
fn shift(x: i32, y: i32, right: bool) -> i32 {
    let amount = bitcast<u32>(y);
    let by = min(amount, 31u);
    if !right {
        return select(x << by, 0, amount > 31u);
    }
    if UNSIGNED {
        return select(bitcast<i32>(bitcast<u32>(x) >> by), 0, amount > 31u);
    }
    return x >> by;
}

// By a negative power nothing is whole but 1 and -1.
fn power(x: i32, y: i32) -> i32 {
    if !UNSIGNED && y < 0 {
        return select(select(0, 1, x == 1), select(1, -1, (y & 1) == 1), x == -1);
    }
    var result = 1;
    var base = x;
    var left = y;
    for (var bit = 0u; bit < 32u && left != 0; bit++) {
        if (left & 1) == 1 {
            result *= base;
        }
        base *= base;
        left = bitcast<i32>(bitcast<u32>(left) >> 1u);
    }
    return result;
}

// Operators by the numbers of lower/pointwise.rs.
fn apply(op: u32, x: i32, y: i32, p: f32, q: f32) -> i32 {
    switch op {
        case 1u: { return x + y; }
        case 2u: { return x - y; }
        case 3u: { return y - x; }
        case 4u: { return x * y; }
        case 5u: { return divide(x, y); }
        case 6u: { return divide(y, x); }
        case 7u: { return select(x, y, less(x, y)); }
        case 8u: { return select(y, x, less(x, y)); }
        case 9u: { return power(x, y); }
        case 10u: { return power(y, x); }
        case 11u: { return truth(x == y); }
        case 12u: { return truth(less(x, y)); }
        case 13u: { return truth(less(y, x)); }
        case 14u: { return truth(!less(y, x)); }
        case 15u: { return truth(!less(x, y)); }
        case 16u: { return truth(x != 0 && y != 0); }
        case 17u: { return truth(x != 0 || y != 0); }
        case 18u: { return truth((x != 0) != (y != 0)); }
        case 19u: { return select(x, x * y, less(x, 0)); }
        case 20u: { return x - divide(x, y) * y; }
        case 21u: { return floor_mod(x, y); }
        case 22u: { return y - divide(y, x) * x; }
        case 23u: { return floor_mod(y, x); }
        case 24u: { return x & y; }
        case 25u: { return x | y; }
        case 26u: { return x ^ y; }
        case 27u: { return shift(x, y, false); }
        case 28u: { return shift(x, y, true); }
        case 29u: { return shift(y, x, false); }
        case 30u: { return shift(y, x, true); }
        case 32u: { return select(abs(x), x, UNSIGNED); }
        case 33u: { return -x; }
        case 34u: { return select(sign(x), truth(x != 0), UNSIGNED); }
        case 56u: { return select(x, 0, !UNSIGNED && x < 0); }
        case 72u: { return truth(x == 0); }
        case 74u: { return ~x; }
        default: { return x; }
    }
}
