// Joins what parts of the keys came to: each part's sums fade by how far its largest score lies below the largest of all.

// Whether a row that sees no key is no number instead of zero.
override WRITTEN_OUT: bool = false;

struct Parameters {
    count: u32,
    parts: u32,
    // Floats of a value, and where a row has its weight and its largest score. Rows of a head of keys, queries of a
    // head, heads of keys.
    columns: u32,
    weight: u32,
    rows: u32,
    queries: u32,
    heads: u32,
    // Floats between batches, heads and places of the result.
    y: array<u32, 3>,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

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
    let columns = parameters.columns;
    let column = at % columns;
    let row = at / columns;
    let width = parameters.weight + 4u;
    let part = parameters.count / columns * width;
    let first = row * width;
    var largest = x[first + parameters.weight + 1u];
    for (var step = 1u; step < parameters.parts; step++) {
        largest = max(largest, x[step * part + first + parameters.weight + 1u]);
    }
    var sum = 0.0;
    var weight = 0.0;
    for (var step = 0u; step < parameters.parts; step++) {
        let start = step * part + first;
        let fade = exp_of(x[start + parameters.weight + 1u] - largest);
        sum += fade * x[start + column];
        weight += fade * x[start + parameters.weight];
    }
    let list = row / parameters.rows;
    let inside = row % parameters.rows;
    let head = list % parameters.heads * (parameters.rows / parameters.queries) + inside / parameters.queries;
    let place = list / parameters.heads * parameters.y[0] + head * parameters.y[1]
        + inside % parameters.queries * parameters.y[2];
    y[place + column] = select(sum / weight, 0.0, !WRITTEN_OUT && weight == 0.0);
}
