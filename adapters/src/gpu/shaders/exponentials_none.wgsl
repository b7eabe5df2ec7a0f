// A kernel whose operators are others has none of them to compile.
fn exponential(op: u32, x: f32, p: f32, q: f32) -> f32 {
    return x;
}
