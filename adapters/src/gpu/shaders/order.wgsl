// The order of rows: element by element, of equals the one that stands first. A NaN lies above every number.

override ELEMENT: u32;
override LARGEST: bool = false;

struct Parameters {
    // Rows of a run, elements between neighbours, elements of each row.
    run: u32,
    inner: u32,
    row: u32,
    // Entries of all runs; entries of a run and of each of its blocks, before and after this step.
    count: u32,
    length: u32,
    block: u32,
    length_after: u32,
    block_after: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<u32>;

// The bits of a float as a number that compares alike.
fn float_key(bits: u32) -> u32 {
    let magnitude = bits & 0x7fffffffu;
    if magnitude > 0x7f800000u {
        return 0xffffffffu;
    }
    if magnitude == 0u {
        return 0x80000000u;
    }
    return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

// The same of a double: high word, low word.
fn double_key(low: u32, high: u32) -> vec2<u32> {
    let magnitude = high & 0x7fffffffu;
    if magnitude > 0x7ff00000u || (magnitude == 0x7ff00000u && low != 0u) {
        return vec2(0xffffffffu);
    }
    if magnitude == 0u && low == 0u {
        return vec2(0x80000000u, 0u);
    }
    return select(vec2(high | 0x80000000u, low), vec2(~high, ~low), (high >> 31u) == 1u);
}

// High word, low word.
fn ascending(index: u32) -> vec2<u32> {
    switch ELEMENT {
        case FP32: { return vec2(0u, float_key(x[index])); }
        case FP16: { return vec2(0u, float_key(bitcast<u32>(unpack2x16float(x[index / 2u])[index % 2u]))); }
        case BF16: { return vec2(0u, float_key(extractBits(x[index / 2u], 16u * (index % 2u), 16u) << 16u)); }
        case FP64: { return double_key(x[2u * index], x[2u * index + 1u]); }
        case I64: { return vec2(x[2u * index + 1u] ^ 0x80000000u, x[2u * index]); }
        case U64: { return vec2(x[2u * index + 1u], x[2u * index]); }
        case U32: { return vec2(0u, x[index]); }
        default: {
            let word = x[index * bytes_of(ELEMENT) / 4u];
            return vec2(0u, bitcast<u32>(small_int(ELEMENT, word, index)) ^ 0x80000000u);
        }
    }
}

fn key(index: u32) -> vec2<u32> {
    return select(ascending(index), ~ascending(index), LARGEST);
}

// -1, 0 or 1: row `a` of a run beside row `b`.
fn compare(run: u32, a: u32, b: u32) -> i32 {
    let first = run / parameters.inner * parameters.run * parameters.inner + run % parameters.inner;
    for (var step = 0u; step < parameters.row; step++) {
        let own = key(first + a * parameters.inner + step);
        let other = key(first + b * parameters.inner + step);
        if any(own != other) {
            return select(1, -1, own.x < other.x || (own.x == other.x && own.y < other.y));
        }
    }
    return 0;
}

fn before(run: u32, a: u32, b: u32) -> bool {
    let order = compare(run, a, b);
    return order < 0 || (order == 0 && a < b);
}

