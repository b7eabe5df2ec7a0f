// An invocation goes through a run.

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
    var largest = x[first];
    var winner = 0u;
    for (var step = 1u; step < parameters.run; step++) {
        let value = x[first + step * parameters.inner];
        if value > largest {
            largest = value;
            winner = step;
        }
    }
    var sum = 0.0;
    for (var step = 0u; step < parameters.run; step++) {
        sum += power(x[first + step * parameters.inner], largest);
    }
    sum = stepped_sum(sum);
    for (var step = 0u; step < parameters.run; step++) {
        let index = first + step * parameters.inner;
        y[index] = share(x[index], largest, sum, step == winner);
    }
}
