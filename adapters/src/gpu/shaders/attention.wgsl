// Attention in one pass over the keys: the largest score and the weight of a row are kept as they are met, and what was
// summed before fades when a larger score comes. An invocation takes 4 rows and 4 keys at a time and meets no barrier.
// Sums lie in the result: compilers for CPUs spell out registers that are chosen by an index, one by one.

// vec4s of a value.
override COLUMNS: u32;
// Whether only a part of the keys is gone through: a row then ends in its weight and its largest score.
override PARTS: bool = false;

@group(0) @binding(5) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4<f32>>;

const ROWS = 4u;
const KEYS = 4u;

// Where a query and its result begin, what it sees, and how its sum stands.
struct Row {
    query: u32,
    result: u32,
    place: vec2<u32>,
    seen: vec2<i32>,
    largest: f32,
    weight: f32,
}

var<private> rows: array<Row, 4>;
// Rows that there are; the last ones may repeat one.
var<private> count: u32;
// Scores of each key, a component a row, then what they weigh.
var<private> weights: array<vec4<f32>, 4>;

fn row_at(row: u32, batch: u32, head: u32, part: u32) -> Row {
    let place = place_of(min(row, parameters.rows - 1u), head);
    var result = start_of(parameters.y, batch, place.x, place.y);
    if PARTS {
        let list = part * parameters.lists + batch * parameters.heads + head;
        result = (list * parameters.rows + row) * (COLUMNS + 1u);
    }
    return Row(start_of(parameters.q, batch, place.x, place.y), result, place, seen_by(place.y, batch), LOWEST, 0.0);
}

fn clear() {
    for (var at = 0u; at < COLUMNS; at++) {
        for (var i = 0u; i < ROWS; i++) {
            if i < count {
                y[rows[i].result + at] = vec4(0.0);
            }
        }
    }
}

fn multiply(keys: vec4<u32>) {
    weights = array<vec4<f32>, 4>();
    for (var at = 0u; at < WIDTH; at++) {
        let a = q[rows[0].query + at];
        let b = q[rows[1].query + at];
        let c = q[rows[2].query + at];
        let d = q[rows[3].query + at];
        for (var j = 0u; j < KEYS; j++) {
            let key = k[keys[j] + at];
            weights[j] += vec4(dot(a, key), dot(b, key), dot(c, key), dot(d, key));
        }
    }
}

fn visible(i: u32, score: f32, batch: u32, key: u32, end: u32) -> f32 {
    let row = rows[i];
    if key >= end || i32(key) < row.seen.x || i32(key) >= row.seen.y {
        return nowhere();
    }
    return masked(capped(parameters.scale * score), batch, row.place, key);
}

// Turns scores into weights; by how much what was summed before fades.
fn weigh(batch: u32, first: u32, end: u32) -> vec4<f32> {
    let before = vec4(rows[0].largest, rows[1].largest, rows[2].largest, rows[3].largest);
    var top = before;
    for (var j = 0u; j < KEYS; j++) {
        for (var i = 0u; i < ROWS; i++) {
            weights[j][i] = visible(i, weights[j][i], batch, first + j, end);
        }
        top = max(top, weights[j]);
    }
    let fade = exp_of_each(before - top);
    var sum = vec4(0.0);
    for (var j = 0u; j < KEYS; j++) {
        weights[j] = exp_of_each(weights[j] - top);
        sum += weights[j];
    }
    for (var i = 0u; i < ROWS; i++) {
        rows[i].largest = top[i];
        rows[i].weight = fade[i] * rows[i].weight + sum[i];
    }
    return fade;
}

fn add(values: vec4<u32>, fade: vec4<f32>) {
    for (var at = 0u; at < COLUMNS; at++) {
        var value: array<vec4<f32>, 4>;
        for (var j = 0u; j < KEYS; j++) {
            value[j] = v[values[j] + at];
        }
        for (var i = 0u; i < ROWS; i++) {
            if i < count {
                var sum = fade[i] * y[rows[i].result + at];
                for (var j = 0u; j < KEYS; j++) {
                    sum += weights[j][i] * value[j];
                }
                y[rows[i].result + at] = sum;
            }
        }
    }
}

fn finish() {
    for (var i = 0u; i < ROWS; i++) {
        if i < count && PARTS {
            y[rows[i].result + COLUMNS] = vec4(rows[i].weight, rows[i].largest, 0.0, 0.0);
        } else if i < count {
            let share = select(1.0 / rows[i].weight, 0.0, !WRITTEN_OUT && rows[i].weight == 0.0);
            for (var at = 0u; at < COLUMNS; at++) {
                y[rows[i].result + at] *= share;
            }
        }
    }
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x * ROWS;
    if row >= parameters.rows {
        return;
    }
    let batch = id.z / parameters.heads;
    let head = id.z % parameters.heads;
    var seen = vec2(i32(parameters.keys), 0);
    count = min(ROWS, parameters.rows - row);
    for (var i = 0u; i < ROWS; i++) {
        rows[i] = row_at(row + i, batch, head, id.y);
        seen = vec2(min(seen.x, rows[i].seen.x), max(seen.y, rows[i].seen.y));
    }
    clear();
    let end = min(u32(max(seen.y, 0)), (id.y + 1u) * parameters.part);
    for (var first = max(u32(seen.x), id.y * parameters.part); first < end; first += KEYS) {
        // Never past the end: what lies there may be no number.
        let tile = min(vec4(first) + vec4(0u, 1u, 2u, 3u), vec4(end - 1u));
        multiply(batch * parameters.k[0] + head * parameters.k[1] + tile * parameters.k[2]);
        let fade = weigh(batch, first, end);
        add(batch * parameters.v[0] + head * parameters.v[1] + tile * parameters.v[2], fade);
    }
    finish();
}
