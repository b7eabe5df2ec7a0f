// A kernel whose operators are others has none of them to compile.
fn angular(op: u32, x: f32) -> f32 {
    return x;
}
