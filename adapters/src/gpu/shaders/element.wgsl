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
const FP64 = 12u;
// In a byte each, though a file packs the last five.
const F8E4M3FN = 13u;
const F8E4M3FNUZ = 14u;
const F8E5M2 = 15u;
const F8E5M2FNUZ = 16u;
const F8E8M0 = 17u;
const F4E2M1 = 18u;
const I4 = 19u;
const U4 = 20u;
const I2 = 21u;
const U2 = 22u;

fn bytes_of(element: u32) -> u32 {
    switch element {
        case U8, I8, BOOL, I4, U4, I2, U2: { return 1u; }
        case F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0, F4E2M1: { return 1u; }
        case FP16, BF16, U16, I16: { return 2u; }
        case I64, U64, FP64: { return 8u; }
        default: { return 4u; }
    }
}

// The 8 or 16 bits of an element inside its word, widened with its sign.
fn small_int(element: u32, word: u32, index: u32) -> i32 {
    let byte = 8u * (index % 4u);
    let half = 16u * (index % 2u);
    switch element {
        case U8, BOOL, U4, U2: { return i32(extractBits(word, byte, 8u)); }
        case I8, I4, I2: { return extractBits(bitcast<i32>(word), byte, 8u); }
        case U16: { return i32(extractBits(word, half, 16u)); }
        case I16: { return extractBits(bitcast<i32>(word), half, 16u); }
        default: { return bitcast<i32>(word); }
    }
}

// What an integer of fewer than 8 bits keeps of them.
fn kept(element: u32, bits: u32) -> u32 {
    switch element {
        case I4: { return bitcast<u32>(extractBits(bitcast<i32>(bits), 0u, 4u)); }
        case U4: { return bits & 0xfu; }
        case I2: { return bitcast<u32>(extractBits(bitcast<i32>(bits), 0u, 2u)); }
        case U2: { return bits & 3u; }
        default: { return bits; }
    }
}

// Puts the low bits of an element where they belong in its word.
fn small_bits(element: u32, bits: u32, index: u32) -> u32 {
    switch bytes_of(element) {
        case 1u: { return (kept(element, bits) & 0xffu) << (8u * (index % 4u)); }
        case 2u: { return (bits & 0xffffu) << (16u * (index % 2u)); }
        default: { return bits; }
    }
}
