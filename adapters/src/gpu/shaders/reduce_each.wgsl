// An invocation folds a run, or its part of one. Of sums of blocks, what is lost when they are added is added in the end:
// small numbers would vanish beside the sum of many.
const BLOCK = 4u;

fn adds() -> bool {
    return MODE != MAX && MODE != MIN && MODE != PRODUCT && MODE != LOG_OF_EXPONENTIALS;
}

// A sum, and what was lost when it was made.
struct Total {
    sum: f32,
    lost: f32,
}

fn taken(total: Total, sum: f32) -> Total {
    let next = held(merged(total.sum, sum));
    if !adds() {
        return Total(next, 0.0);
    }
    let added = held(next - total.sum);
    return Total(next, total.lost + ((total.sum - (next - added)) + (sum - added)));
}

fn folded(first: u32, by: u32, length: u32) -> f32 {
    var total = Total(start(), 0.0);
    let blocks = length / BLOCK;
    for (var block = 0u; block < blocks; block++) {
        let at = first + block * BLOCK * by;
        let pair = fold(fold(start(), x[at]), x[at + by]);
        total = taken(total, fold(fold(pair, x[at + 2u * by]), x[at + 3u * by]));
    }
    for (var step = blocks * BLOCK; step < length; step++) {
        total = taken(total, fold(start(), x[first + step * by]));
    }
    return select(total.sum, total.sum + total.lost, finite(total.lost));
}

fn exponentials(first: u32, by: u32, length: u32, largest: f32) -> f32 {
    var all = 0.0;
    let blocks = length / BLOCK;
    for (var block = 0u; block < blocks; block++) {
        let at = first + block * BLOCK * by;
        let four = vec4(x[at], x[at + by], x[at + 2u * by], x[at + 3u * by]) - largest;
        all += (exp_of(four.x) + exp_of(four.y)) + (exp_of(four.z) + exp_of(four.w));
    }
    for (var step = blocks * BLOCK; step < length; step++) {
        all += exp_of(x[first + step * by] - largest);
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
