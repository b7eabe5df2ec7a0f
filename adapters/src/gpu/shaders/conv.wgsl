// Convolution of images, as a matrix product whose left side is gathered: 8 neighbouring pixels of a row by 16 output
// channels an invocation. Weights lie as [group][c·kh·kw][output channels of the group, padded to 16].

override BIAS: bool = false;
override RESIDUAL: bool = false;

const PIXELS = 8u;
const CHANNELS = 16u;

struct Parameters {
    batch: u32,
    groups: u32,
    // Channels of a group, in and out, and the latter padded.
    c_in: u32,
    c_out: u32,
    c_padded: u32,
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
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

// A pixel of a row of the input, zero beside it.
fn pixel(row: u32, column: i32) -> f32 {
    if column < 0 || column >= i32(parameters.w_in) {
        return 0.0;
    }
    return x[row + u32(column)];
}

fn store(start: u32, channel: u32, at: u32, sum: f32) {
    var value = sum;
    if BIAS {
        value += bias[channel];
    }
    let index = start + channel * parameters.h_out * parameters.w_out + at;
    if RESIDUAL {
        value += residual[index];
    }
    y[index] = activate(value, parameters.low, parameters.high);
}

@compute @workgroup_size(8, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    // A row is cut into strips of 8 pixels; z counts images and groups.
    let strips = (parameters.w_out + PIXELS - 1u) / PIXELS;
    let row = id.x / strips;
    let first = id.x % strips * PIXELS;
    let block = id.y * CHANNELS;
    if row >= parameters.h_out || block >= parameters.c_out {
        return;
    }
    let image = id.z / parameters.groups;
    let family = id.z % parameters.groups;
    let plane = parameters.h_in * parameters.w_in;
    let taps = parameters.kh * parameters.kw;
    let input = (image * parameters.groups + family) * parameters.c_in * plane;
    let quads = parameters.c_padded / 4u;
    var weight = (family * parameters.c_in * taps * parameters.c_padded + block) / 4u;
    var sums: array<array<vec4<f32>, 4>, 8>;
    for (var step = 0u; step < parameters.c_in * taps; step++) {
        let channel = step / taps;
        let tap_row = step % taps / parameters.kw;
        let tap_column = step % parameters.kw;
        let source = i32(row * parameters.stride_h + tap_row * parameters.dilation_h) - i32(parameters.pad_h);
        if source >= 0 && source < i32(parameters.h_in) {
            let line = input + channel * plane + u32(source) * parameters.w_in;
            let w0 = weights[weight];
            let w1 = weights[weight + 1u];
            let w2 = weights[weight + 2u];
            let w3 = weights[weight + 3u];
            let left = i32(first * parameters.stride_w + tap_column * parameters.dilation_w) - i32(parameters.pad_w);
            for (var i = 0u; i < PIXELS; i++) {
                let value = pixel(line, left + i32(i * parameters.stride_w));
                sums[i][0] += value * w0;
                sums[i][1] += value * w1;
                sums[i][2] += value * w2;
                sums[i][3] += value * w3;
            }
        }
        weight += quads;
    }
    let start = image * parameters.groups * parameters.c_out * parameters.h_out * parameters.w_out;
    for (var i = 0u; i < PIXELS; i++) {
        for (var part = 0u; part < 4u; part++) {
            for (var j = 0u; j < 4u; j++) {
                let channel = block + 4u * part + j;
                if first + i < parameters.w_out && channel < parameters.c_out {
                    let at = row * parameters.w_out + first + i;
                    store(start, family * parameters.c_out + channel, at, sums[i][part][j]);
                }
            }
        }
    }
}
