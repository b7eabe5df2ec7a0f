// Copies the rows that indices name: y[o, i, n] = x[o, indices[i], n]. Words only; indices outside are clamped, so that
// no read leaves the tensor.

struct Parameters {
    // Words of the result.
    count: u32,
    // Words of a row, indices, rows of the input.
    row: u32,
    indices: u32,
    rows: u32,
    // Words of an index: 1 or 2.
    index_words: u32,
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
    let inner = at % parameters.row;
    let middle = at / parameters.row % parameters.indices;
    let outer = at / parameters.row / parameters.indices;
    let rows = i32(parameters.rows);
    var index = bitcast<i32>(indices[middle * parameters.index_words]);
    index = clamp(select(index, index + rows, index < 0), 0, rows - 1);
    y[at] = x[(outer * parameters.rows + u32(index)) * parameters.row + inner];
}
