// Convolution of INT32 images, exactly, zero beside the image: each invocation sums the same window for some channels of the
// result that are in one group: four, or one where a group has no more.
override CHANNELS: u32 = 4u;

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
    let c_in = parameters.c_in;
    let taps = window.kh * window.kw;
    let column = at % window.w_out;
    let row = at / window.w_out % window.h_out;
    // Which channels these are: of which image, group and part of the group.
    let bundle = at / window.w_out / window.h_out;
    let bundles = (parameters.c_group + CHANNELS - 1u) / CHANNELS;
    let families = parameters.c_out / parameters.c_group;
    let image = bundle / bundles / families;
    let family = bundle / bundles % families;
    let first = bundle % bundles * CHANNELS;
    let channel = family * parameters.c_group + first;
    let last = parameters.c_group - first - 1u;
    let next = min(vec4(0u, 1u, 2u, 3u), vec4(last)) * c_in * taps;
    var sums = vec4<i32>();
    for (var tap_y = 0u; tap_y < window.kh; tap_y++) {
        let source = i32(row * window.stride_h + tap_y * window.dilation_h) - i32(window.pad_h);
        if source < 0 || source >= i32(window.h_in) {
            continue;
        }
        for (var tap_x = 0u; tap_x < window.kw; tap_x++) {
            let across = i32(column * window.stride_w + tap_x * window.dilation_w) - i32(window.pad_w);
            if across < 0 || across >= i32(window.w_in) {
                continue;
            }
            var pixel = ((image * families + family) * c_in * window.h_in + u32(source)) * window.w_in + u32(across);
            var weight = channel * c_in * taps + tap_y * window.kw + tap_x;
            for (var step = 0u; step < c_in; step++) {
                let value = x[pixel];
                if CHANNELS == 1u {
                    sums.x += value * weights[weight];
                } else {
                    let four = weight + next;
                    sums += value * vec4(weights[four.x], weights[four.y], weights[four.z], weights[four.w]);
                }
                pixel += window.h_in * window.w_in;
                weight += taps;
            }
        }
    }
    let places = window.h_out * window.w_out;
    let place = (image * parameters.c_out + channel) * places + row * window.w_out + column;
    for (var i = 0u; i < CHANNELS; i++) {
        if i <= last {
            y[place + i * places] = sums[i];
        }
    }
}
