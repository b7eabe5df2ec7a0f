// Floats narrower than a word, where they are of 16 bits: what narrow.wgsl knows besides takes drivers long to compile.

fn from_narrow(element: u32, word: u32, index: u32) -> f32 {
    switch element {
        case FP16: { return unpack2x16float(word)[index % 2u]; }
        default: { return bitcast<f32>(extractBits(word, 16u * (index % 2u), 16u) << 16u); }
    }
}

fn to_narrow(element: u32, x: f32, index: u32) -> u32 {
    switch element {
        case FP16: { return small_bits(element, to_f16(x), index); }
        default: { return small_bits(element, to_bf16(x), index); }
    }
}
