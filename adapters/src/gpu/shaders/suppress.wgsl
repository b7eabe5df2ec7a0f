// Drops the next candidates of each class that overlap a box which is kept: 0 for those.

// Of each class, and the order of their scores.
@group(0) @binding(2) var<storage, read> candidates: array<u32>;
@group(0) @binding(3) var<storage, read> order: array<u32>;
@group(0) @binding(4) var<storage, read> kept: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<u32>;

// The candidate that is so far down the order of a class.
fn candidate(class_at: u32, place: u32) -> u32 {
    if place >= parameters.candidates {
        return 0u;
    }
    let first = class_at * parameters.candidates;
    return candidates[first + order[first + place]];
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
    let class_at = at / parameters.part;
    let own = candidate(class_at, parameters.first + at % parameters.part);
    var left = own;
    for (var place = 0u; place < parameters.kept && left != 0u; place++) {
        let other = kept[class_at * parameters.kept + place];
        if other == 0u {
            break;
        }
        if overlaps(class_at, own, other) {
            left = 0u;
        }
    }
    y[at] = left;
}
