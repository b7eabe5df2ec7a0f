// Writes new rows into a cache, at a place that each batch says: y[b, o, p, i] = update[b, o, p - first[b], i].
// Words only.

// Whether rows past the end go on at the beginning, and whether batches say where their rows go.
override CIRCULAR: bool = false;
override PLACED: bool = false;

struct Parameters {
    count: u32,
    // Words of a row, rows of the cache, new rows, words of a batch.
    row: u32,
    rows: u32,
    updates: u32,
    batch: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> update: array<u32>;
@group(0) @binding(3) var<storage, read> first: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<u32>;

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
    let inside = at % parameters.row;
    let outer = at / parameters.row / parameters.rows;
    let rows = i32(parameters.rows);
    var place = i32(at / parameters.row % parameters.rows);
    if PLACED {
        let start = bitcast<i32>(first[2u * (at / parameters.batch)]);
        place -= select(start, start % rows, CIRCULAR);
    }
    if CIRCULAR {
        place = (place + rows) % rows;
    }
    if place >= 0 && place < i32(parameters.updates) {
        y[at] = update[(outer * parameters.updates + u32(place)) * parameters.row + inside];
    } else {
        y[at] = x[at];
    }
}
