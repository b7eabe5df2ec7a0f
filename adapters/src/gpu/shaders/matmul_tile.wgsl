// y = a·b, batched, and what the epilogue adds.

// How a is read: 0 four steps of a row at once, 1 four rows of a step at once, 2 one by one.
override READS: u32 = 0u;

struct Parameters {
    m: u32,
    n: u32,
    k: u32,
    // Floats between rows and steps of a.
    a_row: u32,
    a_step: u32,
    // Quads between blocks of 32 columns of b, and between its steps.
    b_block: u32,
    b_step: u32,
    // Batches by axis, and floats between the matrices of two.
    shape: array<u32, 6>,
    a_strides: array<u32, 6>,
    b_strides: array<u32, 6>,
    epilogue: Epilogue,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;

fn batch_offsets(batch: u32) -> vec2<u32> {
    var left = batch;
    var offsets = vec2(0u);
    for (var step = 0u; step < 6u; step++) {
        let axis = 5u - step;
        let extent = parameters.shape[axis];
        offsets += (left % extent) * vec2(parameters.a_strides[axis], parameters.b_strides[axis]);
        left /= extent;
    }
    return offsets;
}

fn of_a(at: u32) -> f32 {
    return a[at / 4u][at % 4u];
}

// Rows beyond the last are the last again: a subgroup stays together.
fn rows_of(row: u32) -> vec4<u32> {
    return min(vec4(row) + vec4(0u, 1u, 2u, 3u), vec4(parameters.m - 1u));
}

fn by_steps(start: u32, row: u32, first: u32, lane: u32) {
    let rows = (start + rows_of(row) * parameters.a_row) / 4u;
    var quad = first;
    for (var k = 0u; k < parameters.k / 4u; k++) {
        let x = transpose(mat4x4(a[rows.x + k], a[rows.y + k], a[rows.z + k], a[rows.w + k]));
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
        accumulate(a[at], quad, lane);
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
