// Convolution of each channel on its own: four neighbouring pixels an invocation.

override BIAS: bool = false;
override RESIDUAL: bool = false;

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
    low: f32,
    high: f32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

fn pixel(row: u32, column: i32) -> f32 {
    if column < 0 || column >= i32(parameters.w_in) {
        return 0.0;
    }
    return x[row + u32(column)];
}

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
    let strips = (parameters.w_out + 3u) / 4u;
    let first = id % strips * 4u;
    let row = id / strips % parameters.h_out;
    // Counts images too.
    let plane = id / strips / parameters.h_out;
    let channel = plane % parameters.channels;
    let input = plane / parameters.multiplier * parameters.h_in * parameters.w_in;
    let taps = parameters.kh * parameters.kw;
    var sum = vec4(0.0);
    for (var tap_row = 0u; tap_row < parameters.kh; tap_row++) {
        let source = i32(row * parameters.stride_h + tap_row * parameters.dilation_h) - i32(parameters.pad_h);
        if source < 0 || source >= i32(parameters.h_in) {
            continue;
        }
        let line = input + u32(source) * parameters.w_in;
        for (var tap = 0u; tap < parameters.kw; tap++) {
            let left = i32(first * parameters.stride_w + tap * parameters.dilation_w) - i32(parameters.pad_w);
            let step = i32(parameters.stride_w);
            let values = vec4(pixel(line, left), pixel(line, left + step), pixel(line, left + 2 * step), pixel(line, left + 3 * step));
            sum += values * weights[channel * taps + tap_row * parameters.kw + tap];
        }
    }
    if BIAS {
        sum += bias[channel];
    }
    for (var i = 0u; i < min(4u, parameters.w_out - first); i++) {
        let at = (plane * parameters.h_out + row) * parameters.w_out + first + i;
        var value = sum[i];
        if RESIDUAL {
            value += residual[at];
        }
        y[at] = activate(value, parameters.low, parameters.high);
    }
}
