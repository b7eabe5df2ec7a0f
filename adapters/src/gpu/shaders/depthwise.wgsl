// Convolution of each channel on its own: four neighbouring pixels of a plane an invocation.

struct Parameters {
    count: u32,
    channels: u32,
    // Output channels of one input channel.
    multiplier: u32,
    h_in: u32,
    w_in: u32,
    h_out: u32,
    w_out: u32,
    kh: u32,
    kw: u32,
    stride_h: u32,
    stride_w: u32,
    pad_h: u32,
    pad_w: u32,
    dilation_h: u32,
    dilation_w: u32,
    epilogue: Epilogue,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = place_in_grid(group, groups, local);
    if id >= parameters.count {
        return;
    }
    let pixels = parameters.h_out * parameters.w_out;
    let quads = (pixels + 3u) / 4u;
    let pixel = id % quads * 4u;
    // Counts images too.
    let plane = id / quads;
    let channel = plane % parameters.channels;
    let input = plane / parameters.multiplier * parameters.h_in * parameters.w_in;
    let places = min(vec4(pixel) + vec4(0u, 1u, 2u, 3u), vec4(pixels - 1u));
    let top = vec4<i32>(places / parameters.w_out * parameters.stride_h) - vec4(i32(parameters.pad_h));
    let left = vec4<i32>(places % parameters.w_out * parameters.stride_w) - vec4(i32(parameters.pad_w));
    let taps = parameters.kh * parameters.kw;
    var sum = vec4(0.0);
    for (var tap = 0u; tap < taps; tap++) {
        let rows = top + vec4(i32(tap / parameters.kw * parameters.dilation_h));
        let columns = left + vec4(i32(tap % parameters.kw * parameters.dilation_w));
        let inside = (rows >= vec4(0)) & (rows < vec4(i32(parameters.h_in))) & (columns >= vec4(0)) & (columns < vec4(i32(parameters.w_in)));
        let at = input + select(vec4(0u), vec4<u32>(rows * i32(parameters.w_in) + columns), inside);
        let values = select(vec4(0.0), vec4(x[at.x], x[at.y], x[at.z], x[at.w]), inside);
        sum += values * weights[channel * taps + tap];
    }
    let start = (plane - channel) * pixels;
    finish(start, pixel, channel, pixels, parameters.channels, sum);
}
