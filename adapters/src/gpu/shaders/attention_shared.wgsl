// Attention in one pass over the keys, by workgroups: 32 rows each, which meet 32 keys at a time. Some steps of both are in
// the workgroup's memory at once, then what each key weighs, and then values. The largest score and the weight of a row are
// kept as they are met, and what was summed before fades when a larger score comes. An invocation has every eighth row and
// every eighth key, and of those rows sums of every eighth vec4, up to four.

// vec4s of a value.
override COLUMNS: u32;
// Whether only a part of the keys is gone through: a row then ends in its weight and its largest score.
override PARTS: bool = false;

@group(0) @binding(5) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4<f32>>;

const ROWS = 32u;
const KEYS = 32u;
// Invocations along a side; of keys, steps that are in memory at once; values that are.
const SIDE = 8u;
// vec4s from one row to the next: one more than there are steps, so that neighbours meet no bank twice.
const APART = 9u;
// vec4s of a value that a workgroup sums up; wider ones are shared out.
const SPAN = 32u;

var<workgroup> queries: array<vec4<f32>, 288>;
// Keys, or values.
var<workgroup> others: array<vec4<f32>, 288>;
// What each key weighs, a component for each of an invocation's rows.
var<workgroup> shares: array<vec4<f32>, 256>;
var<workgroup> all: array<vec4<f32>, 64>;

// What a workgroup computes: the same for all of its invocations.
struct Work {
    batch: u32,
    head: u32,
    // Its first row, its first vec4 of a value, and its keys.
    row: u32,
    column: u32,
    begin: u32,
    end: u32,
    part: u32,
}

// Of an invocation's rows: where the query begins, the head of queries and the query, which keys it sees, and how its sum
// stands.
struct Rows {
    start: vec4<u32>,
    head: vec4<u32>,
    query: vec4<u32>,
    first: vec4<i32>,
    end: vec4<i32>,
    largest: vec4<f32>,
    weight: vec4<f32>,
}

var<private> rows: Rows;
// Sums of four rows each.
var<private> sums0: mat4x4<f32>;
var<private> sums1: mat4x4<f32>;
var<private> sums2: mat4x4<f32>;
var<private> sums3: mat4x4<f32>;

// The keys that any of the rows sees.
fn seen_by_all(row: u32, batch: u32) -> vec2<i32> {
    let last = min(row + ROWS, parameters.rows) - 1u;
    let alone = row / parameters.queries == last / parameters.queries;
    let first_query = select(0u, row % parameters.queries, alone);
    let last_query = select(parameters.queries - 1u, last % parameters.queries, alone);
    return vec2(seen_by(first_query, batch).x, seen_by(last_query, batch).y);
}

fn work_of(group: vec3<u32>) -> Work {
    let spans = (COLUMNS + SPAN - 1u) / SPAN;
    let batch = group.z / parameters.heads;
    let row = group.x / spans * ROWS;
    let seen = seen_by_all(row, batch);
    let begin = max(u32(seen.x), group.y * parameters.part);
    let end = min(u32(max(seen.y, 0)), (group.y + 1u) * parameters.part);
    return Work(batch, group.z % parameters.heads, row, group.x % spans * SPAN, begin, end, group.y);
}

// Rows beyond the last are the last again.
fn begin_rows(work: Work, line: u32) {
    rows.largest = vec4(LOWEST);
    for (var i = 0u; i < 4u; i++) {
        let place = place_of(min(work.row + line + SIDE * i, parameters.rows - 1u), work.head);
        let seen = seen_by(place.y, work.batch);
        rows.start[i] = start_of(parameters.q, work.batch, place.x, place.y);
        rows.head[i] = place.x;
        rows.query[i] = place.y;
        rows.first[i] = seen.x;
        rows.end[i] = seen.y;
    }
}

// Some steps of all rows and of the next keys. Never past the last key: what lies there may be no number.
fn bring_keys(work: Work, first: u32, step: u32, line: u32, lane: u32) {
    let inside = step + lane < WIDTH;
    for (var i = 0u; i < 4u; i++) {
        let at = (line + SIDE * i) * APART + lane;
        let key = start_of(parameters.k, work.batch, work.head, min(first + line + SIDE * i, work.end - 1u));
        queries[at] = select(vec4(0.0), q[rows.start[i] + step + lane], inside);
        others[at] = select(vec4(0.0), k[key + step + lane], inside);
    }
}

// How much each of an invocation's rows attends to four keys, a column a key.
fn multiply(work: Work, first: u32, line: u32, lane: u32) -> mat4x4<f32> {
    var scores: mat4x4<f32>;
    for (var step = 0u; step < WIDTH; step += SIDE) {
        workgroupBarrier();
        bring_keys(work, first, step, line, lane);
        workgroupBarrier();
        for (var inner = 0u; inner < SIDE; inner++) {
            let row = line * APART + inner;
            let key = lane * APART + inner;
            let next = SIDE * APART;
            let own = mat4x4(queries[row], queries[row + next], queries[row + 2u * next], queries[row + 3u * next]);
            scores[0] += others[key] * own;
            scores[1] += others[key + next] * own;
            scores[2] += others[key + 2u * next] * own;
            scores[3] += others[key + 3u * next] * own;
        }
    }
    return scores;
}

fn visible(work: Work, scores: vec4<f32>, key: u32) -> vec4<f32> {
    var seen = scores;
    for (var i = 0u; i < 4u; i++) {
        if key >= work.end || i32(key) < rows.first[i] || i32(key) >= rows.end[i] {
            seen[i] = nowhere();
        } else {
            seen[i] = masked(capped(parameters.scale * seen[i]), work.batch, vec2(rows.head[i], rows.query[i]), key);
        }
    }
    return seen;
}

fn largest_of(own: vec4<f32>, line: u32, lane: u32) -> vec4<f32> {
    all[line * SIDE + lane] = own;
    workgroupBarrier();
    var top = own;
    for (var other = 0u; other < SIDE; other++) {
        top = max(top, all[line * SIDE + other]);
    }
    return top;
}

fn faded(sums: mat4x4<f32>, fade: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(sums[0] * fade.x, sums[1] * fade.y, sums[2] * fade.z, sums[3] * fade.w);
}

// Turns scores into weights, for all to read.
fn weigh(work: Work, first: u32, scores: mat4x4<f32>, line: u32, lane: u32) {
    let key = first + lane;
    let near = visible(work, scores[0], key);
    let second = visible(work, scores[1], key + SIDE);
    let third = visible(work, scores[2], key + 2u * SIDE);
    let far = visible(work, scores[3], key + 3u * SIDE);
    let own = max(max(max(rows.largest, near), max(second, third)), far);
    let top = largest_of(own, line, lane);
    let fade = exp_of_each(rows.largest - top);
    let at = lane * SIDE + line;
    let next = SIDE * SIDE;
    shares[at] = exp_of_each(near - top);
    shares[at + next] = exp_of_each(second - top);
    shares[at + 2u * next] = exp_of_each(third - top);
    shares[at + 3u * next] = exp_of_each(far - top);
    rows.weight = fade * rows.weight + shares[at] + shares[at + next] + shares[at + 2u * next] + shares[at + 3u * next];
    rows.largest = top;
    sums0 = faded(sums0, fade);
    sums1 = faded(sums1, fade);
    sums2 = faded(sums2, fade);
    sums3 = faded(sums3, fade);
}

fn bring_values(work: Work, first: u32, local: u32) {
    let column = local % SPAN;
    for (var i = 0u; i < 4u; i++) {
        let key = min(first + local / SPAN + 2u * i, work.end - 1u);
        let at = start_of(parameters.v, work.batch, work.head, key) + work.column + column;
        others[local + 64u * i] = select(vec4(0.0), v[at], work.column + column < COLUMNS);
    }
}

fn outer(value: vec4<f32>, share: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(value * share.x, value * share.y, value * share.z, value * share.w);
}

fn add(work: Work, first: u32, line: u32, lane: u32) {
    for (var next = 0u; next < KEYS; next += SIDE) {
        workgroupBarrier();
        bring_values(work, first + next, line * SIDE + lane);
        workgroupBarrier();
        for (var key = 0u; key < SIDE; key++) {
            let share = shares[(next + key) * SIDE + line];
            let at = key * SPAN + lane;
            sums0 += outer(others[at], share);
            if COLUMNS > SIDE {
                sums1 += outer(others[at + SIDE], share);
            }
            if COLUMNS > 2u * SIDE {
                sums2 += outer(others[at + 2u * SIDE], share);
                sums3 += outer(others[at + 3u * SIDE], share);
            }
        }
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

fn sum_of(own: vec4<f32>, line: u32, lane: u32) -> vec4<f32> {
    workgroupBarrier();
    all[line * SIDE + lane] = own;
    workgroupBarrier();
    var sum = vec4(0.0);
    for (var other = 0u; other < SIDE; other++) {
        sum += all[line * SIDE + other];
    }
    return sum;
}

fn result_of(work: Work, i: u32, row: u32) -> u32 {
    if PARTS {
        let list = work.part * parameters.lists + work.batch * parameters.heads + work.head;
        return (list * parameters.rows + row) * (COLUMNS + 1u);
    }
    return start_of(parameters.y, work.batch, rows.head[i], rows.query[i]);
}

fn finish(work: Work, line: u32, lane: u32) {
    let weight = sum_of(rows.weight, line, lane);
    for (var i = 0u; i < 4u; i++) {
        let row = work.row + line + SIDE * i;
        if row < parameters.rows {
            let start = result_of(work, i, row);
            let share = select(1.0 / weight[i], 0.0, !WRITTEN_OUT && weight[i] == 0.0);
            for (var j = 0u; j < 4u; j++) {
                let column = work.column + lane + SIDE * j;
                if column < COLUMNS {
                    y[start + column] = corner_of(j)[i] * select(share, 1.0, PARTS);
                }
            }
            if PARTS && work.column == 0u && lane == 0u {
                y[start + COLUMNS] = vec4(weight[i], rows.largest[i], 0.0, 0.0);
            }
        }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let work = work_of(group);
    let line = local / SIDE;
    let lane = local % SIDE;
    begin_rows(work, line);
    for (var first = work.begin; first < work.end; first += KEYS) {
        let scores = multiply(work, first, line, lane);
        weigh(work, first, scores, line, lane);
        add(work, first, line, lane);
    }
    finish(work, line, lane);
}
