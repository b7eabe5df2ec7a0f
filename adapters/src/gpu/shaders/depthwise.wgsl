// Convolution of each channel on its own: four neighbouring pixels of a plane an invocation.

// Whether rows of the input and of the result are the same quads, and a window reaches into their neighbours at most.
override ALIGNED: bool = false;

struct Parameters {
    count: u32,
    channels: u32,
    // Output channels of one input channel.
    multiplier: u32,
    window: Window,
    epilogue: Epilogue,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<Quad>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<Made>;
@group(0) @binding(5) var<storage, read_write> y: array<Made>;

// Quads of a row of the input, zeros beside it.
fn quad(line: u32, column: i32) -> vec4<f32> {
    let window = parameters.window;
    if column < 0 || column >= i32(window.w_in) {
        return vec4(0.0);
    }
    return wide(a[(line + u32(column)) / 4u]);
}

// Four neighbours, so many places from the middle quad's.
fn shifted(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, places: i32) -> vec4<f32> {
    switch places {
        case -4: { return a; }
        case -3: { return vec4(a.yzw, b.x); }
        case -2: { return vec4(a.zw, b.xy); }
        case -1: { return vec4(a.w, b.xyz); }
        case 1: { return vec4(b.yzw, c.x); }
        case 2: { return vec4(b.zw, c.xy); }
        case 3: { return vec4(b.w, c.xyz); }
        case 4: { return c; }
        default: { return b; }
    }
}

fn along_rows(input: u32, channel: u32, pixel: u32) -> vec4<f32> {
    let window = parameters.window;
    let top = i32(pixel / window.w_out) - i32(window.pad_h);
    let left = i32(pixel % window.w_out);
    var weight = channel * window.kh * window.kw;
    var sum = vec4(0.0);
    for (var tap_row = 0u; tap_row < window.kh; tap_row++) {
        let row = top + i32(tap_row);
        if row >= 0 && row < i32(window.h_in) {
            let line = input + u32(row) * window.w_in;
            let before = quad(line, left - 4);
            let here = quad(line, left);
            let next = quad(line, left + 4);
            for (var tap = 0u; tap < window.kw; tap++) {
                sum += shifted(before, here, next, i32(tap) - i32(window.pad_w)) * weights[weight + tap];
            }
        }
        weight += window.kw;
    }
    return sum;
}

fn one_by_one(input: u32, channel: u32, pixel: u32) -> vec4<f32> {
    let window = parameters.window;
    let places = min(vec4(pixel) + vec4(0u, 1u, 2u, 3u), vec4(window.h_out * window.w_out - 1u));
    let top = vec4<i32>(places / window.w_out * window.stride_h) - vec4(i32(window.pad_h));
    let left = vec4<i32>(places % window.w_out * window.stride_w) - vec4(i32(window.pad_w));
    let taps = window.kh * window.kw;
    var sum = vec4(0.0);
    for (var tap = 0u; tap < taps; tap++) {
        let rows = top + vec4(i32(tap / window.kw * window.dilation_h));
        let columns = left + vec4(i32(tap % window.kw * window.dilation_w));
        let inside = (rows >= vec4(0)) & (rows < vec4(i32(window.h_in))) & (columns >= vec4(0)) & (columns < vec4(i32(window.w_in)));
        let at = input + select(vec4(0u), vec4<u32>(rows * i32(window.w_in) + columns), inside);
        let values = select(vec4(0.0), vec4(of_a(at.x), of_a(at.y), of_a(at.z), of_a(at.w)), inside);
        sum += values * weights[channel * taps + tap];
    }
    return sum;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let window = parameters.window;
    let id = place_in_grid(group, groups, local);
    if id >= parameters.count {
        return;
    }
    let pixels = window.h_out * window.w_out;
    let quads = (pixels + 3u) / 4u;
    let pixel = id % quads * 4u;
    // Counts images too.
    let plane = id / quads;
    let channel = plane % parameters.channels;
    let input = plane / parameters.multiplier * window.h_in * window.w_in;
    var sum: vec4<f32>;
    if ALIGNED {
        sum = along_rows(input, channel, pixel);
    } else {
        sum = one_by_one(input, channel, pixel);
    }
    let start = (plane - channel) * pixels;
    finish(start, pixel, channel, pixels, parameters.channels, sum);
}
