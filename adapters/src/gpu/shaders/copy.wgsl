// Copies elements of SIZE bytes from their `origin`; -1 is `outside`. An invocation makes a whole word of the result.

fn bits(at: u32, high: bool) -> u32 {
    let index = origin(at);
    if index < 0 {
        return outside(high);
    }
    let source = u32(index);
    switch SIZE {
        case 1u: { return extractBits(x[source / 4u], 8u * (source % 4u), 8u); }
        case 2u: { return extractBits(x[source / 2u], 16u * (source % 2u), 16u); }
        case 8u: { return x[2u * source + select(0u, 1u, high)]; }
        default: { return x[source]; }
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let word = place_in_grid(group, groups, local);
    let words = (parameters.count * SIZE + 3u) / 4u;
    if word >= words {
        return;
    }
    if SIZE >= 4u {
        y[word] = bits(word * 4u / SIZE, SIZE == 8u && word % 2u == 1u);
        return;
    }
    let each = 4u / SIZE;
    var made = 0u;
    for (var step = 0u; step < each; step++) {
        let at = min(word * each + step, parameters.count - 1u);
        made |= bits(at, false) << (8u * SIZE * step);
    }
    y[word] = made;
}
