// The scores of attention as a matrix, for who asks to see them.

// 0 the scaled products, 1 capped, 2 masked.
override STAGE: u32;

@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = place_in_grid(group, groups, local);
    let list = at / parameters.keys / parameters.rows;
    if list >= parameters.lists {
        return;
    }
    let key = at % parameters.keys;
    let batch = list / parameters.heads;
    let head = list % parameters.heads;
    let place = place_of(at / parameters.keys % parameters.rows, head);
    let query = start_of(parameters.q, batch, place.x, place.y);
    let start = start_of(parameters.k, batch, head, key);
    var score = 0.0;
    for (var step = 0u; step < WIDTH; step++) {
        score += dot(q[query + step], k[start + step]);
    }
    score *= parameters.scale;
    if STAGE >= 1u {
        score = capped(score);
    }
    if STAGE == 2u {
        let seen = seen_by(place.y, batch);
        if i32(key) < seen.x || i32(key) >= seen.y {
            score = nowhere();
        } else {
            score = masked(score, batch, place, key);
        }
    }
    y[at] = score;
}
