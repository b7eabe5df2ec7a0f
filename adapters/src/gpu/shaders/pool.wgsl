// The largest, the mean or the p-norm of each window of a volume, or where the largest is. Axes that an image or a line
// lacks have extent 1.

// 0 the largest, 1 the mean, 2 the p-norm, 3 where the largest is, 4 the same with the first axis innermost. Of parts of windows
// 0 and 3, and 5 the sum, 6 the sum of powers, 7 how many elements count.
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
    // What each window is shared out in.
    parts: u32,
    steps: u32,
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

// x^p for x = 0 and above.
fn raised(x: f32, p: f32) -> f32 {
    if p == 1.0 || x == 0.0 || !finite(x) {
        return x;
    }
    return power_of(x, p);
}

fn take_power(sum: f32, size: f32) -> f32 {
    if parameters.p == 2.0 {
        return sum + size * size;
    }
    return sum + raised(size, parameters.p);
}

fn rooted(sum: f32) -> f32 {
    if parameters.p == 2.0 {
        return sqrt(sum);
    }
    return raised(sum, 1.0 / parameters.p);
}

fn take(sum: f32, value: f32) -> f32 {
    switch MODE {
        case 1u, 5u: { return sum + value; }
        case 2u, 6u: { return take_power(sum, abs(value)); }
        default: { return select(max(sum, value), sum + value, is_nan(sum) || is_nan(value)); }
    }
}

fn index(place: vec3<i32>) -> u32 {
    let at = vec3<u32>(place);
    if MODE == 4u {
        return (at.z * parameters.extents[1] + at.y) * parameters.extents[0] + at.x;
    }
    return (at.x * parameters.extents[1] + at.y) * parameters.extents[2] + at.z;
}
