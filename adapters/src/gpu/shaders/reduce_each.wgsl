// An invocation folds a run, or its part of one. Of sums of blocks, what is lost when they are added is added in the end:
// small numbers would vanish beside the sum of many.
const BLOCK = 4u;

fn adds() -> bool {
    return MODE != MAX && MODE != MIN && MODE != PRODUCT && MODE != LOG_OF_EXPONENTIALS;
}

fn folded(first: u32, by: u32, length: u32) -> f32 {
    var all = start();
    var lost = 0.0;
    for (var block = 0u; block < length; block += BLOCK) {
        var sum = start();
        for (var step = block; step < min(block + BLOCK, length); step++) {
            sum = fold(sum, x[first + step * by]);
        }
        let next = held(merged(all, sum));
        if adds() {
            let added = held(next - all);
            lost += (all - (next - added)) + (sum - added);
        }
        all = next;
    }
    return select(all, all + lost, finite(lost));
}

fn exponentials(first: u32, by: u32, length: u32, largest: f32) -> f32 {
    var all = 0.0;
    for (var block = 0u; block < length; block += BLOCK) {
        var sum = 0.0;
        for (var step = block; step < min(block + BLOCK, length); step++) {
            sum += exp_of(x[first + step * by] - largest);
        }
        all += sum;
    }
    return all;
}

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
    var sum = folded(first, by, length_of_part(part));
    if MODE == LOG_OF_EXPONENTIALS && finite(sum) {
        sum += log_of(exponentials(first, by, length_of_part(part), sum));
    }
    y[at] = ended(sum);
}
