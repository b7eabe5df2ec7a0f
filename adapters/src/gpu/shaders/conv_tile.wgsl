// A convolution by tiles in registers.

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let window = parameters.window;
    let pixel = (group.x * LANES + lane) * ROWS;
    let family = group.z % parameters.groups;
    let plane = window.h_in * window.w_in;
    let corners = corners_of(pixel);
    var quad = family * parameters.group_quads + group.y * parameters.block_quads;
    for (var tap = 0u; tap < window.kh * window.kw; tap++) {
        let under = under_tap(corners, tap);
        var at = under.at + vec4(group.z * parameters.c_in * plane);
        for (var channel = 0u; channel < parameters.c_in; channel++) {
            accumulate(values_at(at, under.inside), quad, lane);
            at += vec4(plane);
            quad += COLUMNS / 4u;
        }
    }
    let pixels = window.h_out * window.w_out;
    let start = (group.z - family) * parameters.c_out * pixels;
    let first = family * parameters.c_out;
    store(start, pixel, first + group.y * COLUMNS, pixels, first + parameters.c_out);
}
