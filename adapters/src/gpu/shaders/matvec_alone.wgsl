// Each invocation goes through all steps: no barrier.
const SLICES = 1u;

fn added(sum: vec4<f32>, lane: u32, slice: u32) -> vec4<f32> {
    return sum;
}
