// An invocation goes through a part of a window.

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = place_in_grid(group, groups, local);
    if id >= parameters.count * parameters.parts {
        return;
    }
    let at = id / parameters.parts;
    let column = at % parameters.output[2];
    let row = at / parameters.output[2] % parameters.output[1];
    let slice = at / parameters.output[2] / parameters.output[1];
    let volume = slice / parameters.output[0] * parameters.extents[0] * parameters.extents[1] * parameters.extents[2];
    var sum = select(0.0, bitcast<f32>(0xff800000u), MODE == 0u || MODE == 3u);
    var seen = 0u;
    var best = vec3(0);
    let plane = parameters.kernel[1] * parameters.kernel[2];
    let taps = parameters.kernel[0] * plane;
    for (var tap = id % parameters.parts; tap < taps; tap += parameters.parts) {
        let depth = source(0u, slice % parameters.output[0], tap / plane);
        let line = source(1u, row, tap / parameters.kernel[2] % parameters.kernel[1]);
        let place = vec3(depth, line, source(2u, column, tap % parameters.kernel[2]));
        let taken = inside(0u, depth) && inside(1u, line) && inside(2u, place.z);
        if taken && MODE != 7u {
            let flat = (depth * i32(parameters.extents[1]) + line) * i32(parameters.extents[2]) + place.z;
            let value = x[volume + u32(flat)];
            best = select(best, place, seen == 0u || value > sum || (is_nan(value) && !is_nan(sum)));
            sum = take(sum, value);
        }
        let counted = COUNT_PADS && padded(0u, depth) && padded(1u, line) && padded(2u, place.z);
        seen += select(0u, 1u, taken || counted);
    }
    switch MODE {
        case 3u: { y[id] = select(volume + index(best), 0xffffffffu, seen == 0u); }
        case 7u: { y[id] = bitcast<u32>(f32(seen)); }
        default: { y[id] = bitcast<u32>(sum); }
    }
}
