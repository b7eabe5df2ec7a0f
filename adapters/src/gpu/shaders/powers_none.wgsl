// A kernel whose operators are others has none of them to compile.
fn of_two(op: u32, x: f32, y: f32) -> f32 {
    return x;
}
