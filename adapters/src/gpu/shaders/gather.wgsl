// Copies the rows that indices name: y[o, i, n] = x[o, indices[i], n]. Indices outside are clamped, so that no read
// leaves the tensor. An invocation makes a whole word of the result.

// Bytes that are copied at a time: 4 where rows are whole words, else those of an element.
override SIZE: u32;
// Whether x holds only some of the rows: whole words of others are left alone.
override PARTIAL: bool = false;

struct Parameters {
    // Units of the result and of a row.
    count: u32,
    row: u32,
    // Indices, rows of the input.
    indices: u32,
    rows: u32,
    // Words of an index: 1 or 2.
    index_words: u32,
    // The first row that x holds, and how many.
    first: u32,
    held: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

// Counted from the first that x holds.
fn row_of(at: u32) -> u32 {
    let middle = at / parameters.row % parameters.indices;
    let rows = i32(parameters.rows);
    let index = bitcast<i32>(indices[middle * parameters.index_words]);
    return u32(clamp(select(index, index + rows, index < 0), 0, rows - 1)) - parameters.first;
}

fn origin(at: u32) -> u32 {
    let outer = at / parameters.row / parameters.indices;
    return (outer * parameters.held + row_of(at)) * parameters.row + at % parameters.row;
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
    if PARTIAL && row_of(word) >= parameters.held {
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
