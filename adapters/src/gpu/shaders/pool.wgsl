// The largest, the mean or the p-norm of each window of a volume, or where the largest is. Axes that an image or a line
// lacks have extent 1.

// 0 the largest, 1 the mean, 2 the p-norm, 3 where the largest is, 4 the same with the first axis innermost.
override MODE: u32;
// Whether the mean counts what lies beside the input.
override COUNT_PADS: bool = false;

struct Parameters {
    count: u32,
    extents: array<u32, 3>,
    output: array<u32, 3>,
    kernel: array<u32, 3>,
    strides: array<u32, 3>,
    // What is added before and after; a window rounded up may pass even that.
    begin: array<u32, 3>,
    end: array<u32, 3>,
    dilations: array<u32, 3>,
    p: f32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

fn source(axis: u32, window: u32, tap: u32) -> i32 {
    let place = window * parameters.strides[axis] + tap * parameters.dilations[axis];
    return i32(place) - i32(parameters.begin[axis]);
}

fn inside(axis: u32, place: i32) -> bool {
    return place >= 0 && place < i32(parameters.extents[axis]);
}

fn padded(axis: u32, place: i32) -> bool {
    return place < i32(parameters.extents[axis] + parameters.end[axis]);
}

fn take(sum: f32, value: f32) -> f32 {
    switch MODE {
        case 1u: { return sum + value; }
        case 2u: { return sum + pow(abs(value), parameters.p); }
        default: { return max(sum, value); }
    }
}

fn index(place: vec3<i32>) -> u32 {
    let at = vec3<u32>(place);
    if MODE == 4u {
        return (at.z * parameters.extents[1] + at.y) * parameters.extents[0] + at.x;
    }
    return (at.x * parameters.extents[1] + at.y) * parameters.extents[2] + at.z;
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
    let column = at % parameters.output[2];
    let row = at / parameters.output[2] % parameters.output[1];
    let slice = at / parameters.output[2] / parameters.output[1];
    let volume = slice / parameters.output[0] * parameters.extents[0] * parameters.extents[1] * parameters.extents[2];
    var sum = select(bitcast<f32>(0xff800000u), 0.0, MODE == 1u || MODE == 2u);
    var seen = 0u;
    var best = vec3(0);
    for (var i = 0u; i < parameters.kernel[0]; i++) {
        let depth = source(0u, slice % parameters.output[0], i);
        for (var j = 0u; j < parameters.kernel[1]; j++) {
            let line = source(1u, row, j);
            let within = inside(0u, depth) && inside(1u, line);
            for (var k = 0u; k < parameters.kernel[2]; k++) {
                let place = vec3(depth, line, source(2u, column, k));
                let taken = within && inside(2u, place.z);
                if taken {
                    let flat = (depth * i32(parameters.extents[1]) + line) * i32(parameters.extents[2]) + place.z;
                    let value = x[volume + u32(flat)];
                    best = select(best, place, seen == 0u || value > sum);
                    sum = take(sum, value);
                }
                let counted = COUNT_PADS && padded(0u, depth) && padded(1u, line) && padded(2u, place.z);
                seen += select(0u, 1u, taken || counted);
            }
        }
    }
    switch MODE {
        case 1u: { y[at] = bitcast<u32>(sum / f32(max(seen, 1u))); }
        case 2u: { y[at] = bitcast<u32>(pow(sum, 1.0 / parameters.p)); }
        case 3u, 4u: {
            y[2u * at] = volume + index(best);
            y[2u * at + 1u] = 0u;
        }
        default: { y[at] = bitcast<u32>(sum); }
    }
}
