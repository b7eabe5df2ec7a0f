// Four halves in memory where a device has floats of 16 bits.
alias Halves = vec4<f16>;

fn widened(halves: Halves) -> vec4<f32> {
    return vec4<f32>(halves);
}

// As the device rounds, which `trial.rs` tries.
fn halved(x: vec4<f32>) -> Halves {
    return vec4<f16>(x);
}

fn half_of(halves: Halves, index: u32) -> f32 {
    return f32(halves[index]);
}
