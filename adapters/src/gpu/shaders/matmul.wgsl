// y = activation(scale · a·b + bias + residual), batched. An invocation keeps 8 rows of 16 columns in registers and
// meets no barrier: CPU drivers run it at full width.

// Whether a or b is stored transposed; whether there is a bias (0 none, 1 a column each, 2 the result's shape) and a
// residual.
override A_TRANSPOSED: bool = false;
override B_TRANSPOSED: bool = false;
override BIAS: u32 = 0u;
override RESIDUAL: bool = false;

const ROWS = 8u;
const COLUMNS = 16u;
// CPU drivers stop an invocation after 65,535 iterations.
const RUN_MAX = 32768u;

struct Parameters {
    m: u32,
    n: u32,
    k: u32,
    batches: u32,
    scale: f32,
    bias_scale: f32,
    low: f32,
    high: f32,
    // Floats between the matrices of two batches, by axis of the batch.
    shape: array<u32, 6>,
    a_strides: array<u32, 6>,
    b_strides: array<u32, 6>,
    // Floats between bias rows and columns.
    bias_row: u32,
    bias_column: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

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

fn columns_of_b(start: u32, k: u32, column: u32) -> vec4<f32> {
    if B_TRANSPOSED {
        let source = start + column * parameters.k + k;
        return vec4(b[source], b[source + parameters.k], b[source + 2u * parameters.k], b[source + 3u * parameters.k]);
    }
    let source = start + k * parameters.n + column;
    return vec4(b[source], b[source + 1u], b[source + 2u], b[source + 3u]);
}

fn of_a(start: u32, row: u32, k: u32) -> f32 {
    if A_TRANSPOSED {
        return a[start + k * parameters.m + row];
    }
    return a[start + row * parameters.k + k];
}

fn store(start: u32, row: u32, column: u32, sum: f32) {
    if row >= parameters.m || column >= parameters.n {
        return;
    }
    var x = parameters.scale * sum;
    if BIAS != 0u {
        x += parameters.bias_scale * bias[row * parameters.bias_row + column * parameters.bias_column];
    }
    let at = start + row * parameters.n + column;
    if RESIDUAL {
        x += residual[at];
    }
    y[at] = activate(x, parameters.low, parameters.high);
}

@compute @workgroup_size(8, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    // Neighbours share rows of a and take neighbouring columns of b. Edges are moved inside and computed twice.
    let column = id.x * COLUMNS;
    let row = id.y * ROWS;
    if column >= parameters.n || row >= parameters.m {
        return;
    }
    let starts = batch_offsets(id.z);
    var sums: array<array<vec4<f32>, 4>, 8>;
    for (var k = 0u; k < parameters.k; k++) {
        var columns: array<vec4<f32>, 4>;
        for (var part = 0u; part < 4u; part++) {
            columns[part] = columns_of_b(starts.y, k, column + 4u * part);
        }
        for (var i = 0u; i < ROWS; i++) {
            let x = of_a(starts.x, min(row + i, parameters.m - 1u), k);
            for (var part = 0u; part < 4u; part++) {
                sums[i][part] += x * columns[part];
            }
        }
    }
    let start = id.z * parameters.m * parameters.n;
    for (var i = 0u; i < ROWS; i++) {
        for (var part = 0u; part < 4u; part++) {
            for (var j = 0u; j < 4u; j++) {
                store(start, row + i, column + 4u * part + j, sums[i][part][j]);
            }
        }
    }
}
