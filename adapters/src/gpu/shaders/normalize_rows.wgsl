// A workgroup goes through a run.

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let row = group.y * groups.x + group.x;
    if row >= parameters.count {
        return;
    }
    let place = Place(local, lane, subgroup, subgroups);
    let first = row * parameters.run;
    var mean = 0.0;
    if MODE == 0u {
        for (var step = local; step < parameters.run; step += INVOCATIONS) {
            mean += off(first + step, first);
        }
        mean = across(ADD, mean, place) / f32(parameters.run);
    }
    var squares = 0.0;
    for (var step = local; step < parameters.run; step += INVOCATIONS) {
        let own = off(first + step, first) - mean;
        squares += own * own;
    }
    squares = across(ADD, squares, place);
    let scale = inverseSqrt(squares / f32(parameters.run) + parameters.epsilon);
    let weights = row % parameters.scale_rows * parameters.scale_row;
    for (var step = local; step < parameters.run; step += INVOCATIONS) {
        y[first + step] = normal(off(first + step, first), mean, scale, weights + step / parameters.each);
    }
}
