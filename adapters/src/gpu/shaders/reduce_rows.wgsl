// A workgroup folds a run.

fn how() -> u32 {
    switch MODE {
        case MAX, LOG_OF_EXPONENTIALS: { return LARGEST; }
        case MIN: { return SMALLEST; }
        case PRODUCT: { return MULTIPLY; }
        default: { return ADD; }
    }
}

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
    var sum = start();
    for (var step = local; step < parameters.run; step += INVOCATIONS) {
        sum = fold(sum, x[first + step]);
    }
    // What subgroups make of a NaN among numbers is theirs to say.
    let strange = across(ADD, select(0.0, sum, is_nan(sum)), place);
    sum = across(how(), select(sum, start(), is_nan(sum)), place);
    sum = select(sum, strange, is_nan(strange));
    if MODE == LOG_OF_EXPONENTIALS && finite(sum) {
        var powers = 0.0;
        for (var step = local; step < parameters.run; step += INVOCATIONS) {
            powers += exp_of(x[first + step] - sum);
        }
        sum += log_of(across(ADD, powers, place));
    }
    if local == 0u {
        y[at] = ended(sum);
    }
}
