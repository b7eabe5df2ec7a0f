// Convolution of images as a product whose left side is gathered: a row is a pixel of the result, a column an output
// channel. Weights lie as [group][block of 32 output channels][kh · kw][c][32].

struct Parameters {
    groups: u32,
    // Channels of a group, in and out.
    c_in: u32,
    c_out: u32,
    // Quads of a group's weights, and of a block's.
    group_quads: u32,
    block_quads: u32,
    window: Window,
    epilogue: Epilogue,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let window = parameters.window;
    let pixel = (group.x * LANES + lane) * ROWS;
    let family = group.z % parameters.groups;
    let plane = window.h_in * window.w_in;
    let pixels = window.h_out * window.w_out;
    // Pixels beyond the last are the last again: a subgroup stays together.
    let places = min(vec4(pixel) + vec4(0u, 1u, 2u, 3u), vec4(pixels - 1u));
    let top = vec4<i32>(places / window.w_out * window.stride_h) - vec4(i32(window.pad_h));
    let left = vec4<i32>(places % window.w_out * window.stride_w) - vec4(i32(window.pad_w));
    var quad = family * parameters.group_quads + group.y * parameters.block_quads;
    for (var tap = 0u; tap < window.kh * window.kw; tap++) {
        let rows = top + vec4(i32(tap / window.kw * window.dilation_h));
        let columns = left + vec4(i32(tap % window.kw * window.dilation_w));
        let inside = (rows >= vec4(0)) & (rows < vec4(i32(window.h_in))) & (columns >= vec4(0)) & (columns < vec4(i32(window.w_in)));
        var at = select(vec4(0u), vec4<u32>(rows * i32(window.w_in) + columns), inside);
        at += vec4(group.z * parameters.c_in * plane);
        for (var channel = 0u; channel < parameters.c_in; channel++) {
            let values = select(vec4(0.0), vec4(x[at.x], x[at.y], x[at.z], x[at.w]), inside);
            accumulate(values, quad, lane);
            at += vec4(plane);
            quad += COLUMNS / 4u;
        }
    }
    let start = (group.z - family) * parameters.c_out * pixels;
    let first = family * parameters.c_out;
    store(start, pixel, first + group.y * COLUMNS, pixels, first + parameters.c_out);
}
