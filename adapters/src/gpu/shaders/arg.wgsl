// Where the largest or smallest element of each run is, as INT64.

override SMALLEST: bool = false;
override LAST: bool = false;

@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read_write> y: array<vec2<u32>>;

fn wins(value: Lane, best: Lane) -> bool {
    if LAST {
        return !before(best, value);
    }
    return before(value, best);
}

fn before(one: Lane, other: Lane) -> bool {
    if SMALLEST {
        return less(one, other);
    }
    return less(other, one);
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
    let first = first_of_run(at);
    var best = x[first];
    var winner = 0u;
    for (var step = 1u; step < parameters.run; step++) {
        let value = x[first + step * parameters.inner];
        if wins(value, best) {
            best = value;
            winner = step;
        }
    }
    y[at] = vec2(winner, 0u);
}
