// An invocation goes through a window.

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = place_in_grid(group, groups, local);
    if at >= parameters.count {
        return;
    }
    let column = at % parameters.output[2];
    let row = at / parameters.output[2] % parameters.output[1];
    let slice = at / parameters.output[2] / parameters.output[1];
    let volume = slice / parameters.output[0] * parameters.extents[0] * parameters.extents[1] * parameters.extents[2];
    var sum = select(bitcast<f32>(0xff800000u), 0.0, MODE == 1u || MODE == 2u);
    var seen = 0u;
    var best = vec3(0);
    for (var i = 0u; i < parameters.kernel[0]; i++) {
        let depth = source(0u, slice % parameters.output[0], i);
        for (var j = 0u; j < parameters.kernel[1]; j++) {
            let line = source(1u, row, j);
            let within = inside(0u, depth) && inside(1u, line);
            for (var k = 0u; k < parameters.kernel[2]; k++) {
                let place = vec3(depth, line, source(2u, column, k));
                let taken = within && inside(2u, place.z);
                if taken {
                    let flat = (depth * i32(parameters.extents[1]) + line) * i32(parameters.extents[2]) + place.z;
                    let value = x[volume + u32(flat)];
                    best = select(best, place, seen == 0u || value > sum || (is_nan(value) && !is_nan(sum)));
                    sum = take(sum, value);
                }
                let counted = COUNT_PADS && padded(0u, depth) && padded(1u, line) && padded(2u, place.z);
                seen += select(0u, 1u, taken || counted);
            }
        }
    }
    switch MODE {
        case 1u: { y[at] = bitcast<u32>(sum / f32(max(seen, 1u))); }
        case 2u: { y[at] = bitcast<u32>(rooted(sum)); }
        case 3u, 4u: {
            y[2u * at] = volume + index(best);
            y[2u * at + 1u] = 0u;
        }
        default: { y[at] = bitcast<u32>(sum); }
    }
}
