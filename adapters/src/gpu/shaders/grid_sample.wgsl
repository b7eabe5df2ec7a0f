// Samples volumes where a grid points, from -1 to 1 along each axis, the last axis first. Axes that an image or a line
// lacks have extent 1.

// 0 the nearest, 1 linear, 2 cubic: so many taps are 1 shifted by it.
override MODE: u32;
// What lies outside: 0 zeros, 1 the border, 2 the reflected input.
override PADDING: u32;
// Whether -1 and 1 are the centres of the outermost elements, not their edges.
override ALIGNED: bool = false;
override AXES: u32;

// As ONNX and PyTorch have it.
const CUBIC = -0.75;

struct Parameters {
    count: u32,
    points: u32,
    channels: u32,
    extents: array<u32, 3>,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> grid: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn extent(axis: u32) -> f32 {
    return f32(parameters.extents[axis]);
}

// The first and the last place of an axis.
fn bounds(axis: u32) -> vec2<f32> {
    return select(vec2(-0.5, extent(axis) - 0.5), vec2(0.0, extent(axis) - 1.0), ALIGNED);
}

fn reflected(place: f32, ends: vec2<f32>) -> f32 {
    let below = place < ends.x;
    let beyond = select(place - ends.y, ends.x - place, below);
    let span = ends.y - ends.x;
    if beyond <= 0.0 || span <= 0.0 {
        return clamp(place, ends.x, ends.y);
    }
    let times = floor(beyond / span);
    let rest = beyond - times * span;
    let even = fract(times * 0.5) == 0.0;
    return select(ends.y - rest, ends.x + rest, below == even);
}

// Where a number of the grid lies in the input.
fn place_of(axis: u32, number: f32) -> f32 {
    let aligned = (number + 1.0) / 2.0 * (extent(axis) - 1.0);
    var place = select(((number + 1.0) * extent(axis) - 1.0) / 2.0, aligned, ALIGNED);
    if MODE == 0u {
        place = round(place);
    }
    if PADDING == 2u {
        place = reflected(place, bounds(axis));
    }
    // Far enough outside to be all padding, near enough to be an integer.
    return clamp(place, -16777216.0, 16777216.0);
}

// The element at a place; -1 for a zero.
fn element(axis: u32, place: i32) -> i32 {
    let last = i32(parameters.extents[axis]) - 1;
    if place >= 0 && place <= last {
        return place;
    }
    switch PADDING {
        case 1u: { return clamp(place, 0, last); }
        case 2u: { return clamp(i32(reflected(f32(place), bounds(axis))), 0, last); }
        default: { return -1; }
    }
}

// Keys, "Cubic convolution interpolation for digital image processing" (1981).
fn cubic(distance: f32) -> f32 {
    if distance <= 1.0 {
        return ((CUBIC + 2.0) * distance - (CUBIC + 3.0)) * distance * distance + 1.0;
    }
    return ((CUBIC * distance - 5.0 * CUBIC) * distance + 8.0 * CUBIC) * distance - 4.0 * CUBIC;
}

fn weight(tap: u32, rest: f32) -> f32 {
    switch MODE {
        case 0u: { return 1.0; }
        case 1u: { return select(1.0 - rest, rest, tap == 1u); }
        default: { return cubic(abs(f32(tap) - 1.0 - rest)); }
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
    let image = at / parameters.points / parameters.channels;
    let numbers = (image * parameters.points + at % parameters.points) * AXES;
    var rests: array<f32, 3>;
    var firsts: array<i32, 3>;
    var taps = array(1u, 1u, 1u);
    for (var axis = 3u - AXES; axis < 3u; axis++) {
        let place = place_of(axis, grid[numbers + 2u - axis]);
        firsts[axis] = i32(floor(place)) - select(0, 1, MODE == 2u);
        rests[axis] = place - floor(place);
        taps[axis] = 1u << MODE;
    }
    let plane = at / parameters.points * parameters.extents[0];
    var sum = 0.0;
    for (var i = 0u; i < taps[0]; i++) {
        let depth = element(0u, firsts[0] + i32(i));
        let deep = select(weight(i, rests[0]), 1.0, AXES < 3u);
        for (var j = 0u; j < taps[1]; j++) {
            let row = element(1u, firsts[1] + i32(j));
            let across = select(deep * weight(j, rests[1]), 1.0, AXES < 2u);
            let line = ((plane + u32(depth)) * parameters.extents[1] + u32(row)) * parameters.extents[2];
            for (var k = 0u; k < taps[2]; k++) {
                let column = element(2u, firsts[2] + i32(k));
                if depth >= 0 && row >= 0 && column >= 0 {
                    sum += across * weight(k, rests[2]) * x[line + u32(column)];
                }
            }
        }
    }
    y[at] = sum;
}
