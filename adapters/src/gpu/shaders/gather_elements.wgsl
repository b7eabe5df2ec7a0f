// Takes one element for each index: y[…, i, …] = x[…, indices[…, i, …], …] along one axis. Whole words only.

// Words of an element and of an index: 1 or 2.
override WORDS: u32;
override INDEX_WORDS: u32;

struct Parameters {
    count: u32,
    axis: u32,
    extent: u32,
    // Of the indices, and how far elements of x lie apart.
    shape: array<u32, 8>,
    strides: array<u32, 8>,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

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
    var origin = 0u;
    for (var step = 0u; step < RANK; step++) {
        let axis = RANK - 1u - step;
        let coordinate = select(left % parameters.shape[axis], u32(index), axis == parameters.axis);
        origin += coordinate * parameters.strides[axis];
        left /= parameters.shape[axis];
    }
    for (var word = 0u; word < WORDS; word++) {
        y[at * WORDS + word] = x[origin * WORDS + word];
    }
}
