// A product of matrices by tiles in registers.

// Rows beyond the last are the last again: a subgroup stays together.
fn rows_of(row: u32) -> vec4<u32> {
    return min(vec4(row) + vec4(0u, 1u, 2u, 3u), vec4(parameters.m - 1u));
}

fn by_steps(start: u32, row: u32, first: u32, lane: u32) {
    let rows = (start + rows_of(row) * parameters.a_row) / 4u;
    var quad = first;
    for (var k = 0u; k < parameters.k / 4u; k++) {
        let x = transpose(mat4x4(wide(a[rows.x + k]), wide(a[rows.y + k]), wide(a[rows.z + k]), wide(a[rows.w + k])));
        accumulate(x[0], quad, lane);
        accumulate(x[1], quad + parameters.b_step, lane);
        accumulate(x[2], quad + 2u * parameters.b_step, lane);
        accumulate(x[3], quad + 3u * parameters.b_step, lane);
        quad += 4u * parameters.b_step;
    }
}

fn by_rows(start: u32, row: u32, first: u32, lane: u32) {
    var at = (start + min(row, parameters.m - 4u)) / 4u;
    var quad = first;
    for (var k = 0u; k < parameters.k; k++) {
        accumulate(wide(a[at]), quad, lane);
        at += parameters.a_step / 4u;
        quad += parameters.b_step;
    }
}

fn one_by_one(start: u32, row: u32, first: u32, lane: u32) {
    var at = start + rows_of(row) * parameters.a_row;
    var quad = first;
    for (var k = 0u; k < parameters.k; k++) {
        accumulate(vec4(of_a(at.x), of_a(at.y), of_a(at.z), of_a(at.w)), quad, lane);
        at += vec4(parameters.a_step);
        quad += parameters.b_step;
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = (group.x * LANES + lane) * ROWS;
    let starts = batch_offsets(group.z);
    let quad = starts.y / 4u + group.y * parameters.b_block;
    switch READS {
        case 0u: { by_steps(starts.x, row, quad, lane); }
        case 1u: { by_rows(starts.x, row, quad, lane); }
        default: { one_by_one(starts.x, row, quad, lane); }
    }
    let matrix = parameters.m * parameters.n;
    store(group.z * matrix, row, group.y * COLUMNS, parameters.m, parameters.n);
}
