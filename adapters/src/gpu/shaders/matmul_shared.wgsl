// A product of matrices by tiles in the memory of workgroups: where its two sides come from.

// Quads of a row are neighbours in memory, or quads of a step.
override STEPS_FIRST: bool = READS == 0u;

fn work_of(group: vec3<u32>) -> Work {
    let starts = batch_offsets(group.z / parameters.parts);
    let begin = group.z % parameters.parts * parameters.part;
    let end = min(begin + parameters.part, parameters.k);
    let start = group.z * parameters.m * parameters.n;
    return Work(starts.x, starts.y / 4u, begin, end, start, parameters.m, 0u, parameters.n);
}

// Four rows of four steps; rows beyond the last are the last again.
fn rows_at(start: u32, row: u32, step: u32) -> mat4x4<f32> {
    let own = start + min(vec4(row) + vec4(0u, 1u, 2u, 3u), vec4(parameters.m - 1u)) * parameters.a_row;
    switch READS {
        case 0u: {
            let at = (own + vec4(step)) / 4u;
            return transpose(mat4x4(wide(a[at.x]), wide(a[at.y]), wide(a[at.z]), wide(a[at.w])));
        }
        case 1u: {
            let at = (start + min(row, parameters.m - 4u) + step * parameters.a_step) / 4u;
            let next = parameters.a_step / 4u;
            return mat4x4(wide(a[at]), wide(a[at + next]), wide(a[at + 2u * next]), wide(a[at + 3u * next]));
        }
        default: {
            let at = own + vec4(step * parameters.a_step);
            let next = vec4(parameters.a_step);
            return mat4x4(rows_of(at), rows_of(at + next), rows_of(at + 2u * next), rows_of(at + 3u * next));
        }
    }
}

fn rows_of(at: vec4<u32>) -> vec4<f32> {
    return vec4(of_a(at.x), of_a(at.y), of_a(at.z), of_a(at.w));
}

// Four columns of four steps.
fn columns_at(start: u32, column: u32, step: u32) -> mat4x4<f32> {
    let next = parameters.b_step;
    let at = start + column / 32u * parameters.b_block + column % 32u / 4u + step * next;
    return mat4x4(wide(weights[at]), wide(weights[at + next]), wide(weights[at + 2u * next]), wide(weights[at + 3u * next]));
}
