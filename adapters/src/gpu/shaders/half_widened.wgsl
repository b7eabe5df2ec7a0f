// Four halves in memory where a device has no floats of 16 bits: two to a word, and widened by who reads them.
alias Halves = vec2<u32>;

fn widened(halves: Halves) -> vec4<f32> {
    return vec4(unpack2x16float(halves.x), unpack2x16float(halves.y));
}

// To nearest, ties to even.
fn halved(x: vec4<f32>) -> Halves {
    return vec2(to_f16(x.x) | (to_f16(x.y) << 16u), to_f16(x.z) | (to_f16(x.w) << 16u));
}

fn half_of(halves: Halves, index: u32) -> f32 {
    return unpack2x16float(halves[index / 2u])[index % 2u];
}
