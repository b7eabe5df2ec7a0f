// Convolution of INT32 images, exactly: each invocation sums one window, zero beside the image.

struct Parameters {
    count: u32,
    // Channels of a group, of the result, of the result's group.
    c_in: u32,
    c_out: u32,
    c_group: u32,
    window: Window,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<i32>;
@group(0) @binding(2) var<storage, read> weights: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<i32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let window = parameters.window;
    let at = place_in_grid(group, groups, local);
    if at >= parameters.count {
        return;
    }
    let column = at % window.w_out;
    let row = at / window.w_out % window.h_out;
    let plane = at / window.w_out / window.h_out;
    let channel = plane % parameters.c_out;
    let families = parameters.c_out / parameters.c_group;
    let family = plane / parameters.c_out * families + channel / parameters.c_group;
    let taps = window.kh * window.kw;
    var sum = 0;
    for (var step = 0u; step < parameters.c_in * taps; step++) {
        let tap = step % taps;
        let source = i32(row * window.stride_h + tap / window.kw * window.dilation_h) - i32(window.pad_h);
        let across = i32(column * window.stride_w + tap % window.kw * window.dilation_w) - i32(window.pad_w);
        if source >= 0 && source < i32(window.h_in) && across >= 0 && across < i32(window.w_in) {
            let line = ((family * parameters.c_in + step / taps) * window.h_in + u32(source)) * window.w_in;
            sum += x[line + u32(across)] * weights[channel * parameters.c_in * taps + step];
        }
    }
    y[at] = sum;
}
