// The eight invocations of a subgroup load one quad each of a step's 32 weights, and tell one another.
fn accumulate(x: vec4<f32>, quad: u32, lane: u32) {
    let own = wide(weights[quad + lane]);
    sums0 += outer(x, subgroupBroadcast(own, 0u));
    sums1 += outer(x, subgroupBroadcast(own, 1u));
    sums2 += outer(x, subgroupBroadcast(own, 2u));
    sums3 += outer(x, subgroupBroadcast(own, 3u));
    sums4 += outer(x, subgroupBroadcast(own, 4u));
    sums5 += outer(x, subgroupBroadcast(own, 5u));
    sums6 += outer(x, subgroupBroadcast(own, 6u));
    sums7 += outer(x, subgroupBroadcast(own, 7u));
}
