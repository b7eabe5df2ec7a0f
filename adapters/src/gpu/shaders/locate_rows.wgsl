// Which row a tuple of indices names: counted from the first of all. Indices outside are clamped.

// Words of an index: 1 or 2.
override INDEX_WORDS: u32;

struct Parameters {
    // Tuples, indices of each, tuples and rows of each batch.
    count: u32,
    depth: u32,
    tuples: u32,
    rows: u32,
    // Of the axes that are indexed, and how many rows lie between neighbours.
    extents: array<u32, 8>,
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
    var row = at / parameters.tuples * parameters.rows;
    for (var step = 0u; step < parameters.depth; step++) {
        let axis = RANK - parameters.depth + step;
        let extent = i32(parameters.extents[axis]);
        let index = bitcast<i32>(indices[(at * parameters.depth + step) * INDEX_WORDS]);
        row += u32(clamp(select(index, index + extent, index < 0), 0, extent - 1)) * parameters.strides[axis];
    }
    y[at] = row;
}
