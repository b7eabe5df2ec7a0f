// An invocation goes through a run.

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = place_in_grid(group, groups, local);
    if row >= parameters.count {
        return;
    }
    let first = row * parameters.run;
    var mean = 0.0;
    if MODE == 0u {
        for (var step = 0u; step < parameters.run; step++) {
            mean += off(first + step, first);
        }
        mean /= f32(parameters.run);
    }
    var squares = 0.0;
    for (var step = 0u; step < parameters.run; step++) {
        let own = off(first + step, first) - mean;
        squares += own * own;
    }
    let scale = inverseSqrt(squares / f32(parameters.run) + parameters.epsilon);
    let weights = row % parameters.scale_rows * parameters.scale_row;
    for (var step = 0u; step < parameters.run; step++) {
        y[first + step] = normal(off(first + step, first), mean, scale, weights + step / parameters.each);
    }
}
