// Coordinates of places, as INT64: a row for each axis.

struct Parameters {
    // Numbers of the result, places, axes.
    count: u32,
    places: u32,
    rank: u32,
    shape: array<u32, 8>,
    strides: array<u32, 8>,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> places: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec2<u32>>;

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
    let axis = RANK - parameters.rank + at / parameters.places;
    let place = places[at % parameters.places];
    y[at] = vec2(place / parameters.strides[axis] % parameters.shape[axis], 0u);
}
