// Floats narrower than a word, those of a byte among them: read as f32, and rounded from it to nearest, ties to even.

// Whether what is too large becomes the largest, else infinity or NaN.
override SATURATE: bool = true;
// How a power of two is found: 0 the next above, 1 the next below, 2 the nearest.
override ROUND: u32 = 0u;

fn from_narrow(element: u32, word: u32, index: u32) -> f32 {
    let byte = extractBits(word, 8u * (index % 4u), 8u);
    switch element {
        case FP16: { return unpack2x16float(word)[index % 2u]; }
        case BF16: { return bitcast<f32>(extractBits(word, 16u * (index % 2u), 16u) << 16u); }
        case F8E4M3FN: { return minifloat(byte, 3u, 7u, (byte & 0x7fu) == 0x7fu); }
        case F8E4M3FNUZ: { return minifloat(byte, 3u, 8u, byte == 0x80u); }
        case F8E5M2: { return unpack2x16float(byte << 8u).x; }
        case F8E5M2FNUZ: { return minifloat(byte, 2u, 16u, byte == 0x80u); }
        case F8E8M0: { return bitcast<f32>(select(select(byte << 23u, 0x400000u, byte == 0u), NAN, byte == 0xffu)); }
        default: { return minifloat(((byte & 8u) << 4u) | (byte & 7u), 1u, 1u, false); }
    }
}

fn to_narrow(element: u32, x: f32, index: u32) -> u32 {
    switch element {
        case FP16: { return small_bits(element, to_f16(x), index); }
        case BF16: { return small_bits(element, to_bf16(x), index); }
        case F8E8M0: { return small_bits(element, to_power(x), index); }
        default: { return small_bits(element, to_minifloat(element, x), index); }
    }
}

const NAN = 0x7fc00000u;

// A sign in bit 7, an exponent and so many bits of mantissa below it.
fn minifloat(byte: u32, mantissa: u32, bias: u32, nan: bool) -> f32 {
    let exponent = (byte & 0x7fu) >> mantissa;
    let rest = byte & ((1u << mantissa) - 1u);
    let unit = bitcast<f32>((128u - bias - mantissa) << 23u);
    let subnormal = bitcast<u32>(f32(rest) * unit);
    let normal = ((exponent + 127u - bias) << 23u) | (rest << (23u - mantissa));
    let magnitude = select(normal, subnormal, exponent == 0u);
    return bitcast<f32>(select(magnitude | ((byte & 0x80u) << 24u), NAN, nan));
}

// Bits of mantissa, bias, the largest number, what stands for too large ones, and NaN.
struct Format {
    mantissa: u32,
    bias: u32,
    largest: u32,
    beyond: u32,
    nan: u32,
}

fn format_of(element: u32) -> Format {
    switch element {
        case F8E4M3FN: { return Format(3u, 7u, 0x7eu, 0x7fu, 0x7fu); }
        case F8E4M3FNUZ: { return Format(3u, 8u, 0x7fu, 0x80u, 0x80u); }
        case F8E5M2: { return Format(2u, 15u, 0x7bu, 0x7cu, 0x7eu); }
        case F8E5M2FNUZ: { return Format(2u, 16u, 0x7fu, 0x80u, 0x80u); }
        default: { return Format(1u, 1u, 7u, 7u, 0x80u); }
    }
}

fn to_minifloat(element: u32, x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    let format = format_of(element);
    let size = bits & 0x7fffffffu;
    var magnitude = rounded(size, format.mantissa, format.bias);
    if magnitude > format.largest {
        magnitude = select(format.beyond, format.largest, SATURATE);
    }
    if size > 0x7f800000u {
        magnitude = format.nan;
    }
    let signed = magnitude ^ ((bits >> 24u) & 0x80u);
    switch element {
        // There is but one zero, and one NaN in the place of the other.
        case F8E4M3FNUZ, F8E5M2FNUZ: { return select(signed, magnitude, magnitude == 0u || magnitude == 0x80u); }
        case F4E2M1: { return (signed & 7u) | ((signed & 0x80u) >> 4u); }
        default: { return signed; }
    }
}

// The bits of an f32 without its sign, in fewer of them.
fn rounded(size: u32, mantissa: u32, bias: u32) -> u32 {
    if size < ((128u - bias) << 23u) {
        return u32(round(bitcast<f32>(size) * bitcast<f32>((126u + bias + mantissa) << 23u)));
    }
    let drop = 23u - mantissa;
    let moved = size - ((127u - bias) << 23u);
    return (moved + (1u << (drop - 1u)) - 1u + ((moved >> drop) & 1u)) >> drop;
}

// The exponent of a power of two; signs are dropped.
fn to_power(x: f32) -> u32 {
    let bits = bitcast<u32>(x) & 0x7fffffffu;
    let exponent = bits >> 23u;
    if exponent == 0xffu {
        return 0xffu;
    }
    let rest = bits & 0x7fffffu;
    let nearest = rest > 0x400000u || (rest == 0x400000u && exponent > 0u);
    let up = (ROUND == 0u && rest > 0u) || (ROUND == 2u && nearest);
    return exponent + select(0u, 1u, up && !(SATURATE && exponent == 0xfeu));
}
