// y = a·b for few rows: an invocation sums a slice of the steps of four columns of one row, all of them where it is alone.

fn by_fours(start: u32, first: u32, slice: u32, end: u32) -> vec4<f32> {
    var sum = vec4(0.0);
    let next = parameters.b_step;
    for (var k = 4u * slice; k < end; k += 4u * SLICES) {
        let x = wide(a[(start + k) / 4u]);
        let at = first + k * next;
        sum += x.x * wide(weights[at]) + x.y * wide(weights[at + next]);
        sum += x.z * wide(weights[at + 2u * next]) + x.w * wide(weights[at + 3u * next]);
    }
    return sum;
}

fn one_by_one(start: u32, first: u32, slice: u32, end: u32) -> vec4<f32> {
    var sum = vec4(0.0);
    for (var k = slice; k < end; k += SLICES) {
        sum += of_a(start + k * parameters.a_step) * wide(weights[first + k * parameters.b_step]);
    }
    return sum;
}

@compute @workgroup_size(8, SLICES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let starts = batch_offsets(group.z / parameters.parts);
    let begin = group.z % parameters.parts * parameters.part;
    let steps = min(parameters.part, parameters.k - begin);
    let start = starts.x + group.x * parameters.a_row + begin * parameters.a_step;
    let first = starts.y / 4u + group.y * parameters.b_block + local.x + begin * parameters.b_step;
    var sum: vec4<f32>;
    if READS == 0u {
        sum = by_fours(start, first, local.y, steps);
    } else {
        sum = one_by_one(start, first, local.y, steps);
    }
    let all = added(sum, local.x, local.y);
    if local.y == 0u {
        let matrix = parameters.m * parameters.n;
        finish(group.z * matrix, group.x, 32u * group.y + 4u * local.x, parameters.m, parameters.n, all);
    }
}
