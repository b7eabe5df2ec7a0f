// Convolution of volumes, and its transpose: every output gathers what meets it. 8 pixels of a row by 16 output channels
// an invocation. Weights lie as [group][tap][c][output channels of the group, padded to 16].

// Pixels that are a stride apart meet the same taps, those between them others: y counts them, so that neighbouring
// invocations do the same.
override TRANSPOSED: bool = false;
override BIAS: bool = false;

const PIXELS = 8u;
const CHANNELS = 16u;

struct Parameters {
    groups: u32,
    // Channels of a group, in and out, and the latter padded.
    c_in: u32,
    c_out: u32,
    c_padded: u32,
    extents: array<u32, 3>,
    output: array<u32, 3>,
    kernel: array<u32, 3>,
    strides: array<u32, 3>,
    begin: array<u32, 3>,
    dilations: array<u32, 3>,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// How far the pixels of an invocation lie apart.
fn spread(axis: u32) -> u32 {
    return select(1u, parameters.strides[axis], TRANSPOSED);
}

// Where a tap reads for a place of the output.
fn source(axis: u32, place: u32, tap: u32) -> i32 {
    let begin = i32(parameters.begin[axis]);
    let reach = i32(tap * parameters.dilations[axis]);
    if TRANSPOSED {
        return (i32(place) + begin - reach) / i32(parameters.strides[axis]);
    }
    return i32(place * parameters.strides[axis]) + reach - begin;
}

// Whether a tap falls on an element of the input, not between two.
fn meets(axis: u32, place: u32, tap: u32) -> bool {
    let off = i32(place + parameters.begin[axis]) - i32(tap * parameters.dilations[axis]);
    return !TRANSPOSED || off % i32(parameters.strides[axis]) == 0;
}

fn inside(axis: u32, place: i32) -> bool {
    return place >= 0 && place < i32(parameters.extents[axis]);
}

// A pixel of a row of the input, zero beside it.
fn pixel(row: u32, column: i32) -> f32 {
    if column < 0 || column >= i32(parameters.extents[2]) {
        return 0.0;
    }
    return x[row + u32(column)];
}

fn store(channel: u32, index: u32, sum: f32) {
    var value = sum;
    if BIAS {
        value += bias[channel];
    }
    y[index] = value;
}

@compute @workgroup_size(32, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let spreads = vec3(spread(0u), spread(1u), spread(2u));
    let output = vec3(parameters.output[0], parameters.output[1], parameters.output[2]);
    let counts = (output + spreads - 1u) / spreads;
    let strips = (counts.z + PIXELS - 1u) / PIXELS;
    let phases = spreads.x * spreads.y * spreads.z;
    let phase = id.y % phases;
    let block = id.y / phases * CHANNELS;
    let slice = id.x / strips / counts.y * spreads.x + phase / spreads.z / spreads.y;
    let row = id.x / strips % counts.y * spreads.y + phase / spreads.z % spreads.y;
    let first = id.x % strips * PIXELS * spreads.z + phase % spreads.z;
    if slice >= output.x || row >= output.y || first >= output.z || block >= parameters.c_out {
        return;
    }
    // z counts images and groups.
    let plane = parameters.extents[0] * parameters.extents[1] * parameters.extents[2];
    let input = id.z * parameters.c_in * plane;
    let family = id.z % parameters.groups;
    let taps = parameters.kernel[0] * parameters.kernel[1] * parameters.kernel[2];
    let quads = parameters.c_padded / 4u;
    let step = select(i32(parameters.strides[2]), 1, TRANSPOSED);
    var sums: array<array<vec4<f32>, 4>, 8>;
    for (var i = 0u; i < parameters.kernel[0]; i++) {
        let depth = source(0u, slice, i);
        let deep = meets(0u, slice, i) && inside(0u, depth);
        for (var j = 0u; j < parameters.kernel[1]; j++) {
            let line = source(1u, row, j);
            let within = deep && meets(1u, row, j) && inside(1u, line);
            for (var k = 0u; k < parameters.kernel[2]; k++) {
                if !within || !meets(2u, first, k) {
                    continue;
                }
                let tap = (i * parameters.kernel[1] + j) * parameters.kernel[2] + k;
                let left = source(2u, first, k);
                var start = input + (u32(depth) * parameters.extents[1] + u32(line)) * parameters.extents[2];
                var weight = ((family * taps + tap) * parameters.c_in * parameters.c_padded + block) / 4u;
                for (var channel = 0u; channel < parameters.c_in; channel++) {
                    let w0 = weights[weight];
                    let w1 = weights[weight + 1u];
                    let w2 = weights[weight + 2u];
                    let w3 = weights[weight + 3u];
                    for (var p = 0u; p < PIXELS; p++) {
                        let value = pixel(start, left + i32(p) * step);
                        sums[p][0] += value * w0;
                        sums[p][1] += value * w1;
                        sums[p][2] += value * w2;
                        sums[p][3] += value * w3;
                    }
                    start += plane;
                    weight += quads;
                }
            }
        }
    }
    let origin = (id.z * parameters.c_out * output.x + slice) * output.y + row;
    for (var p = 0u; p < PIXELS; p++) {
        let column = first + p * spreads.z;
        for (var part = 0u; part < 4u; part++) {
            for (var lane = 0u; lane < 4u; lane++) {
                let channel = block + 4u * part + lane;
                if column < output.z && channel < parameters.c_out {
                    let index = (origin + channel * output.x * output.y) * output.z + column;
                    store(family * parameters.c_out + channel, index, sums[p][part][lane]);
                }
            }
        }
    }
}
