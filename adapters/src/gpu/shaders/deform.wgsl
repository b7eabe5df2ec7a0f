// The columns of a convolution whose taps are shifted: y[image, channel, tap, pixel] is the input where the tap points,
// between four elements, zero beside the image, and times the mask.

override MASK: bool = false;

struct Parameters {
    count: u32,
    channels: u32,
    // Channels that share shifts, and how many such groups there are.
    sharing: u32,
    families: u32,
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
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> shifts: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn pixel(plane: u32, row: f32, column: f32) -> f32 {
    if row < 0.0 || column < 0.0 || row >= f32(parameters.h_in) || column >= f32(parameters.w_in) {
        return 0.0;
    }
    return x[plane + u32(row) * parameters.w_in + u32(column)];
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = place_in_grid(group, groups, local);
    if at >= parameters.count {
        return;
    }
    let pixels = parameters.h_out * parameters.w_out;
    let taps = parameters.kh * parameters.kw;
    let spot = at % pixels;
    let tap = at / pixels % taps;
    // Counts images too.
    let channel = at / pixels / taps;
    let family = channel / parameters.channels * parameters.families + channel % parameters.channels / parameters.sharing;
    let shift = (family * taps + tap) * 2u * pixels + spot;
    let down = i32(spot / parameters.w_out * parameters.stride_h + tap / parameters.kw * parameters.dilation_h);
    let across = i32(spot % parameters.w_out * parameters.stride_w + tap % parameters.kw * parameters.dilation_w);
    let row = f32(down - i32(parameters.pad_h)) + shifts[shift];
    let column = f32(across - i32(parameters.pad_w)) + shifts[shift + pixels];
    let top = floor(row);
    let left = floor(column);
    let plane = channel * parameters.h_in * parameters.w_in;
    let upper = mix(pixel(plane, top, left), pixel(plane, top, left + 1.0), column - left);
    let lower = mix(pixel(plane, top + 1.0, left), pixel(plane, top + 1.0, left + 1.0), column - left);
    var value = mix(upper, lower, row - top);
    if MASK {
        value *= mask[(family * taps + tap) * pixels + spot];
    }
    y[at] = value;
}
