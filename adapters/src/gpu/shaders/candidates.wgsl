// The boxes of each class whose scores are high enough, in order: running sums over all scores say where each is. A place
// without one holds no box, or a score below all others.

override SCORES: bool;

struct Parameters {
    // Places of all classes and of one, boxes.
    count: u32,
    places: u32,
    boxes: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> sums: array<u32>;
@group(0) @binding(2) var<storage, read> scores: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

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
    let first = at / parameters.places * parameters.boxes;
    var before = 0u;
    if first > 0u {
        before = sums[first - 1u];
    }
    let wanted = before + at % parameters.places + 1u;
    var low = first;
    var high = first + parameters.boxes;
    while low < high {
        let middle = (low + high) / 2u;
        if sums[middle] < wanted {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    if low == first + parameters.boxes {
        y[at] = select(0u, 0xff800000u, SCORES);
    } else if SCORES {
        y[at] = scores[low];
    } else {
        y[at] = low - first + 1u;
    }
}
