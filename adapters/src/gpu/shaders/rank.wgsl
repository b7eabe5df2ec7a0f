// Sorts each run by counting: an element's place is the number of elements before it. Keeps the first `kept`, or their
// places as INT64. Equal elements stay in order.

override SMALLEST: bool = false;
override INDICES: bool = false;

struct Parameters {
    count: u32,
    run: u32,
    inner: u32,
    kept: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

fn before(other: f32, own: f32, earlier: bool) -> bool {
    if other == own {
        return earlier;
    }
    return select(other > own, other < own, SMALLEST);
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
    let inner = at % parameters.inner;
    let own_step = at / parameters.inner % parameters.run;
    let outer = at / parameters.inner / parameters.run;
    let first = outer * parameters.run * parameters.inner + inner;
    let own = x[at];
    var place = 0u;
    for (var step = 0u; step < parameters.run; step++) {
        place += select(0u, 1u, before(x[first + step * parameters.inner], own, step < own_step));
    }
    if place >= parameters.kept {
        return;
    }
    let index = (outer * parameters.kept + place) * parameters.inner + inner;
    if INDICES {
        y[2u * index] = own_step;
        y[2u * index + 1u] = 0u;
    } else {
        y[index] = bitcast<u32>(own);
    }
}
