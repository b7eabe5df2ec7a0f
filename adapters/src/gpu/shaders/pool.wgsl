// The largest, the mean or the p-norm of each window of an image.

// 0 the largest, 1 the mean, 2 the p-norm.
override MODE: u32;
// Whether the mean counts what lies beside the image.
override COUNT_PADS: bool = false;

struct Parameters {
    count: u32,
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
    // Beyond the end, which a window rounded up may pass.
    end_h: u32,
    end_w: u32,
    dilation_h: u32,
    dilation_w: u32,
    p: f32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn take(sum: f32, value: f32) -> f32 {
    switch MODE {
        case 0u: { return max(sum, value); }
        case 1u: { return sum + value; }
        default: { return sum + pow(abs(value), parameters.p); }
    }
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
    let column = at % parameters.w_out;
    let row = at / parameters.w_out % parameters.h_out;
    let plane = at / parameters.w_out / parameters.h_out * parameters.h_in * parameters.w_in;
    var sum = select(0.0, bitcast<f32>(0xff800000u), MODE == 0u);
    var seen = 0u;
    for (var i = 0u; i < parameters.kh; i++) {
        let source = i32(row * parameters.stride_h + i * parameters.dilation_h) - i32(parameters.pad_h);
        for (var j = 0u; j < parameters.kw; j++) {
            let at_column = i32(column * parameters.stride_w + j * parameters.dilation_w) - i32(parameters.pad_w);
            let inside = source >= 0 && source < i32(parameters.h_in) && at_column >= 0 && at_column < i32(parameters.w_in);
            if inside {
                sum = take(sum, x[plane + u32(source) * parameters.w_in + u32(at_column)]);
            }
            let padded = source < i32(parameters.h_in + parameters.end_h) && at_column < i32(parameters.w_in + parameters.end_w);
            if inside || (COUNT_PADS && padded) {
                seen++;
            }
        }
    }
    switch MODE {
        case 0u: { y[at] = sum; }
        case 1u: { y[at] = sum / f32(max(seen, 1u)); }
        default: { y[at] = pow(sum, 1.0 / parameters.p); }
    }
}
