// The sides of a product in memory: halves, which are multiplied and summed up as floats.
alias Quad = Halves;

fn wide(quad: Quad) -> vec4<f32> {
    return widened(quad);
}

fn of_a(at: u32) -> f32 {
    return half_of(a[at / 4u], at % 4u);
}
