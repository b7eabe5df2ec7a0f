// Copies the rows that indices name: y[o, i, n] = x[o, indices[i], n]. Indices outside are clamped, so that no read
// leaves the tensor. An invocation makes a whole word of the result.

// Bytes that are copied at a time: 4 where rows are whole words, else those of an element.
override SIZE: u32;

struct Parameters {
    // Units of the result and of a row.
    count: u32,
    row: u32,
    // Indices, rows of the input.
    indices: u32,
    rows: u32,
    // Words of an index: 1 or 2.
    index_words: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

fn origin(at: u32) -> u32 {
    let inner = at % parameters.row;
    let middle = at / parameters.row % parameters.indices;
    let outer = at / parameters.row / parameters.indices;
    let rows = i32(parameters.rows);
    var index = bitcast<i32>(indices[middle * parameters.index_words]);
    index = clamp(select(index, index + rows, index < 0), 0, rows - 1);
    return (outer * parameters.rows + u32(index)) * parameters.row + inner;
}

fn narrow(at: u32) -> u32 {
    let index = origin(min(at, parameters.count - 1u));
    let each = 4u / SIZE;
    return extractBits(x[index / each], 8u * SIZE * (index % each), 8u * SIZE);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let word = place_in_grid(group, groups, local);
    let each = 4u / SIZE;
    if word * each >= parameters.count {
        return;
    }
    if SIZE == 4u {
        y[word] = x[origin(word)];
        return;
    }
    var made = 0u;
    for (var step = 0u; step < each; step++) {
        made |= narrow(word * each + step) << (8u * SIZE * step);
    }
    y[word] = made;
}
