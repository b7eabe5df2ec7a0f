// Keeps the upper or lower triangle of each matrix, zero elsewhere. Whole words only.

override WORDS: u32;
override UPPER: bool;

struct Parameters {
    count: u32,
    rows: u32,
    columns: u32,
    diagonal: i32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let word = place_in_grid(group, groups, local);
    if word >= parameters.count {
        return;
    }
    let at = word / WORDS;
    let over = i32(at % parameters.columns) - i32(at / parameters.columns % parameters.rows) - parameters.diagonal;
    y[word] = select(0u, x[word], select(over <= 0, over >= 0, UPPER));
}
