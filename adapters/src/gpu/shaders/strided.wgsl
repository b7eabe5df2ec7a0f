// From where strides point: transposes, slices, broadcasts, pads, tiles, all in one.

// Bytes of an element: 1, 2, 4 or 8.
override SIZE: u32;
// How many axes are walked; the others have one place.
override AXES: u32 = RANK;
// How coordinates outside of the input are met: 0 never happen, 1 the fill, 2 reflected, 3 the edge, 4 wrapped.
override OUTSIDE: u32 = 0u;

struct Parameters {
    count: u32,
    offset: i32,
    fill: vec2<u32>,
    shape: array<u32, 8>,
    strides: array<i32, 8>,
    // Only where coordinates can lie outside: what is taken off them, and the input's extents.
    before: array<i32, 8>,
    extents: array<i32, 8>,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

fn meet(coordinate: i32, extent: i32) -> i32 {
    switch OUTSIDE {
        case 2u: {
            let period = max(2 * (extent - 1), 1);
            let folded = ((coordinate % period) + period) % period;
            return min(folded, period - folded);
        }
        case 3u: { return clamp(coordinate, 0, extent - 1); }
        case 4u: { return ((coordinate % extent) + extent) % extent; }
        default: { return coordinate; }
    }
}

// The index of the element to copy; -1 for the fill.
fn origin(at: u32) -> i32 {
    var left = at;
    var index = parameters.offset;
    for (var step = 0u; step < AXES; step++) {
        let axis = RANK - 1u - step;
        let extent = parameters.shape[axis];
        var coordinate = i32(left % extent);
        left /= extent;
        if OUTSIDE != 0u {
            let inside = parameters.extents[axis];
            coordinate = meet(coordinate - parameters.before[axis], inside);
            if coordinate < 0 || coordinate >= inside {
                return -1;
            }
        }
        index += coordinate * parameters.strides[axis];
    }
    return index;
}

fn outside(high: bool) -> u32 {
    return select(parameters.fill.x, parameters.fill.y, high);
}
