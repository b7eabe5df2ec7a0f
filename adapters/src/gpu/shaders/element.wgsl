// Elements as ONNX lays them out: little-endian, packed, four at a time.
const FP32 = 0u;
const FP16 = 1u;
const BF16 = 2u;
const U8 = 3u;
const I8 = 4u;
const U16 = 5u;
const I16 = 6u;
const U32 = 7u;
const I32 = 8u;
const BOOL = 9u;
const I64 = 10u;
const U64 = 11u;

fn bytes_of(element: u32) -> u32 {
    switch element {
        case U8, I8, BOOL: { return 1u; }
        case FP16, BF16, U16, I16: { return 2u; }
        case I64, U64: { return 8u; }
        default: { return 4u; }
    }
}

// The 8 or 16 bits of an element inside its word, widened with its sign.
fn small_int(element: u32, word: u32, index: u32) -> i32 {
    let byte = 8u * (index % 4u);
    let half = 16u * (index % 2u);
    switch element {
        case U8, BOOL: { return i32(extractBits(word, byte, 8u)); }
        case I8: { return extractBits(bitcast<i32>(word), byte, 8u); }
        case U16: { return i32(extractBits(word, half, 16u)); }
        case I16: { return extractBits(bitcast<i32>(word), half, 16u); }
        default: { return bitcast<i32>(word); }
    }
}

// Puts the low bits of an element where they belong in its word.
fn small_bits(element: u32, bits: u32, index: u32) -> u32 {
    switch bytes_of(element) {
        case 1u: { return (bits & 0xffu) << (8u * (index % 4u)); }
        case 2u: { return (bits & 0xffffu) << (16u * (index % 2u)); }
        default: { return bits; }
    }
}
