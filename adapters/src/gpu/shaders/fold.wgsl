// Folds a run of elements, or a part of one, with one operator of the lane: y[o, i] = x[o, 0, i] op x[o, 1, i] op …

override OP: u32;

@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read_write> y: array<Lane>;

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
    let part = part_of_run(at);
    let first = first_of_run(at) + part * parameters.inner;
    let by = parameters.parts * parameters.inner;
    var result = x[first];
    for (var step = 1u; step < length_of_part(part); step++) {
        result = apply(OP, result, x[first + step * by], 0.0, 0.0);
    }
    y[at] = result;
}
