// The result of a product in memory, and what is added to it: halves, always by whole quads.
alias Made = Halves;

// Each operator of the epilogue rounds, as it would alone.
fn stepped(x: f32) -> f32 {
    return widened(halved(vec4(x))).x;
}

fn residuals(at: u32) -> vec4<f32> {
    return widened(residual[at / 4u]);
}

fn put(at: u32, x: vec4<f32>, inside: u32) {
    y[at / 4u] = halved(x);
}
