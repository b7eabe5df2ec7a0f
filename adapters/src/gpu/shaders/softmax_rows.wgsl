// A workgroup goes through a run; of the first largest nothing is known.

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let at = group.y * groups.x + group.x;
    if at >= parameters.count {
        return;
    }
    let place = Place(local, lane, subgroup, subgroups);
    let first = at * parameters.run;
    var largest = x[first];
    for (var step = local; step < parameters.run; step += INVOCATIONS) {
        largest = max(largest, x[first + step]);
    }
    largest = across(LARGEST, largest, place);
    var sum = 0.0;
    for (var step = local; step < parameters.run; step += INVOCATIONS) {
        sum += power(x[first + step], largest);
    }
    sum = stepped_sum(across(ADD, sum, place));
    for (var step = local; step < parameters.run; step += INVOCATIONS) {
        y[first + step] = share(x[first + step], largest, sum, false);
    }
}
