// The sides of a product in memory: floats.
alias Quad = vec4<f32>;

fn wide(quad: Quad) -> vec4<f32> {
    return quad;
}

fn of_a(at: u32) -> f32 {
    return a[at / 4u][at % 4u];
}
