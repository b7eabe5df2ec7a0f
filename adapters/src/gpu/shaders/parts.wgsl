// Adds up the parts of a product whose steps were shared out, in their order; four sums an invocation.

struct Parameters {
    count: u32,
    rows: u32,
    columns: u32,
    parts: u32,
    epilogue: Epilogue,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
// The parts, as quads and one by one.
@group(0) @binding(1) var<storage, read> a: array<Quad>;
@group(0) @binding(2) var<storage, read> singles: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<Made>;
@group(0) @binding(5) var<storage, read_write> y: array<Made>;

fn four(at: u32) -> vec4<f32> {
    if QUADS {
        return wide(a[at / 4u]);
    }
    return vec4(singles[at], singles[at + 1u], singles[at + 2u], singles[at + 3u]);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = place_in_grid(group, groups, local);
    if id >= parameters.count {
        return;
    }
    let run = select(parameters.rows, parameters.columns, BY_ROWS);
    let lines = select(parameters.columns, parameters.rows, BY_ROWS);
    let fours = (run + 3u) / 4u;
    let along = id % fours * 4u;
    let line = id / fours % lines;
    let matrix = id / fours / lines;
    let size = parameters.rows * parameters.columns;
    var at = matrix * parameters.parts * size + line * run + along;
    var sum = vec4(0.0);
    for (var part = 0u; part < parameters.parts; part++) {
        sum += four(at);
        at += size;
    }
    let row = select(along, line, BY_ROWS);
    let column = select(line, along, BY_ROWS);
    finish(matrix * size, row, column, parameters.rows, parameters.columns, sum);
}
