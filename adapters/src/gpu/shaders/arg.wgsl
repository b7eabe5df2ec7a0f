// Where the largest or smallest element of each run is, as INT64; or of each part of a run, as U32.

override SMALLEST: bool = false;
override LAST: bool = false;
// Whether what is compared lies at places that were found in parts of a run of so many elements, `whole` in the parameters.
override FOUND: bool = false;
override PARTIAL: bool = false;
// A part of nothing.
const NOWHERE = 0xffffffffu;

@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read> found: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

// A NaN wins over every number.
fn before(one: Lane, other: Lane) -> bool {
    if SMALLEST {
        return less_or_nan(one, other);
    }
    return less(other, one);
}

// Whether a value is to be taken for the best one; of equal ones, the first or the last.
fn wins(value: Lane, place: u32, best: Lane, winner: u32) -> bool {
    if before(value, best) {
        return true;
    }
    return !before(best, value) && select(winner > place, place > winner, LAST);
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
    let outer = at / parameters.inner / parameters.parts;
    let inner = at % parameters.inner;
    let first = outer * parameters.whole * parameters.inner + inner;
    let candidates = outer * parameters.run * parameters.inner + inner;
    var winner = NOWHERE;
    var best = x[first];
    for (var step = 0u; step < length_of_part(part); step++) {
        var place = part + step * parameters.parts;
        if FOUND {
            place = found[candidates + place * parameters.inner];
        }
        if place == NOWHERE {
            continue;
        }
        let value = x[first + place * parameters.inner];
        if winner == NOWHERE || wins(value, place, best, winner) {
            best = value;
            winner = place;
        }
    }
    if PARTIAL {
        y[at] = winner;
        return;
    }
    y[2u * at] = winner;
    y[2u * at + 1u] = 0u;
}
