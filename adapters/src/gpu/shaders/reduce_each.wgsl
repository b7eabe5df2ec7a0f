// An invocation folds a run.

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
    let first = first_of_run(at);
    var sum = start();
    for (var step = 0u; step < parameters.run; step++) {
        sum = fold(sum, x[first + step * parameters.inner]);
    }
    if MODE == LOG_OF_EXPONENTIALS {
        let largest = sum;
        sum = 0.0;
        for (var step = 0u; step < parameters.run; step++) {
            sum += exp(x[first + step * parameters.inner] - largest);
        }
        sum = largest + log(sum);
    }
    y[at] = ended(sum);
}
