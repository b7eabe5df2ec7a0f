// The columns of a convolution whose taps are shifted: y[image, channel, tap, pixel] is the input where the tap points,
// between four elements, zero beside the image, and times the mask.

override MASK: bool = false;

struct Parameters {
    count: u32,
    channels: u32,
    // Channels that share shifts, and how many such groups there are.
    sharing: u32,
    families: u32,
    window: Window,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> shifts: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn pixel(plane: u32, row: f32, column: f32) -> f32 {
    let window = parameters.window;
    if row < 0.0 || column < 0.0 || row >= f32(window.h_in) || column >= f32(window.w_in) {
        return 0.0;
    }
    return x[plane + u32(row) * window.w_in + u32(column)];
}

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
    let pixels = window.h_out * window.w_out;
    let taps = window.kh * window.kw;
    let spot = at % pixels;
    let tap = at / pixels % taps;
    // Counts images too.
    let channel = at / pixels / taps;
    let family = channel / parameters.channels * parameters.families + channel % parameters.channels / parameters.sharing;
    let shift = (family * taps + tap) * 2u * pixels + spot;
    let down = i32(spot / window.w_out * window.stride_h + tap / window.kw * window.dilation_h);
    let across = i32(spot % window.w_out * window.stride_w + tap % window.kw * window.dilation_w);
    let row = f32(down - i32(window.pad_h)) + shifts[shift];
    let column = f32(across - i32(window.pad_w)) + shifts[shift + pixels];
    let top = floor(row);
    let left = floor(column);
    let plane = channel * window.h_in * window.w_in;
    let upper = mix(pixel(plane, top, left), pixel(plane, top, left + 1.0), column - left);
    let lower = mix(pixel(plane, top + 1.0, left), pixel(plane, top + 1.0, left + 1.0), column - left);
    var value = mix(upper, lower, row - top);
    if MASK {
        value *= mask[(family * taps + tap) * pixels + spot];
    }
    y[at] = value;
}
