// Each invocation loads all 32 weights of a step: for devices whose invocations load together.
fn accumulate(x: vec4<f32>, quad: u32, lane: u32) {
    sums0 += outer(x, wide(weights[quad]));
    sums1 += outer(x, wide(weights[quad + 1u]));
    sums2 += outer(x, wide(weights[quad + 2u]));
    sums3 += outer(x, wide(weights[quad + 3u]));
    sums4 += outer(x, wide(weights[quad + 4u]));
    sums5 += outer(x, wide(weights[quad + 5u]));
    sums6 += outer(x, wide(weights[quad + 6u]));
    sums7 += outer(x, wide(weights[quad + 7u]));
}
