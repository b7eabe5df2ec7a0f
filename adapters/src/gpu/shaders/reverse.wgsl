// Turns the beginning of each sequence around: as many of its places as its batch says.

// Bytes of an element: 1, 2, 4 or 8.
override SIZE: u32;
// Whether the first axis is time and the second the batches, or the other way around.
override TIME_FIRST: bool;

struct Parameters {
    count: u32,
    // Extents of the first two axes, and elements of the others.
    first: u32,
    second: u32,
    inner: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

// The index of the element to copy.
fn origin(at: u32) -> i32 {
    let inside = at % parameters.inner;
    var place = vec2(at / parameters.inner / parameters.second, at / parameters.inner % parameters.second);
    if TIME_FIRST {
        place = turned(place, parameters.first);
    } else {
        place = turned(place.yx, parameters.second).yx;
    }
    return i32((place.x * parameters.second + place.y) * parameters.inner + inside);
}

// A time and a batch.
fn turned(place: vec2<u32>, times: u32) -> vec2<u32> {
    let length = u32(clamp(bitcast<i32>(lengths[2u * place.y]), 0, i32(times)));
    return vec2(select(place.x, length - 1u - place.x, place.x < length), place.y);
}

fn outside(high: bool) -> u32 {
    return 0u;
}
