// A tile of a product in the memory of a workgroup: TILE rows by TILE columns, of which an invocation sums 8 by 8. Half of
// the invocations bring the rows of the next steps and half the columns, a block of four by four each, while those that
// are there are multiplied.
override TILE: u32 = 64u;
// Invocations along a side, and steps that are in memory at once.
override SIDE: u32 = TILE / 8u;

// Quads of rows and of columns, step by step: as much as the largest tile takes.
var<workgroup> lefts: array<vec4<f32>, 512>;
var<workgroup> rights: array<vec4<f32>, 512>;

// What a workgroup multiplies: where the sides begin, which steps, and the part of the result that it belongs to.
struct Work {
    left: u32,
    right: u32,
    begin: u32,
    end: u32,
    start: u32,
    rows: u32,
    first_column: u32,
    columns: u32,
}

// The four corners of an invocation's sums.
var<private> sums0: mat4x4<f32>;
var<private> sums1: mat4x4<f32>;
var<private> sums2: mat4x4<f32>;
var<private> sums3: mat4x4<f32>;

// Quads are turned with the steps: neighbours that keep four steps of a row each meet no bank twice.
fn slot(step: u32, quad: u32) -> u32 {
    return step * (TILE / 4u) + (quad ^ (step / 4u * (32u / SIDE)));
}

// Which block an invocation of a half brings: its quad, and its four steps.
fn block_of(index: u32, steps_first: bool) -> vec2<u32> {
    if steps_first {
        return vec2(index / (SIDE / 4u), index % (SIDE / 4u));
    }
    return vec2(index % (TILE / 4u), index / (TILE / 4u));
}

// Nothing beyond the last step.
fn bring(work: Work, corner: vec2<u32>, block: vec2<u32>, is_right: bool, first: u32) -> mat4x4<f32> {
    let step = first + 4u * block.y;
    var quads: mat4x4<f32>;
    if is_right {
        quads = columns_at(work.right, corner.y + 4u * block.x, step);
    } else {
        quads = rows_at(work.left, corner.x + 4u * block.x, step);
    }
    let inside = vec4(step) + vec4(0u, 1u, 2u, 3u) < vec4(work.end);
    let none = vec4(0.0);
    return mat4x4(
        select(none, quads[0], inside.x),
        select(none, quads[1], inside.y),
        select(none, quads[2], inside.z),
        select(none, quads[3], inside.w),
    );
}

fn keep(quads: mat4x4<f32>, block: vec2<u32>, is_right: bool) {
    let first = slot(4u * block.y, block.x);
    let next = TILE / 4u;
    if is_right {
        rights[first] = quads[0];
        rights[first + next] = quads[1];
        rights[first + 2u * next] = quads[2];
        rights[first + 3u * next] = quads[3];
    } else {
        lefts[first] = quads[0];
        lefts[first + next] = quads[1];
        lefts[first + 2u * next] = quads[2];
        lefts[first + 3u * next] = quads[3];
    }
}

fn outer(x: vec4<f32>, w: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(x * w.x, x * w.y, x * w.z, x * w.w);
}

fn accumulate(rows: vec2<u32>, columns: vec2<u32>) {
    let upper = lefts[rows.x];
    let lower = lefts[rows.y];
    let near = rights[columns.x];
    let far = rights[columns.y];
    sums0 += outer(upper, near);
    sums1 += outer(upper, far);
    sums2 += outer(lower, near);
    sums3 += outer(lower, far);
}

fn multiply(row: u32, column: u32) {
    for (var step = 0u; step < SIDE; step += 4u) {
        var rows = vec2(slot(step, row), slot(step, row + SIDE));
        var columns = vec2(slot(step, column), slot(step, column + SIDE));
        let next = vec2(TILE / 4u);
        accumulate(rows, columns);
        accumulate(rows + next, columns + next);
        accumulate(rows + 2u * next, columns + 2u * next);
        accumulate(rows + 3u * next, columns + 3u * next);
    }
}

fn corner_of(index: u32) -> mat4x4<f32> {
    switch index {
        case 0u: { return sums0; }
        case 1u: { return sums1; }
        case 2u: { return sums2; }
        default: { return sums3; }
    }
}

// Loops, though they are short, for drivers that compute on the CPU, as in store.wgsl.
fn store(work: Work, row: u32, column: u32) {
    for (var index = 0u; index < 4u; index++) {
        let first = vec2(row, column) + 4u * SIDE * vec2(index / 2u, index % 2u);
        var quads = corner_of(index);
        if BY_ROWS {
            quads = transpose(quads);
        }
        for (var i = 0u; i < 4u; i++) {
            let line = first + select(vec2(0u, i), vec2(i, 0u), BY_ROWS);
            // Columns beyond the work's own are another one's.
            if line.y < work.columns {
                let columns = work.first_column + work.columns;
                finish(work.start, line.x, work.first_column + line.y, work.rows, columns, quad_of(quads, i));
            }
        }
    }
}

@compute @workgroup_size(SIDE * SIDE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let work = work_of(group);
    let corner = group.xy * TILE;
    let half = SIDE * SIDE / 2u;
    let is_right = local >= half;
    let block = block_of(local % half, STEPS_FIRST && !is_right);
    // What neighbours store lies together.
    let row = select(local % SIDE, local / SIDE, BY_ROWS);
    let column = select(local / SIDE, local % SIDE, BY_ROWS);
    var quads = bring(work, corner, block, is_right, work.begin);
    for (var step = work.begin; step < work.end; step += SIDE) {
        keep(quads, block, is_right);
        workgroupBarrier();
        if step + SIDE < work.end {
            quads = bring(work, corner, block, is_right, step + SIDE);
        }
        multiply(row, column);
        workgroupBarrier();
    }
    store(work, corner.x + 4u * row, corner.y + 4u * column);
}
