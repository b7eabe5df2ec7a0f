// Where the element is that an index names along one axis, its other coordinates being those of the index: counted from
// the first element of all. Indices outside are clamped.

// Words of an index: 1 or 2.
override INDEX_WORDS: u32;

struct Parameters {
    count: u32,
    axis: u32,
    extent: u32,
    // Of the indices, and how far elements lie apart.
    shape: array<u32, 8>,
    strides: array<u32, 8>,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

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
    let extent = i32(parameters.extent);
    var index = bitcast<i32>(indices[at * INDEX_WORDS]);
    index = clamp(select(index, index + extent, index < 0), 0, extent - 1);
    var left = at;
    var place = 0u;
    for (var step = 0u; step < RANK; step++) {
        let axis = RANK - 1u - step;
        let coordinate = select(left % parameters.shape[axis], u32(index), axis == parameters.axis);
        place += coordinate * parameters.strides[axis];
        left /= parameters.shape[axis];
    }
    y[at] = place;
}
